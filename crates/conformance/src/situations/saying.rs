//! What gateways say, as scripts need it.

use wire::client::{
    Closing, ErrorCode, Publication, Request, Response, response::Outcome, server_event::Event,
};

/// A publication of a channel with a log.
pub(super) fn publication(alias: u32, previous: u64, offset: u64) -> Event {
    Event::Publication(Publication {
        alias,
        offset,
        previous,
        payload: "p".into(),
        published_at_us: STAMP + i64::try_from(offset).unwrap_or_default() * 10_000,
        ..Publication::default()
    })
}

/// The `nth` publication of a channel without a log.
pub(super) fn tick(alias: u32, nth: i64, payload: &'static str) -> Event {
    Event::Publication(Publication {
        alias,
        payload: payload.into(),
        published_at_us: STAMP + nth * 10_000,
        ..Publication::default()
    })
}

/// Some time of publishing, Unix time in microseconds.
const STAMP: i64 = 1_780_000_000_000_000;

/// A worker's answer that is what it was asked.
pub(super) fn echo(request: &Request) -> Event {
    let outcome = Some(Outcome::Payload(request.payload.clone()));
    Event::Response(Response {
        id: request.id,
        outcome,
    })
}

pub(super) fn refusal(id: u32, code: ErrorCode) -> Event {
    let failure = Some(wire::failure(code, ""));
    Event::Error(wire::client::Error { id, failure })
}

pub(super) fn closing(code: u16, cause: &str, retry_after_ms: u32) -> Closing {
    Closing {
        close_code: code.into(),
        cause: cause.into(),
        message: "as the script has it".into(),
        retry_after_ms,
        resumable: true,
    }
}
