//! One client connection: 24 bytes while nothing is unfinished.
//!
//! ```text
//! Upgrading ─101→ Welcoming ─Welcome→ Subscribing ─Subscribed→ Ready
//!     └──────────────┴────────────────────┴────────────────────┴──→ Closed
//! ```
//! A connection that subscribes to nothing is ready with its Welcome.

use std::collections::BTreeSet;

use rustix::fd::OwnedFd;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Upgrading,
    Welcoming,
    Subscribing,
    Ready,
    Closed,
}

/// A connection at rest.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: Option<OwnedFd>,
    pub(crate) stage: Stage,
    /// Which [`crate::engine::Profile`] it was opened with.
    pub(crate) profile: u8,
    /// When it was opened, microseconds since the engine's start.
    pub(crate) opened_us: u32,
    /// The sequence number that should come next.
    next_sequence: u32,
    unfinished: Option<Box<Unfinished>>,
}

/// What only some connections hold for some time.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    /// The beginning of a frame.
    pub(crate) received: Vec<u8>,
    /// What the socket did not take yet.
    pub(crate) unsent: Vec<u8>,
    /// Sequence numbers passed over and not seen since.
    missing: BTreeSet<u32>,
}

/// How a numbered message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    InOrder,
    /// After a later one.
    Late,
    /// For the second time.
    Again,
}

// === impl Connection ===

impl Connection {
    pub(crate) fn new(socket: Option<OwnedFd>, profile: u8, opened_us: u32) -> Self {
        let stage = if socket.is_some() {
            Stage::Upgrading
        } else {
            Stage::Closed
        };
        Self {
            socket,
            stage,
            profile,
            opened_us,
            next_sequence: 0,
            unfinished: None,
        }
    }

    pub(crate) fn unfinished(&mut self) -> &mut Unfinished {
        self.unfinished.get_or_insert_default()
    }

    pub(crate) fn has_unsent(&self) -> bool {
        self.unfinished
            .as_ref()
            .is_some_and(|unfinished| !unfinished.unsent.is_empty())
    }

    /// The beginning of a frame, if one is held.
    pub(crate) fn take_received(&mut self) -> Vec<u8> {
        self.unfinished
            .as_mut()
            .map(|unfinished| std::mem::take(&mut unfinished.received))
            .unwrap_or_default()
    }

    /// Gives back memory that is not needed any more.
    pub(crate) fn settle(&mut self) {
        if self
            .unfinished
            .as_ref()
            .is_some_and(|unfinished| unfinished.is_empty())
        {
            self.unfinished = None;
        }
    }

    /// Notes that a numbered message came; numbers begin at zero.
    pub(crate) fn arrived(&mut self, sequence: u32) -> Arrival {
        if sequence >= self.next_sequence {
            if sequence > self.next_sequence {
                let gap = self.next_sequence..sequence;
                self.unfinished().missing.extend(gap);
            }
            self.next_sequence = sequence + 1;
            return Arrival::InOrder;
        }
        let missed = self
            .unfinished
            .as_mut()
            .is_some_and(|unfinished| unfinished.missing.remove(&sequence));
        if missed {
            Arrival::Late
        } else {
            Arrival::Again
        }
    }
}

// === impl Unfinished ===

impl Unfinished {
    fn is_empty(&self) -> bool {
        self.received.is_empty() && self.unsent.is_empty() && self.missing.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_at_rest_is_small() {
        assert!(size_of::<Connection>() <= 24);
    }

    #[test]
    fn gaps_repeats_and_late_messages_are_told_apart() {
        let mut connection = Connection::new(None, 0, 0);
        let arrivals = [0, 1, 4, 2, 2, 0, 5].map(|sequence| connection.arrived(sequence));
        use Arrival::{Again, InOrder, Late};
        assert_eq!(
            arrivals,
            [InOrder, InOrder, InOrder, Late, Again, Again, InOrder]
        );
        assert_eq!(connection.unfinished().missing, BTreeSet::from([3]));
    }
}
