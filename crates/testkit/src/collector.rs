//! A collector of traces in this process: takes OTLP by gRPC and keeps all spans.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::wait::eventually;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

/// A span as the collector got it.
#[derive(Clone, Debug)]
pub struct SeenSpan {
    /// `service.name` of the process that made it.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its trace, in hexadecimal digits, as in a `traceparent`.
    pub trace_id: String,
    /// Its own id, likewise.
    pub span_id: String,
    /// That of the span it continues; empty: it began the trace.
    pub parent_id: String,
    /// Its attributes; numbers in digits.
    pub attributes: BTreeMap<String, String>,
    /// Its status says that it failed.
    pub is_failed: bool,
}

/// A running collector; it ends when dropped.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    taken: Arc<Taken>,
    /// Of its own, so that its connections end with it.
    runtime: Option<Runtime>,
}

#[derive(Debug, Default)]
struct Taken {
    spans: Mutex<Vec<SeenSpan>>,
    /// Calls get no answer.
    hangs: AtomicBool,
}

struct Service(Arc<Taken>);

// === impl Collector ===

impl Collector {
    /// Listens on a free port.
    pub async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Listens where one did that was dropped.
    pub async fn start_at(address: SocketAddr) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let mut bound = None;
        // The one before may still be closing it.
        eventually("the port is free", async || {
            let binding = runtime.spawn(TcpListener::bind(address));
            bound = binding.await.expect("no panic").ok();
            bound.is_some()
        })
        .await;
        let listener = bound.expect("it was bound");
        let address = listener.local_addr().expect("bound");
        let taken = Arc::new(Taken::default());
        let service = TraceServiceServer::new(Service(taken.clone()));
        let serving = async move {
            let incoming = TcpListenerStream::new(listener);
            let served = Server::builder().add_service(service);
            served.serve_with_incoming(incoming).await.expect("serves");
        };
        runtime.spawn(serving);
        Self {
            address,
            taken,
            runtime: Some(runtime),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same for a configuration.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that has come so far.
    pub fn spans(&self) -> Vec<SeenSpan> {
        self.taken.spans.lock().expect("no panic").clone()
    }

    /// What has come of one trace.
    pub fn trace(&self, trace_id: &str) -> Vec<SeenSpan> {
        let mut spans = self.spans();
        spans.retain(|span| span.trace_id == trace_id);
        spans
    }

    /// From here on it takes calls and answers none.
    pub fn hang(&self) {
        self.taken.hangs.store(true, Ordering::Relaxed);
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

// === impl Service ===

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        if self.0.hangs.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        for resource in request.into_inner().resource_spans {
            let of_process = attributes(resource.resource.unwrap_or_default().attributes);
            let service = of_process.get("service.name").cloned().unwrap_or_default();
            let scopes = resource.scope_spans.into_iter();
            let spans = scopes.flat_map(|scope| scope.spans);
            let seen = spans.map(|span| SeenSpan::new(&service, span));
            self.0.spans.lock().expect("no panic").extend(seen);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

// === impl SeenSpan ===

impl SeenSpan {
    fn new(service: &str, span: Span) -> Self {
        /// `STATUS_CODE_ERROR`.
        const FAILED: i32 = 2;
        Self {
            service: service.to_owned(),
            name: span.name,
            trace_id: hex(&span.trace_id),
            span_id: hex(&span.span_id),
            parent_id: hex(&span.parent_span_id),
            attributes: attributes(span.attributes),
            is_failed: span.status.is_some_and(|status| status.code == FAILED),
        }
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |pair: KeyValue| {
        let value = match pair.value.and_then(|value| value.value)? {
            Value::StringValue(text) => text,
            Value::IntValue(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        Some((pair.key, value))
    };
    pairs.into_iter().filter_map(text).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
