//! Stored messages, as streams republish them and direct gets answer. Pure.
//!
//! Headers are read defensively: whatever is no number counts as absent, and a
//! message without a sequence is none of a log's.

use async_nats::{
    HeaderMap,
    header::{IntoHeaderName, NATS_LAST_SEQUENCE, NATS_SEQUENCE, NATS_STREAM, NATS_SUBJECT},
};
use bytes::Bytes;
use wire::Offset;

use super::headers;
use crate::{origin::Origin, port::Message, subject::Subject};

/// The fields that a stream adds to what it stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp<'a> {
    /// Which stream.
    pub(super) stream: &'a str,
    /// What it was published to.
    pub(super) subject: &'a str,
    /// Its place in the stream; never zero.
    pub(super) sequence: u64,
    /// Republished: the sequence of the message before it with the same
    /// subject. In a batch: of the message before it in the batch. Zero: none.
    pub(super) last_sequence: u64,
}

/// The status that ends a batch, or that stands in for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// 204 after the last message, 404 if there is none, 413 if there are too
    /// many to give.
    pub(super) status: u16,
    /// How many more match.
    pub(super) pending: u64,
    /// The newest sequence that the answering replica knows; zero: not told.
    pub(super) up_to: u64,
    /// The last message of the batch; zero: none, or not told.
    pub(super) last_sequence: u64,
}

// === impl Stamp ===

impl<'a> Stamp<'a> {
    pub(super) fn of(headers: Option<&'a HeaderMap>) -> Option<Self> {
        let headers = headers?;
        let sequence = number(headers, NATS_SEQUENCE).filter(|sequence| *sequence > 0)?;
        Some(Self {
            stream: text(headers, NATS_STREAM)?,
            subject: text(headers, NATS_SUBJECT)?,
            sequence,
            last_sequence: number(headers, NATS_LAST_SEQUENCE).unwrap_or(0),
        })
    }
}

// === impl End ===

impl End {
    pub(super) fn of(message: &async_nats::Message) -> Option<Self> {
        let status = message.status?.as_u16();
        let field = |name| {
            message
                .headers
                .as_ref()
                .and_then(|headers| number(headers, name))
        };
        Some(Self {
            status,
            pending: field("Nats-Num-Pending").unwrap_or(0),
            up_to: field("Nats-UpTo-Sequence").unwrap_or(0),
            last_sequence: field("Nats-Last-Sequence").unwrap_or(0),
        })
    }
}

/// Whether a batch in order of sequence has come without a hole: each message
/// names the one before it, and the end names the last one.
pub(super) fn is_whole(messages: &[async_nats::Message], end: &End) -> bool {
    let mut last = 0;
    for message in messages {
        let Some(stamp) = Stamp::of(message.headers.as_ref()) else {
            continue;
        };
        if stamp.last_sequence != last {
            return false;
        }
        last = stamp.sequence;
    }
    end.last_sequence == 0 || end.last_sequence == last
}

/// The stored message as subscribers see it. Its payload is a copy: the
/// original holds on to the connection's read buffer.
pub(super) fn stored(
    headers: &HeaderMap,
    payload: &[u8],
    subject: Subject,
    (offset, previous): (u64, u64),
) -> Message {
    let (key, traceparent) = headers::key_and_traceparent(headers);
    Message {
        subject,
        payload: Bytes::copy_from_slice(payload),
        key,
        published_at_us: headers::published_at_us(headers),
        offset: Offset(offset),
        previous: Offset(previous),
        origin: Origin::UNKNOWN,
        traceparent,
    }
}

/// Whether a table's message stands for the absence of its entry.
pub(super) fn is_marker(headers: Option<&HeaderMap>) -> bool {
    let Some(headers) = headers else { return false };
    let removed = matches!(text(headers, "KV-Operation"), Some("DEL" | "PURGE"));
    removed || text(headers, "Nats-Marker-Reason").is_some()
}

fn text(headers: &HeaderMap, name: impl IntoHeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.as_str())
}

fn number(headers: &HeaderMap, name: impl IntoHeaderName) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(*name, *value);
        }
        headers
    }

    #[test]
    fn a_republished_message_tells_its_place() {
        let headers = headers(&[
            ("Nats-Stream", "TG_A"),
            ("Nats-Subject", "a.b"),
            ("Nats-Sequence", "5"),
            ("Nats-Last-Sequence", "3"),
        ]);
        let stamp = Stamp::of(Some(&headers)).expect("is stamped");
        assert_eq!((stamp.stream, stamp.subject), ("TG_A", "a.b"));
        assert_eq!((stamp.sequence, stamp.last_sequence), (5, 3));
    }

    #[test]
    fn what_no_stream_has_stamped_is_none_of_its_messages() {
        assert_eq!(Stamp::of(None), None);
        for sequence in ["", "0", "-1", "x", "18446744073709551616"] {
            let headers = headers(&[
                ("Nats-Stream", "TG_A"),
                ("Nats-Subject", "a.b"),
                ("Nats-Sequence", sequence),
            ]);
            assert_eq!(Stamp::of(Some(&headers)), None, "{sequence}");
        }
    }

    #[test]
    fn markers_of_every_kind_are_recognised() {
        assert!(is_marker(Some(&headers(&[("KV-Operation", "PURGE")]))));
        assert!(is_marker(Some(&headers(&[("KV-Operation", "DEL")]))));
        assert!(is_marker(Some(&headers(&[(
            "Nats-Marker-Reason",
            "MaxAge"
        )]))));
        assert!(!is_marker(Some(&headers(&[("KV-Operation", "PUT")]))));
        assert!(!is_marker(None));
    }
}
