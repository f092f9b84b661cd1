//! What travels in headers. Read defensively: they come from anybody.
//!
//! Values of ours are percent-encoded where a header could not hold them; what
//! others write is taken as it stands if it is no such encoding.

use std::{
    borrow::Cow,
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_nats::{HeaderMap, HeaderName};
use wire::{SessionId, UserId};

use crate::{
    origin::Origin,
    port::{BusError, Outgoing, RequestContext, WorkerFailure},
};

static KEY: HeaderName = HeaderName::from_static("Tg-Key");
static PUBLISHED_AT: HeaderName = HeaderName::from_static("Tg-Published-At");
static ORIGIN: HeaderName = HeaderName::from_static("Tg-Origin");
static MESSAGE_ID: HeaderName = HeaderName::from_static("Nats-Msg-Id");
static USER: HeaderName = HeaderName::from_static("Tg-User");
static CONNECTION: HeaderName = HeaderName::from_static("Tg-Connection");
static SESSION: HeaderName = HeaderName::from_static("Tg-Session");
static DEADLINE: HeaderName = HeaderName::from_static("Tg-Deadline");
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("Tg-Idempotency-Key");
static ATTEMPT: HeaderName = HeaderName::from_static("Tg-Attempt");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// NATS ADR-32.
static SERVICE_ERROR: HeaderName = HeaderName::from_static("Nats-Service-Error");
static SERVICE_ERROR_CODE: HeaderName = HeaderName::from_static("Nats-Service-Error-Code");
/// Ours, beside those: a worker's own code, whether to retry, and what the bus
/// of the worker said.
static ERROR_CODE: HeaderName = HeaderName::from_static("Tg-Error-Code");
static RETRYABLE: HeaderName = HeaderName::from_static("Tg-Retryable");
static BUS_ERROR: HeaderName = HeaderName::from_static("Tg-Bus-Error");

/// Requests that name no deadline: from workers' tests and other clients.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

/// Header `Tg-Origin`: publisher (hexadecimal), number and Unix time in
/// microseconds, and `reached` behind them where it is no publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) origin: Origin,
    pub(super) published_at_us: i64,
    /// No publication, only the word that they have come as far as `origin`.
    pub(super) is_word: bool,
}

/// Behind the numbers of a [`Stamp`].
const REACHED: &str = "reached";

/// The key and the publisher's trace context; empty: none.
pub(super) fn key_and_traceparent(headers: &HeaderMap) -> (Box<str>, Box<str>) {
    let (mut key, mut traceparent) = Default::default();
    // One walk: most messages have neither, and few other headers.
    for (name, values) in headers.iter() {
        let field: &mut Box<str> = match name {
            name if *name == KEY => &mut key,
            name if *name == TRACEPARENT => &mut traceparent,
            _ => continue,
        };
        *field = values
            .first()
            .map_or_else(Box::default, |value| decode(value.as_str()).into());
    }
    (key, traceparent)
}

/// Unix time in microseconds: as published, or now.
pub(super) fn published_at_us(headers: &HeaderMap) -> i64 {
    let told = headers.get(PUBLISHED_AT.clone());
    let told = told.and_then(|value| value.as_str().parse::<i64>().ok());
    told.filter(|at| *at > 0).unwrap_or_else(now_us)
}

/// What a message to a subject without a log says of itself.
pub(super) fn stamp(headers: &HeaderMap) -> Stamp {
    let stamped = headers.get(ORIGIN.clone());
    let stamped = stamped.and_then(|value| Stamp::parse(value.as_str()));
    stamped.unwrap_or_else(|| Stamp {
        origin: Origin::UNKNOWN,
        published_at_us: published_at_us(headers),
        is_word: false,
    })
}

/// The headers of a publication, with the id by which its log knows it again;
/// empty: none.
pub(super) fn of_outgoing(outgoing: &Outgoing, message_id: &str, origin: Origin) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !outgoing.key.is_empty() {
        headers.insert(KEY.clone(), &*encode(&outgoing.key));
    }
    let published_at_us = match outgoing.published_at_us {
        0 => now_us(),
        at => at,
    };
    if origin == Origin::UNKNOWN {
        headers.insert(PUBLISHED_AT.clone(), published_at_us.to_string());
    } else {
        // One header for all: each costs both sides.
        let stamp = Stamp {
            origin,
            published_at_us,
            is_word: false,
        };
        headers.insert(ORIGIN.clone(), stamp.to_string());
    }
    if !message_id.is_empty() {
        headers.insert(MESSAGE_ID.clone(), &*encode(message_id));
    }
    if !outgoing.traceparent.is_empty() {
        headers.insert(TRACEPARENT.clone(), &*encode(&outgoing.traceparent));
    }
    headers
}

