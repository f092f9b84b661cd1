//! What of a call's trace is recorded here.

use spans::{Kind, Span, Tracer};
use tonic::{Code, Response, Status, metadata::MetadataMap};
use wire::Traceparent;

/// The spans of a service's calls, or none.
pub(crate) struct Tracing {
    service: &'static str,
    tracer: Option<Tracer>,
}

/// A call's trace.
pub(crate) struct CallTrace {
    span: Option<Span>,
    /// What those who continue it are told; empty: nothing.
    pub(crate) header: Box<str>,
}

// === impl Tracing ===

impl Tracing {
    /// `service` with its package. Spans are made if the process has set a provider
    /// by now and `enabled` says so.
    pub(crate) fn new(service: &'static str, enabled: bool) -> Self {
        Self {
            service,
            tracer: enabled.then(|| Tracer::of_process("control")),
        }
    }

    /// Begins a call's span, or continues what the caller began. What is not
    /// recorded is not passed on either: publications are many.
    pub(crate) fn begin(&self, method: &'static str, metadata: &MetadataMap) -> CallTrace {
        let theirs = metadata.get("traceparent");
        let theirs = theirs.and_then(|value| Traceparent::parse(value.to_str().ok()?));
        let Some(tracer) = &self.tracer else {
            let theirs = theirs.filter(|parent| parent.is_sampled());
            return CallTrace {
                span: None,
                header: of(theirs),
            };
        };
        let attributes = [
            ("rpc.system", "grpc"),
            ("rpc.service", self.service),
            ("rpc.method", method),
        ];
        let span = match theirs {
            Some(parent) => tracer.follow(parent, Kind::Server, method, attributes),
            None => tracer.begin(Kind::Server, method, attributes),
        };
        CallTrace {
            header: of(span.as_ref().map(Span::traceparent)),
            span,
        }
    }
}

// === impl CallTrace ===

impl CallTrace {
    /// Notes how the call ended.
    pub(crate) fn end<T>(self, result: Result<Response<T>, Status>) -> Result<Response<T>, Status> {
        if let Some(span) = self.span {
            let code = result.as_ref().map_or_else(Status::code, |_| Code::Ok);
            span.note("rpc.grpc.status_code", code as i32);
            if code != Code::Ok {
                span.fail(code.description());
            }
        }
        result
    }
}

fn of(place: Option<Traceparent>) -> Box<str> {
    place.map_or_else(Box::default, |place| place.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_spans_of_our_own_a_recorded_call_is_passed_on() {
        let place = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
        let header = |flags: &str| {
            let mut metadata = MetadataMap::new();
            let value = format!("{place}-{flags}").parse().expect("a header");
            metadata.insert("traceparent", value);
            Tracing::new("test", false).begin("Test", &metadata).header
        };
        assert_eq!(*header("01"), format!("{place}-01"));
        assert_eq!(&*header("00"), "");
        assert_eq!(&*header("0g"), "");
    }
}
