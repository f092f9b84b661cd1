//! What the actors of a run write down, and the checker reads: made in memory,
//! bounded by the length of the run. All times are since the run began.

use std::{collections::BTreeMap, fmt, time::Duration};

use client::{Gap, Verdict};

use super::{
    commands::{Command, Executions},
    heir::Heir,
};

/// Names a publication: each is published by one publisher, as its so-manyeth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PublicationId {
    pub(super) publisher: u32,
    pub(super) sequence: u32,
}

/// A channel under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChannelInfo {
    pub(super) name: String,
    pub(super) keeps: Keeps,
}

/// What is kept of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeps {
    /// Nothing: what is lost must be told.
    Nothing,
    /// So many publications: what is lost must be told, and must not be lost while
    /// the log has it.
    Log(usize),
}

/// All publications of a publisher, to its one channel; the index is the
/// sequence.
#[derive(Clone, Debug)]
pub(super) struct Published {
    /// Index among the channels.
    pub(super) channel: usize,
    pub(super) attempts: Vec<Attempt>,
}

/// One publication, however often it was tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) started: Duration,
    /// When it was acknowledged, and with which offset.
    pub(super) acknowledged: Option<(Duration, u64)>,
}

/// What one subscription saw.
#[derive(Clone, Debug)]
pub(super) struct Subscribed {
    pub(super) client: usize,
    /// Index among the channels.
    pub(super) channel: usize,
    /// From here on nothing may be missing.
    pub(super) since: Duration,
    pub(super) seen: Vec<Seen>,
    /// It was read until all had settled, so that its end may be missing nothing.
    pub(super) is_complete: bool,
}

/// One event of a subscription.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: Duration,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// `None`: a payload that nobody published to this channel.
    Publication(u64, Option<PublicationId>),
    Gap(Gap),
    Resubscribed(Verdict),
    Ended(String),
}

/// The log of a channel as the bus has it in the end: offsets and payloads.
pub(super) type Log = BTreeMap<u64, PublicationId>;

/// All of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    pub(super) channels: Vec<ChannelInfo>,
    pub(super) publishers: Vec<Published>,
    pub(super) subscriptions: Vec<Subscribed>,
    /// By channel; empty where none is kept.
    pub(super) logs: Vec<Log>,
    pub(super) commands: Vec<Command>,
    pub(super) executions: Executions,
    pub(super) heirs: Vec<Heir>,
}

// === impl PublicationId ===

impl PublicationId {
    /// The payload for `channel`, of `size` bytes if there is room for that.
    pub(super) fn payload(self, channel: &str, size: usize) -> String {
        let mut text = format!("{channel} {self} ");
        let missing = size.saturating_sub(text.len());
        text.extend(std::iter::repeat_n('.', missing));
        text
    }

    /// Reads a payload back, if it is one for `channel`.
    pub(super) fn of_payload(payload: &[u8], channel: &str) -> Option<Self> {
        let mut words = std::str::from_utf8(payload).ok()?.split(' ');
        if words.next() != Some(channel) {
            return None;
        }
        let (publisher, sequence) = words.next()?.split_once('-')?;
        Some(Self {
            publisher: publisher.parse().ok()?,
            sequence: sequence.parse().ok()?,
        })
    }
}

impl fmt::Display for PublicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.publisher, self.sequence)
    }
}

// === impl Records ===

impl Records {
    /// What is known of a publication; `None`: nobody published it.
    pub(super) fn attempt(&self, id: PublicationId) -> Option<&Attempt> {
        let publisher = self.publishers.get(id.publisher as usize)?;
        publisher.attempts.get(id.sequence as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_says_who_published_it_where() {
        let id = PublicationId {
            publisher: 7,
            sequence: 4_000,
        };
        let payload = id.payload("log.c1", 100);
        assert_eq!(payload.len(), 100);
        let read = |channel| PublicationId::of_payload(payload.as_bytes(), channel);
        assert_eq!(read("log.c1"), Some(id));
        assert_eq!(read("log.c2"), None);
        assert_eq!(PublicationId::of_payload(b"\xff", "log.c1"), None);
    }
}
