//! What JetStream's API takes and says, as far as we use it. Pure.

use std::time::{Duration, SystemTime};

use base64::Engine;
use serde::Deserialize;
use serde_json::json;

use super::log_config::Config;
use crate::port::BusError;

/// The answer to a message published to a stream.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Ack {
    /// The stream's sequence of the message.
    #[serde(default)]
    pub(super) seq: u64,
    /// It had been stored before.
    #[serde(default)]
    pub(super) duplicate: bool,
    error: Option<ApiError>,
}

/// What the API says when it refuses.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct ApiError {
    #[serde(default)]
    pub(super) code: u16,
    #[serde(default)]
    pub(super) err_code: u32,
    #[serde(default)]
    pub(super) description: String,
}

/// The answer to a question about a stream, or to a change of it.
#[derive(Debug, Deserialize)]
pub(super) struct StreamInfo {
    pub(super) created: String,
    pub(super) config: Config,
    pub(super) state: StreamState,
}

/// What a stream holds.
#[derive(Debug, Default, Deserialize)]
pub(super) struct StreamState {
    #[serde(default)]
    pub(super) first_seq: u64,
    #[serde(default)]
    pub(super) last_seq: u64,
    /// Messages by subject, where they were asked for.
    #[serde(default)]
    pub(super) subjects: std::collections::HashMap<String, u64>,
}

/// A message that the leader of a stream was asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub(super) message: FoundMessage,
}

/// As far as we look at it.
#[derive(Debug, Deserialize)]
pub(super) struct FoundMessage {
    pub(super) seq: u64,
    /// The headers' block in base64.
    #[serde(default)]
    pub(super) hdrs: String,
}

/// The sequence is not the expected one.
pub(super) const WRONG_LAST_SEQUENCE: u32 = 10_071;
/// Another value of it: an expected sequence while one is being written.
pub(super) const WRONG_LAST_SEQUENCE_CONSTANT: u32 = 10_164;
/// A stream of that name is there and different.
pub(super) const NAME_IN_USE: u32 = 10_058;
/// No stream of that name.
pub(super) const STREAM_NOT_FOUND: u32 = 10_059;
/// No message fits.
pub(super) const NO_MESSAGE: u32 = 10_037;
/// Bytes of one batch: half of what a server has waiting for a client at most.
const MOST_BYTES: usize = 32 << 20;

/// Of the times that servers can say: in the year 2200. They count nanoseconds
/// since 1970 in 64 bits.
const LAST_SECOND: u64 = 7_258_118_400;

/// The message is larger than the stream takes.
const MESSAGE_TOO_LARGE: u32 = 10_054;

// === impl FoundMessage ===

impl FoundMessage {
    /// Whether it stands for the absence of a table's entry.
    pub(super) fn is_marker(&self) -> bool {
        let Ok(block) = base64::engine::general_purpose::STANDARD.decode(&self.hdrs) else {
            return false;
        };
        let block = String::from_utf8_lossy(&block);
        block.lines().any(|line| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            match name {
                "KV-Operation" => matches!(value.trim(), "DEL" | "PURGE"),
                name => name == "Nats-Marker-Reason",
            }
        })
    }
}

/// What a stream says to a message: stored, or why not.
pub(super) fn acknowledged(payload: &[u8]) -> Result<Ack, BusError> {
    // Whoever answers in other words is no stream.
    let ack: Ack = serde_json::from_slice(payload).map_err(|_| BusError::Unavailable)?;
    match &ack.error {
        None if ack.seq > 0 => Ok(ack),
        None => Err(BusError::Unavailable),
        Some(error) => Err(match error.err_code {
            WRONG_LAST_SEQUENCE | WRONG_LAST_SEQUENCE_CONSTANT => BusError::Conflict,
            MESSAGE_TOO_LARGE => BusError::TooLarge,
            _ if error.code == 429 => BusError::Overloaded,
            _ => BusError::Unavailable,
        }),
    }
}

/// An answer of the API: what was asked for, or why not.
pub(super) fn answered<T: for<'a> Deserialize<'a>>(payload: &[u8]) -> Result<T, ApiError> {
    #[derive(Deserialize)]
    struct Refused {
        error: ApiError,
    }
    if let Ok(Refused { error }) = serde_json::from_slice(payload) {
        return Err(error);
    }
    serde_json::from_slice(payload).map_err(|error| ApiError {
        code: 0,
        err_code: 0,
        description: error.to_string(),
    })
}

/// Direct get: up to `batch` messages of `subject`, wildcards allowed, from a
/// sequence on; the one that reaches `max_bytes` is the last.
pub(super) fn next_by_subject(subject: &str, from: u64, batch: usize, max_bytes: usize) -> Vec<u8> {
    let (from, max_bytes) = (from.max(1), max_bytes.clamp(1, MOST_BYTES));
    json!({ "seq": from, "batch": batch, "max_bytes": max_bytes, "next_by_subj": subject })
        .to_string()
        .into()
}

/// A question to a stream's leader: the first message of `subject` that was
/// stored at this time or later.
pub(super) fn next_since(subject: &str, time: SystemTime) -> Vec<u8> {
    // Times that servers can't say are before or after all that they store.
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(LAST_SECOND);
    let time = time.clamp(SystemTime::UNIX_EPOCH, last);
    let time = humantime::format_rfc3339_nanos(time).to_string();
    json!({ "start_time": time, "next_by_subj": subject })
        .to_string()
        .into()
}

/// Direct get: the newest message of each subject, wildcards allowed.
pub(super) fn multi_last<'a>(subjects: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let subjects: Vec<_> = subjects.collect();
    json!({ "multi_last": subjects }).to_string().into()
}

/// The identity of a stream, from the moment of its creation as the server
/// writes it: letters and digits only, as it travels to clients.
pub(super) fn epoch(created: &str) -> wire::Epoch {
    let name: String = created
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    wire::Epoch::new(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_tell_what_became_of_a_message() {
        let ack = acknowledged(br#"{"stream":"TG_A","seq":2}"#).expect("stored");
        assert_eq!((ack.seq, ack.duplicate), (2, false));
        let ack = acknowledged(br#"{"stream":"TG_A","seq":2,"duplicate": true}"#).expect("known");
        assert_eq!((ack.seq, ack.duplicate), (2, true));
        let cases: [(&[u8], BusError); 5] = [
            (
                br#"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 1"},"stream":"KV","seq":0}"#,
                BusError::Conflict,
            ),
            (
                br#"{"error":{"code":400,"err_code":10054},"stream":"S","seq":0}"#,
                BusError::TooLarge,
            ),
            (br#"{"error":{"code":503,"err_code":10008}}"#, BusError::Unavailable),
            (b"pong", BusError::Unavailable),
            (b"{}", BusError::Unavailable),
        ];
        for (payload, expected) in cases {
            assert_eq!(acknowledged(payload), Err(expected));
        }
    }

    #[test]
    fn a_refusal_is_told_from_an_answer() {
        let refused = answered::<StreamInfo>(
            br#"{"error":{"code":404,"err_code":10059,"description":"stream not found"},"total":0}"#,
        );
        assert_eq!(refused.expect_err("refused").err_code, STREAM_NOT_FOUND);
        let info: StreamInfo = answered(
            br#"{"config":{"name":"S"},"created":"2026-11-23T04:55:36.2Z","state":{"first_seq":1,"last_seq":7}}"#,
        )
        .expect("answered");
        assert_eq!((info.state.first_seq, info.state.last_seq), (1, 7));
        assert_eq!(epoch(&info.created).as_str(), "20261123T0455362Z");
    }
}
