//! Spans of distributed traces, as the parts of Tidegate make them.
//!
//! A facade of a facade: parts know [`Tracer`] and [`Span`], the process sets an
//! OpenTelemetry provider (or none), and that decides what is sampled and where
//! spans go. Nothing here blocks, and a span that is not sampled is no span: its
//! maker gets `None`.
//!
//! Attributes say which route, namespace or method, by the semantic conventions
//! of OpenTelemetry. They never hold payloads, tokens, users or whole channel names.

mod span;
mod tracer;

pub use opentelemetry::{Context, trace::FutureExt};
pub use span::Span;
pub use tracer::{Kind, Tracer};
