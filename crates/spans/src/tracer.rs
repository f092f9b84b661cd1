//! Where spans begin.

use std::{borrow::Cow, fmt};

use opentelemetry::{
    Context, KeyValue,
    global::{self, BoxedTracer},
    trace::{SpanBuilder, SpanKind, TraceContextExt, Tracer as _},
};
use wire::Traceparent;

use crate::span::{Span, remote};

/// Makes the spans of one part.
pub struct Tracer {
    tracer: BoxedTracer,
}

/// Which end of a call or message a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It answers a request.
    Server,
    /// It asks and waits for the answer.
    Client,
    /// It sends what is taken later.
    Producer,
    /// It takes what was sent.
    Consumer,
}

// === impl Tracer ===

impl Tracer {
    /// The tracer of a part of this name, of the provider that the process has set
    /// so far. Without one nothing is sampled.
    pub fn of_process(part: &'static str) -> Self {
        Self {
            tracer: global::tracer(part),
        }
    }

    /// Begins a trace, if the process samples it.
    pub fn begin<const N: usize>(
        &self,
        kind: Kind,
        name: impl Into<Cow<'static, str>>,
        attributes: [(&'static str, &str); N],
    ) -> Option<Span> {
        self.start(&Context::new(), kind, name.into(), attributes)
    }

    /// Continues the trace of somebody else, if he has recorded it and the process
    /// agrees.
    pub fn follow<const N: usize>(
        &self,
        parent: Traceparent,
        kind: Kind,
        name: impl Into<Cow<'static, str>>,
        attributes: [(&'static str, &str); N],
    ) -> Option<Span> {
        if !parent.is_sampled() {
            return None;
        }
        let context = Context::new().with_remote_span_context(remote(parent));
        self.start(&context, kind, name.into(), attributes)
    }

    /// A part of what `parent` does.
    pub fn within<const N: usize>(
        &self,
        parent: &Span,
        kind: Kind,
        name: impl Into<Cow<'static, str>>,
        attributes: [(&'static str, &str); N],
    ) -> Option<Span> {
        self.start(parent.context(), kind, name.into(), attributes)
    }

    fn start<const N: usize>(
        &self,
        parent: &Context,
        kind: Kind,
        name: Cow<'static, str>,
        attributes: [(&'static str, &str); N],
    ) -> Option<Span> {
        let builder = SpanBuilder::from_name(name).with_kind(kind.into());
        let span = self.tracer.build_with_context(builder, parent);
        let context = parent.with_span(span);
        {
            let span = context.span();
            // Only now: of most nobody wants to know.
            if !span.is_recording() {
                return None;
            }
            for (key, value) in attributes {
                span.set_attribute(KeyValue::new(key, value.to_owned()));
            }
        }
        Some(Span::new(context))
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tracer")
    }
}

// === impl Kind ===

impl From<Kind> for SpanKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Server => Self::Server,
            Kind::Client => Self::Client,
            Kind::Producer => Self::Producer,
            Kind::Consumer => Self::Consumer,
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};

    use super::*;

    #[test]
    fn spans_hang_together_and_end_when_dropped() {
        let parent = Traceparent {
            trace_id: 7,
            span_id: 9,
            flags: 1,
        };
        let none = Tracer::of_process("nobody set a provider yet");
        assert!(none.follow(parent, Kind::Server, "lost", []).is_none());

        let exported = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exported.clone());
        global::set_tracer_provider(provider.build());
        let tracer = Tracer::of_process("test");

        assert!(
            tracer
                .follow(parent.unsampled(), Kind::Server, "unsampled", [])
                .is_none()
        );
        let outer = tracer
            .follow(parent, Kind::Server, "outer", [("key", "value")])
            .expect("sampled");
        let inner = tracer
            .within(&outer, Kind::Client, "inner", [])
            .expect("so");
        inner.fail("too_late");
        let (outer_at, inner_at) = (outer.traceparent(), inner.traceparent());
        drop((inner, outer));

        let spans = exported.get_finished_spans().expect("in memory");
        let [inner, outer] = spans.as_slice() else {
            panic!("two were made: {spans:?}");
        };
        assert_eq!((outer_at.trace_id, inner_at.trace_id), (7, 7));
        assert_eq!(
            outer.parent_span_id.to_bytes(),
            parent.span_id.to_be_bytes()
        );
        assert_eq!(inner.parent_span_id, outer.span_context.span_id());
        assert_eq!(
            inner.span_context.span_id().to_bytes(),
            inner_at.span_id.to_be_bytes()
        );
        assert_eq!(outer.attributes, [KeyValue::new("key", "value")]);
        assert_eq!(inner.attributes, [KeyValue::new("error.type", "too_late")]);
    }
}
