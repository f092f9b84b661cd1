//! Signals: what clients in a channel send each other.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::broadcast, time::Instant};
use wire::client::{self as proto, signal::To};

use crate::{client::Client, error::Error, in_flight::Operation, presence::Member};

/// Signals kept for a reader; one that is slower loses the oldest.
pub(crate) const MOST: usize = 256;

/// Two connections of one client bring the same signal at most so far apart.
const COPY_WITHIN: Duration = Duration::from_secs(2);

/// Signals remembered for that.
const MOST_RECENT: usize = 256;

/// Something that another member of a channel sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// The channel that both are members of.
    pub channel: Arc<str>,
    /// Who sent it, as the gateways know it.
    pub from: Member,
    /// What was sent.
    pub payload: Bytes,
}

/// Whom a signal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressee<'a> {
    /// All sessions of a user that are in the channel.
    User(&'a str),
    /// One session: [`Member::session_id`].
    Session(&'a str),
    /// One connection: [`Member::connection_id`].
    Connection(&'a str),
}

/// The signals from the moment on at which this was made; a reader that is 256 behind
/// loses the oldest.
#[derive(Debug)]
pub struct Signals {
    receiver: broadcast::Receiver<Signal>,
}

/// Signals in the connection's task.
#[derive(Debug)]
pub(crate) struct Ears {
    sender: broadcast::Sender<Signal>,
    /// What came lately while there were two connections: which of them brought it,
    /// what it was, and when.
    recent: VecDeque<(u32, u64, Instant)>,
    hasher: RandomState,
}

// === impl Client ===

impl Client {
    /// Sends something to other members of a channel to which this client is
    /// subscribed, and says how many connections were reached. Nothing is kept: who is
    /// between two connections misses it. At most 16 KiB.
    ///
    /// # Errors
    /// [`ErrorCode::NobodyThere`](crate::ErrorCode) if nobody was reached, another refusal
    /// of the gateway's, [`Error::ConnectionLost`] (it may have been delivered), or
    /// [`Error::Closed`].
    pub async fn signal(
        &self,
        channel: &str,
        to: Addressee<'_>,
        payload: impl Into<Bytes>,
    ) -> Result<u32, Error> {
        let to = match to {
            Addressee::User(user) => To::User(user.to_owned()),
            Addressee::Session(session) => To::SessionId(session.to_owned()),
            Addressee::Connection(connection) => To::ConnectionId(connection.to_owned()),
        };
        let signal = proto::Signal {
            id: 0,
            channel: channel.to_owned(),
            to: Some(to),
            payload: payload.into(),
        };
        self.perform(|reply| Operation::Signal(signal, reply)).await
    }
}

// === impl Signals ===

impl Signals {
    pub(crate) fn new(receiver: broadcast::Receiver<Signal>) -> Self {
        Self { receiver }
    }

    /// The next one; `None` when the client is closed. Can be dropped at any time
    /// without loss.
    pub async fn next(&mut self) -> Option<Signal> {
        loop {
            match self.receiver.recv().await {
                Ok(signal) => return Some(signal),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

// === impl Ears ===

impl Ears {
    pub(crate) fn new(sender: broadcast::Sender<Signal>) -> Self {
        Self {
            sender,
            recent: VecDeque::new(),
            hasher: RandomState::new(),
        }
    }

    /// Takes a signal from connection `line`, which is one of two or alone.
    pub(crate) fn hear(
        &mut self,
        line: u32,
        channel: Arc<str>,
        signalled: proto::Signalled,
        is_one_of_two: bool,
        now: Instant,
    ) {
        let signal = Signal {
            channel,
            from: signalled.from.unwrap_or_default().into(),
            payload: signalled.payload,
        };
        if self.is_copy(line, &signal, is_one_of_two, now) {
            return;
        }
        // Nobody may be listening.
        drop(self.sender.send(signal));
    }

    fn is_copy(&mut self, line: u32, signal: &Signal, is_one_of_two: bool, now: Instant) -> bool {
        let is_old = |(_, _, at): &(u32, u64, Instant)| now - *at > COPY_WITHIN;
        while self.recent.front().is_some_and(is_old) {
            self.recent.pop_front();
        }
        if self.recent.is_empty() && !is_one_of_two {
            return false;
        }
        let sender = &signal.from.connection_id;
        let content = self
            .hasher
            .hash_one((&signal.channel, sender, &signal.payload));
        let is_same = |(of, what, _): &(u32, u64, Instant)| *of != line && *what == content;
        if let Some(index) = self.recent.iter().position(is_same) {
            self.recent.remove(index);
            return true;
        }
        if is_one_of_two {
            if self.recent.len() == MOST_RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back((line, content, now));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_connections_bring_is_heard_once() {
        let (sender, mut heard) = broadcast::channel(MOST);
        let mut ears = Ears::new(sender);
        let now = Instant::now();
        let mut hear = |line, payload: &'static str, is_one_of_two, at| {
            let signalled = proto::Signalled {
                payload: payload.into(),
                ..proto::Signalled::default()
            };
            ears.hear(line, "room.1".into(), signalled, is_one_of_two, at);
            heard.try_recv().is_ok()
        };
        assert!(hear(1, "a", false, now) && hear(1, "a", false, now));
        assert!(hear(1, "b", true, now) && hear(1, "b", true, now));
        assert!(!hear(2, "b", true, now) && !hear(2, "b", false, now));
        assert!(hear(2, "b", false, now));
        assert!(hear(1, "c", true, now));
        assert!(hear(2, "c", true, now + COPY_WITHIN * 2));
    }
}
