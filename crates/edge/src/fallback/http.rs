//! Answers of the fall-backs: their bodies, what is wrong with a request, and what
//! scripts of other origins may see of them (Fetch standard, section 3.2).

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONNECTION,
        CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING, VARY,
    },
};
use serde_json::json;

use crate::front::{Turned, refuse};

/// What goes down.
pub(super) type Body = Full<Bytes>;

/// What names the connection; base64url of a sealed handle.
pub(super) const HANDLE: HeaderName = HeaderName::from_static("tidegate-handle");

/// Number of the last answer that the client has.
pub(super) const CURSOR: HeaderName = HeaderName::from_static("tidegate-cursor");

/// Number of a send, from 1.
pub(super) const SEQUENCE: HeaderName = HeaderName::from_static("tidegate-sequence");

/// Where a reader of server-sent events stands.
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// For whole milliseconds.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// A request that gets nothing.
pub(super) enum Refused {
    /// As an upgrade would be.
    AtTheDoor(Turned),
    For(Problem),
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    NotFound,
    Method,
    ContentType,
    Header,
    TooLarge,
    TooSlow,
    Channels,
    EventId,
    Handle,
    Codec,
    Gone,
    /// The sequence that is due.
    Sequence(u64),
    Cursor,
    OverRate,
    Unreachable,
}

/// An answer of JSON.
pub(super) fn page(body: Bytes) -> Response<Body> {
    let mut response = whole(StatusCode::OK, body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer of its status alone.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    whole(status, Bytes::new())
}

/// The head of a stream of server-sent events, whose pieces are chunks (RFC 9112,
/// section 7.1).
pub(super) fn events_head() -> Response<Body> {
    let mut response = empty(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Neither kept nor changed on the way, nor held back (nginx asks for the last one).
    let untouched = HeaderValue::from_static("no-store, no-transform");
    headers.insert(CACHE_CONTROL, untouched);
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    response
}

/// The head as it goes over the wire.
pub(super) fn written(head: &Response<Body>) -> Vec<u8> {
    let mut text = b"HTTP/1.1 200 OK\r\n".to_vec();
    for (name, value) in head.headers() {
        text.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    text.extend(b"\r\n");
    text
}

fn whole(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
}

/// Lets scripts of this origin, which is allowed, read the answer.
pub(super) fn share(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(VARY, HeaderValue::from_static("origin"));
    let exposed = HeaderValue::from_static("retry-after, retry-after-ms");
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}

/// Answers a preflight: what scripts may send.
pub(super) fn preflight() -> Response<Body> {
    let mut response = empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    let methods = HeaderValue::from_static("GET, POST");
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "authorization, content-type, last-event-id, tidegate-cursor, tidegate-handle, \
             tidegate-sequence, tidegate-ticket",
        ),
    );
    // What Chromium takes at most.
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    response
}

// === impl Refused ===

impl Refused {
    pub(super) fn response(&self) -> Response<Body> {
        match self {
            Self::AtTheDoor(turned) => refuse(turned),
            Self::For(problem) => problem.response(),
        }
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::For(problem)
    }
}

impl<T: Into<Turned>> From<T> for Refused {
    fn from(turned: T) -> Self {
        Self::AtTheDoor(turned.into())
    }
}

// === impl Problem ===

impl Problem {
    /// Until a request that was not taken is worth repeating.
    const PAUSE: Duration = Duration::from_millis(250);

    fn response(self) -> Response<Body> {
        let mut body = json!({ "code": self.code(), "message": self.message() });
        if let Self::Sequence(expected) = self {
            body["expected"] = expected.into();
        }
        let mut response = page(body.to_string().into());
        *response.status_mut() = self.status();
        if matches!(self, Self::OverRate | Self::Unreachable) {
            let headers = response.headers_mut();
            let ms = Self::PAUSE.as_millis() as u64;
            headers.insert(RETRY_AFTER, ms.div_ceil(1_000).into());
            headers.insert(RETRY_AFTER_MS, ms.into());
        }
        response
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Header | Self::Channels | Self::EventId | Self::Codec => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Handle => StatusCode::FORBIDDEN,
            Self::Gone => StatusCode::GONE,
            Self::Sequence(_) | Self::Cursor => StatusCode::CONFLICT,
            Self::OverRate => StatusCode::TOO_MANY_REQUESTS,
            Self::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Stable name.
    const fn code(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Method => "method_not_allowed",
            Self::ContentType => "unsupported_content_type",
            Self::Header => "missing_header",
            Self::TooLarge => "message_too_large",
            Self::TooSlow => "request_timeout",
            Self::Channels => "invalid_channels",
            Self::EventId => "invalid_last_event_id",
            Self::Handle => "invalid_handle",
            Self::Codec => "wrong_message_type",
            Self::Gone => "gone",
            Self::Sequence(_) => "sequence",
            Self::Cursor => "cursor",
            Self::OverRate => "over_rate",
            Self::Unreachable => "unreachable",
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::NotFound => "there are /v1/ws, /v1/sse, /v1/poll and /v1/send",
            Self::Method => "use POST, or GET to watch /v1/sse",
            Self::ContentType => "say application/json or application/x-protobuf",
            Self::Header => "Tidegate-Handle needs Tidegate-Sequence, or Tidegate-Cursor",
            Self::TooLarge => "a message is larger than it may be",
            Self::TooSlow => "the request did not come in time",
            Self::Channels => "name 1 to 16 channels, as channel=namespace.name",
            Self::EventId => "Last-Event-ID is none that was given here",
            Self::Handle => "nobody here has sealed this handle",
            Self::Codec => "the connection was opened with another Content-Type, or otherwise",
            Self::Gone => "there is no such connection any more",
            Self::Sequence(_) => "an earlier send is missing",
            Self::Cursor => "this is not the last answer's cursor",
            Self::OverRate => "what was sent before has not been read yet",
            Self::Unreachable => "the gateway that holds the connection did not answer",
        }
    }
}
