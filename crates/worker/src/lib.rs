//! The Rust worker SDK: answer client requests.
//!
//! A [`Worker`] serves one or more endpoints. Endpoint `place` of worker
//! `orders` answers requests to route `orders.place`, that is, to subject
//! `tg.rq.orders.place`; of all workers that serve a route one gets each
//! request. Whoever lists the services of the bus (`nats micro list`) sees it.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use bus::{Bus, BusExt, MemoryBus, Request as Question, RequestContext, Subject};
//! use worker::{Request, Worker, WorkerError};
//!
//! async fn place(request: Request) -> Result<bytes::Bytes, WorkerError> {
//!     if request.payload().is_empty() {
//!         return Err(WorkerError::new("empty-order", "an order needs a body"));
//!     }
//!     Ok("placed".into())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bus: Arc<dyn Bus> = Arc::new(MemoryBus::new());
//! let worker = Worker::new("orders")
//!     .on("place", place)
//!     .on_sync("echo", |request| Ok(request.payload().clone()))
//!     .concurrency(64)
//!     .start(&bus)?;
//!
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let ask = async {
//!     let question = Question {
//!         subject: Subject::of_route("orders.place")?,
//!         payload: "two of them".into(),
//!         deadline: Duration::from_secs(1),
//!         context: RequestContext::default(),
//!     };
//!     assert_eq!(bus.ask(question).await?.payload, "placed");
//!     drop(stop);
//!     Ok::<_, Box<dyn std::error::Error>>(())
//! };
//! let (_, asked) = tokio::join!(worker.until(async { drop(stopped.await) }), ask);
//! asked
//! # }
//! ```
//!
//! Requests that the gateway records as part of a trace get a span, `handle` and the
//! route, if the process has set a provider with
//! `opentelemetry::global::set_tracer_provider` before the worker starts; spans that
//! a handler makes with that provider belong to it.
//!
//! Queues are bounded: what comes while the queue is full is answered
//! [`bus::BusError::Overloaded`] at once. A handler runs until the caller's
//! deadline at most; a panic in it fails its request only.

mod endpoint;
mod error;
mod queue;
mod request;
mod running;
mod trace;
mod worker;

pub use error::{StartError, WorkerError};
pub use request::Request;
pub use running::Running;
pub use worker::Worker;