/// The headers of the word that a publisher has come as far as `origin`.
pub(super) fn of_reached(origin: Origin) -> HeaderMap {
    let stamp = Stamp {
        origin,
        published_at_us: now_us(),
        is_word: true,
    };
    HeaderMap::from_iter([(ORIGIN.clone(), stamp.to_string().into())])
}

/// The headers of a request.
pub(super) fn of_request(context: &RequestContext, deadline: Duration) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(DEADLINE.clone(), deadline.as_millis().to_string());
    if let Some(user) = &context.user {
        headers.insert(USER.clone(), &*encode(user.as_str()));
    }
    if let Some(connection) = &context.connection {
        headers.insert(CONNECTION.clone(), connection.to_string());
    }
    if let Some(session) = context.session {
        headers.insert(SESSION.clone(), session.to_string());
    }
    if !context.idempotency_key.is_empty() {
        headers.insert(IDEMPOTENCY_KEY.clone(), &*encode(&context.idempotency_key));
    }
    if context.attempt > 1 {
        headers.insert(ATTEMPT.clone(), context.attempt.to_string());
    }
    if !context.traceparent.is_empty() {
        headers.insert(TRACEPARENT.clone(), &*encode(&context.traceparent));
    }
    headers
}

/// On whose behalf a request comes, and how long it is waited for.
pub(super) fn context(headers: Option<&HeaderMap>) -> (RequestContext, Duration) {
    let mut context = RequestContext::default();
    let mut deadline = DEFAULT_DEADLINE;
    // One walk over all that came is cheaper than a look-up for each name.
    for (name, values) in headers.into_iter().flat_map(HeaderMap::iter) {
        let Some(value) = values.first() else {
            continue;
        };
        let value = decode(value.as_str());
        match name {
            name if *name == DEADLINE => {
                deadline = value.parse().map_or(deadline, Duration::from_millis);
            }
            name if *name == USER => context.user = UserId::new(&value),
            name if *name == CONNECTION => context.connection = value.parse().ok(),
            name if *name == SESSION => {
                context.session = u128::from_str_radix(&value, 16).ok().map(SessionId);
            }
            name if *name == IDEMPOTENCY_KEY => context.idempotency_key = value.into(),
            name if *name == ATTEMPT => context.attempt = value.parse().unwrap_or_default(),
            name if *name == TRACEPARENT => context.traceparent = value.into(),
            _ => {}
        }
    }
    (context, deadline)
}

/// The headers of a reply that is a failure.
pub(super) fn of_failure(error: &BusError) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let (status, message) = match error {
        BusError::Worker(failure) => {
            headers.insert(ERROR_CODE.clone(), &*encode(&failure.code));
            headers.insert(
                RETRYABLE.clone(),
                if failure.retryable { "true" } else { "false" },
            );
            (400, failure.message.to_string())
        }
        error => {
            headers.insert(BUS_ERROR.clone(), name(error));
            (500, error.to_string())
        }
    };
    headers.insert(SERVICE_ERROR_CODE.clone(), status.to_string());
    headers.insert(SERVICE_ERROR.clone(), &*encode(&message));
    headers
}

/// The failure that a reply is, if it is one.
pub(super) fn failure(headers: Option<&HeaderMap>) -> Option<BusError> {
    let headers = headers?;
    let status = text(headers, &SERVICE_ERROR_CODE);
    let message = text(headers, &SERVICE_ERROR);
    if status.is_empty() && message.is_empty() {
        return None;
    }
    if let Some(error) = by_name(&text(headers, &BUS_ERROR)) {
        return Some(error);
    }
    let code = text(headers, &ERROR_CODE);
    let retryable = match &*text(headers, &RETRYABLE) {
        "true" => true,
        "false" => false,
        // A worker that knows only NATS: as HTTP would have it.
        _ => matches!(&*status, "429" | "503" | "504"),
    };
    Some(BusError::Worker(WorkerFailure {
        code: if code.is_empty() { status } else { code }.into(),
        message: message.into(),
        retryable,
    }))
}

