//! What waits is bounded, and what was waited for is forgotten.

use std::{sync::Arc, time::Duration};

use bus::{Bus, BusError, BusExt, Request};
use testkit::NatsServer;

use super::{Echo, Kept, beside, connect, eventually, outgoing, question, subject};

/// More than the library's own multiplexer forgives: it keeps each of them.
const TIMEOUTS: usize = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_time_out_leave_nothing_behind() {
    let server = NatsServer::start().await;
    let (bus, running) = connect(&server.url()).await;
    let check = async {
        bus.serve(subject("q"), Arc::new(Kept::default()));
        bus.serve(subject("other"), Arc::new(Echo));
        let outcomes = Arc::new(parking_lot::Mutex::new(Vec::new()));
        for _ in 0..TIMEOUTS {
            let request = Request {
                deadline: Duration::from_millis(20),
                ..question("q", "")
            };
            let outcomes = outcomes.clone();
            bus.request(
                request,
                Box::new(move |outcome| outcomes.lock().push(outcome)),
            );
        }
        eventually("all have ended", async || outcomes.lock().len() == TIMEOUTS).await;
        let in_time = |outcome: &Result<_, _>| {
            matches!(
                outcome,
                Err(BusError::DeadlineExceeded | BusError::Overloaded)
            )
        };
        assert!(outcomes.lock().iter().all(in_time));
        // Probes come and go.
        eventually("nothing waits", async || bus.waiting_requests() <= 1).await;
        bus.ask(question("other", "")).await.expect("is answered");
    };
    beside(running, check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_does_not_take_is_too_large() {
    let server = NatsServer::with_config("max_payload: 1000\n").await;
    let (bus, running) = connect(&server.url()).await;
    let check = async {
        let large = "x".repeat(1_000);
        let refused = bus.send(outgoing("a", &large)).await;
        assert_eq!(refused, Err(BusError::TooLarge));
        let refused = bus.ask(question("q", &large)).await;
        assert_eq!(refused, Err(BusError::TooLarge));
        bus.send(outgoing("a", "small")).await.expect("publishes");
    };
    beside(running, check).await;
}
