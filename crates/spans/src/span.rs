//! A span under way.

use std::fmt;

use opentelemetry::{
    Context, KeyValue,
    trace::{SpanContext, Status, TraceContextExt},
};
use wire::Traceparent;

/// A sampled span under way. It ends when it is dropped, on whatever thread.
pub struct Span {
    context: Context,
}

// === impl Span ===

impl Span {
    pub(crate) fn new(context: Context) -> Self {
        Self { context }
    }

    /// Its place in the trace, for those who continue it.
    pub fn traceparent(&self) -> Traceparent {
        let span = self.context.span();
        let context = span.span_context();
        Traceparent {
            trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(context.span_id().to_bytes()),
            flags: context.trace_flags().to_u8(),
        }
    }

    /// What spans made in this process continue, those of other libraries included.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Adds a number.
    pub fn note(&self, key: &'static str, value: impl Into<i64>) {
        let value: i64 = value.into();
        self.context.span().set_attribute(KeyValue::new(key, value));
    }

    /// It fails. `error` is one of few words, such as a code's name.
    pub fn fail(&self, error: &'static str) {
        let span = self.context.span();
        span.set_attribute(KeyValue::new("error.type", error));
        span.set_status(Status::error(""));
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        self.context.span().end();
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Span({})", self.traceparent())
    }
}

/// The place as the library has it, made by somebody else.
pub(crate) fn remote(parent: Traceparent) -> SpanContext {
    SpanContext::new(
        parent.trace_id.into(),
        parent.span_id.into(),
        opentelemetry::TraceFlags::new(parent.flags),
        true,
        opentelemetry::trace::TraceState::default(),
    )
}
