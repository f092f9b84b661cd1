//! An entry as the table holds it.

use bus::{Revision, WorkerFailure};
use bytes::Bytes;
use prost::Message;
use wire::gateway::{
    JournalAnswer, JournalClaim, JournalEntry, JournalFailure, JournalUnknown, journal_answer,
    journal_entry,
};

/// What the table holds for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) fingerprint: Bytes,
    /// How often workers were asked; from 1.
    pub(crate) attempt: u32,
    pub(crate) state: State,
}

/// Where the request stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// A gateway asks a worker, or is about to.
    Claim(Claim),
    /// Final: what the worker said.
    Answer(Answer),
    /// Final: nobody will ever know.
    Unknown,
}

/// A gateway's right to ask a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) gateway: Box<str>,
    pub(crate) nonce: u64,
    /// Unix time in milliseconds; once it is past the claim has lapsed.
    pub(crate) until_ms: i64,
}

/// A worker's last word on a request.
pub(crate) type Answer = Result<Bytes, WorkerFailure>;

/// An entry and the version that a change is conditional on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) entry: Entry,
    pub(crate) revision: Revision,
}

// === impl Entry ===

impl Entry {
    pub(crate) fn encode(&self) -> Bytes {
        let state = match &self.state {
            State::Claim(claim) => journal_entry::State::Claim(JournalClaim {
                gateway: claim.gateway.to_string(),
                nonce: claim.nonce,
                until_ms: claim.until_ms,
            }),
            State::Answer(answer) => journal_entry::State::Answer(encode_answer(answer)),
            State::Unknown => journal_entry::State::Unknown(JournalUnknown {}),
        };
        let entry = JournalEntry {
            fingerprint: self.fingerprint.clone(),
            attempt: self.attempt,
            state: Some(state),
        };
        entry.encode_to_vec().into()
    }

    /// `None`: not an entry that this version knows.
    pub(crate) fn decode(value: Bytes) -> Option<Self> {
        let entry = JournalEntry::decode(value).ok()?;
        let state = match entry.state? {
            journal_entry::State::Claim(claim) => State::Claim(Claim {
                gateway: claim.gateway.into(),
                nonce: claim.nonce,
                until_ms: claim.until_ms,
            }),
            journal_entry::State::Answer(answer) => State::Answer(decode_answer(answer)?),
            journal_entry::State::Unknown(JournalUnknown {}) => State::Unknown,
        };
        Some(Self {
            fingerprint: entry.fingerprint,
            attempt: entry.attempt.max(1),
            state,
        })
    }
}

fn encode_answer(answer: &Answer) -> JournalAnswer {
    let outcome = match answer {
        Ok(payload) => journal_answer::Outcome::Payload(payload.clone()),
        Err(failure) => journal_answer::Outcome::Failure(JournalFailure {
            code: failure.code.to_string(),
            message: failure.message.to_string(),
        }),
    };
    JournalAnswer {
        outcome: Some(outcome),
    }
}

fn decode_answer(answer: JournalAnswer) -> Option<Answer> {
    Some(match answer.outcome? {
        journal_answer::Outcome::Payload(payload) => Ok(payload),
        // A retryable failure is no answer and never kept.
        journal_answer::Outcome::Failure(failure) => Err(WorkerFailure {
            code: failure.code.into(),
            message: failure.message.into(),
            retryable: false,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_comes_back_as_it_was_written() {
        let claim = Claim {
            gateway: "gw1".into(),
            nonce: u64::MAX,
            until_ms: 1_800_000_000_000,
        };
        let failure = WorkerFailure {
            code: "sold_out".into(),
            message: "none left".into(),
            retryable: false,
        };
        for state in [
            State::Claim(claim),
            State::Answer(Ok("done".into())),
            State::Answer(Ok(Bytes::new())),
            State::Answer(Err(failure)),
            State::Unknown,
        ] {
            let entry = Entry {
                fingerprint: "0123456789abcdef".into(),
                attempt: 3,
                state,
            };
            assert_eq!(Entry::decode(entry.encode()), Some(entry));
        }
    }

    #[test]
    fn what_is_no_entry_is_not_taken_for_one() {
        for value in [&b""[..], b"\xff", b"\x10\x01"] {
            assert_eq!(Entry::decode(Bytes::from_static(value)), None);
        }
    }
}