/// The errors of a serving process that its callers must tell apart.
fn name(error: &BusError) -> &'static str {
    match error {
        BusError::NoResponders => "no-responders",
        BusError::DeadlineExceeded => "deadline-exceeded",
        BusError::Cancelled => "cancelled",
        BusError::Overloaded => "overloaded",
        BusError::Unavailable => "unavailable",
        _ => "handler-gone",
    }
}

fn by_name(name: &str) -> Option<BusError> {
    Some(match name {
        "no-responders" => BusError::NoResponders,
        "deadline-exceeded" => BusError::DeadlineExceeded,
        "cancelled" => BusError::Cancelled,
        "overloaded" => BusError::Overloaded,
        "unavailable" => BusError::Unavailable,
        "handler-gone" => BusError::HandlerGone,
        _ => return None,
    })
}

/// Now, Unix time in microseconds.
pub(super) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(i64::MAX)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Cow<'a, str> {
    let value = headers.get(name.clone()).map(|value| value.as_str());
    decode(value.unwrap_or_default())
}

/// A text as a header can hold it: visible ASCII, the rest as `%` and two
/// hexadecimal digits for each byte.
fn encode(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| (b'!'..=b'~').contains(&byte) && byte != b'%';
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(encoded)
}

/// The text again; what is no such encoding stands for itself.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = hex.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (first, _) => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

// === impl Stamp ===

impl Stamp {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let publisher = u64::from_str_radix(words.next()?, 16).ok()?;
        let sequence = words.next()?.parse().ok()?;
        let published_at_us = words.next()?.parse().ok()?;
        let origin = Origin {
            publisher,
            sequence,
        };
        let is_real = publisher != 0 && sequence != 0 && published_at_us > 0;
        is_real.then_some(Self {
            origin,
            published_at_us,
            is_word: words.next() == Some(REACHED),
        })
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin {
            publisher,
            sequence,
        } = self.origin;
        write!(f, "{publisher:x} {sequence} {}", self.published_at_us)?;
        match self.is_word {
            true => write!(f, " {REACHED}"),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_survives_a_header() {
        for value in ["plain", "a b", " edges ", "100 %", "%41", "Zoë", "日本"] {
            let encoded = encode(value);
            assert!(
                encoded.bytes().all(|byte| (b'!'..=b'~').contains(&byte)),
                "{encoded}"
            );
            assert_eq!(decode(&encoded), value);
        }
    }

    #[test]
    fn what_others_write_stands_for_itself() {
        for value in ["50% off", "%", "%4", "%zz", "%ff"] {
            assert_eq!(decode(value), value);
        }
    }

    #[test]
    fn stamps_are_read_as_written_and_nonsense_is_none() {
        for is_word in [false, true] {
            let stamp = Stamp {
                origin: Origin {
                    publisher: u64::MAX,
                    sequence: 12,
                },
                published_at_us: 1_700_000_000_000_001,
                is_word,
            };
            assert_eq!(Stamp::parse(&stamp.to_string()), Some(stamp));
        }
        for text in [
            "", "a", "a 1", "a 1 x", "0 1 1", "a 0 1", "a 1 0", "a 1 -1", "-a 1 1",
        ] {
            assert_eq!(Stamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn failures_pass_through_headers() {
        let failure_of = |error: &BusError| failure(Some(&of_failure(error)));
        for error in [
            BusError::NoResponders,
            BusError::HandlerGone,
            BusError::Overloaded,
            BusError::Worker(WorkerFailure {
                code: "out of stock".into(),
                message: "none left: äöü".into(),
                retryable: true,
            }),
        ] {
            assert_eq!(failure_of(&error), Some(error));
        }
    }

    #[test]
    fn workers_that_know_only_nats_are_understood() {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Service-Error", "try later");
        headers.insert("Nats-Service-Error-Code", "503");
        let expected = WorkerFailure {
            code: "503".into(),
            message: "try later".into(),
            retryable: true,
        };
        assert_eq!(failure(Some(&headers)), Some(BusError::Worker(expected)));
        assert_eq!(failure(Some(&HeaderMap::new())), None);
    }

    #[test]
    fn nonsense_in_a_request_is_left_out() {
        let mut headers = HeaderMap::new();
        for name in ["Tg-Session", "Tg-Connection", "Tg-Deadline"] {
            headers.insert(name, "nonsense");
        }
        let (context, deadline) = context(Some(&headers));
        assert_eq!((context.session, context.connection), (None, None));
        assert_eq!(deadline, DEFAULT_DEADLINE);
    }
}
