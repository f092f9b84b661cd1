//! What of a request's trace is recorded here: whatever the gateway has recorded,
//! as far as the process's provider agrees. Workers begin no traces.

use bus::{BusError, RequestContext, Subject};
use spans::{Context, Kind, Span, Tracer};
use wire::Traceparent;

/// What the subjects of routes begin with.
const ROUTES: &str = "tg.rq.";

/// A request's span, from its arrival on. The handler continues it.
pub(crate) fn handle(
    tracer: &Tracer,
    subject: &Subject,
    context: &mut RequestContext,
) -> Option<Span> {
    if context.traceparent.is_empty() {
        return None;
    }
    let parent = Traceparent::parse(&context.traceparent)?;
    let subject = subject.as_str();
    let route = subject.strip_prefix(ROUTES).unwrap_or(subject);
    let span = tracer.follow(
        parent,
        Kind::Server,
        format!("handle {route}"),
        [
            ("messaging.system", "nats"),
            ("messaging.operation.name", "process"),
            ("messaging.destination.name", subject),
        ],
    )?;
    context.traceparent = span.traceparent().to_string().into();
    Some(span)
}

/// The context that a handler's future runs in.
pub(crate) fn context(span: Option<&Span>) -> Context {
    span.map_or_else(Context::new, |span| span.context().clone())
}

/// Notes how the request ended.
pub(crate) fn end(span: Option<Span>, error: Option<&BusError>) {
    if let (Some(span), Some(error)) = (span, error) {
        span.fail(match error {
            BusError::Worker(_) => "worker",
            BusError::DeadlineExceeded => "deadline_exceeded",
            BusError::Cancelled => "cancelled",
            BusError::Overloaded => "overloaded",
            _ => "unavailable",
        });
    }
}
