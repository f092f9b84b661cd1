//! What of a request's or publication's trace is recorded here.
//!
//! Without a tracer the gateway passes on what clients say and makes no spans.
//! With one, what it does not record is passed on as not recorded, so that
//! nobody behind it records what it refused to.

use bus::{BusError, Message, Subject};
use spans::{Kind, Span, Tracer};
use wire::{Traceparent, client::ErrorCode};

use crate::shard::code_of;

/// A request's trace, from its arrival to its answer.
#[derive(Debug)]
pub(crate) struct RequestTrace {
    span: Option<Span>,
    /// What the client said, as far as it counts.
    theirs: Option<Traceparent>,
}

// === impl RequestTrace ===

impl RequestTrace {
    /// Begins, or continues what the client began.
    pub(crate) fn begin(tracer: Option<&Tracer>, route: &str, traceparent: &str) -> Self {
        let theirs = Traceparent::parse(traceparent);
        let Some(tracer) = tracer else {
            return Self { span: None, theirs };
        };
        let name = format!("request {route}");
        let attributes = [("rpc.system", "tidegate"), ("rpc.method", route)];
        let span = match theirs {
            Some(parent) => tracer.follow(parent, Kind::Server, name, attributes),
            None => tracer.begin(Kind::Server, name, attributes),
        };
        Self {
            span,
            theirs: theirs.map(Traceparent::unsampled),
        }
    }

    /// The part from the bus's hands to its answer.
    pub(crate) fn send(
        &self,
        tracer: Option<&Tracer>,
        route: &str,
        subject: &Subject,
    ) -> Option<Span> {
        let attributes = [
            ("messaging.system", "nats"),
            ("messaging.operation.name", "request"),
            ("messaging.destination.name", subject.as_str()),
        ];
        let name = || format!("send {route}");
        tracer?.within(self.span.as_ref()?, Kind::Client, name(), attributes)
    }

    /// What the worker is told: it continues `inner`, or else the request itself.
    pub(crate) fn header(&self, inner: Option<&Span>) -> Box<str> {
        let ours = inner.or(self.span.as_ref()).map(Span::traceparent);
        of(ours.or(self.theirs))
    }

    /// It is refused with this code.
    pub(crate) fn fail(&self, code: ErrorCode) {
        if let Some(span) = &self.span {
            fail(span, code);
        }
    }

    /// What is left to be ended with the answer.
    pub(crate) fn into_span(self) -> Option<Span> {
        self.span
    }
}

/// Notes how a request of the bus ended.
pub(crate) fn end<T>(span: Option<Span>, outcome: &Result<T, BusError>) {
    if let (Some(span), Err(error)) = (span, outcome) {
        fail(&span, code_of(error));
    }
}

/// A client's publication on its way to the bus, if it is to be recorded.
pub(crate) fn publish(tracer: Option<&Tracer>, namespace: &str) -> Option<Span> {
    tracer?.begin(
        Kind::Producer,
        format!("publish {namespace}"),
        [
            ("messaging.system", "nats"),
            ("messaging.operation.name", "publish"),
            ("tidegate.namespace", namespace),
        ],
    )
}

/// A publication from the bus, on its way to those who listen, if whoever
/// published it has recorded it.
pub(crate) fn deliver(tracer: &Tracer, message: &Message) -> Option<Span> {
    if message.traceparent.is_empty() {
        return None;
    }
    let parent = Traceparent::parse(&message.traceparent)?;
    let channel = message.subject.channel_name()?;
    let namespace = channel.split('.').next().unwrap_or(channel);
    let span = tracer.follow(
        parent,
        Kind::Consumer,
        format!("deliver {namespace}"),
        [
            ("messaging.system", "nats"),
            ("messaging.operation.name", "deliver"),
            ("tidegate.namespace", namespace),
        ],
    )?;
    let bytes = i64::try_from(message.payload.len()).unwrap_or(i64::MAX);
    span.note("messaging.message.body.size", bytes);
    Some(span)
}

/// As a header; empty: none.
pub(crate) fn of(place: Option<Traceparent>) -> Box<str> {
    place.map_or_else(Box::default, |place| place.to_string().into())
}

/// The span ends with this code.
pub(crate) fn fail(span: &Span, code: ErrorCode) {
    let name = code.as_str_name();
    span.fail(name.strip_prefix("ERROR_CODE_").unwrap_or(name));
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-";

    fn passed_on(tracer: Option<&Tracer>, flags: &str) -> String {
        let trace = RequestTrace::begin(tracer, "orders", &format!("{PLACE}{flags}"));
        trace.header(None).into()
    }

    #[test]
    fn without_a_tracer_the_client_s_context_is_passed_on() {
        for flags in ["00", "01"] {
            assert_eq!(passed_on(None, flags), format!("{PLACE}{flags}"));
        }
        assert_eq!(passed_on(None, "0g"), "");
    }

    #[test]
    fn what_is_refused_here_is_passed_on_as_not_recorded() {
        // The process of this test has no provider, so nothing is recorded.
        let tracer = Tracer::of_process("edge");
        assert_eq!(passed_on(Some(&tracer), "01"), format!("{PLACE}00"));
        assert_eq!(passed_on(Some(&tracer), "0g"), "");
    }
}
