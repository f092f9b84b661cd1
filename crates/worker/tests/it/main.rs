//! Workers on the in-memory bus.

mod cancelling;
mod endings;
mod overload;
mod serving;
mod tracing;

use std::{sync::Arc, time::Duration};

use bus::{Bus, BusError, BusExt, MemoryBus, Request, RequestContext, Subject};
use bytes::Bytes;
use worker::{Running, Worker};

/// Longer than any test waits.
const LONG: Duration = Duration::from_secs(60);

fn memory_bus() -> Arc<dyn Bus> {
    Arc::new(MemoryBus::new())
}

fn question(route: &str, payload: &str) -> Request {
    Request {
        subject: Subject::of_route(route).expect("valid"),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        deadline: LONG,
        context: RequestContext::default(),
    }
}

async fn ask(bus: &Arc<dyn Bus>, route: &str, payload: &str) -> Result<Bytes, BusError> {
    bus.ask(question(route, payload))
        .await
        .map(|reply| reply.payload)
}

fn start(worker: Worker, bus: &Arc<dyn Bus>) -> Running {
    worker.start(bus).expect("starts")
}

/// Runs a worker for as long as `test` takes.
async fn during<T>(running: Running, test: impl Future<Output = T>) -> T {
    tokio::select! {
        () = running.until(std::future::pending()) => unreachable!("is never stopped"),
        outcome = test => outcome,
    }
}
