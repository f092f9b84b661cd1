//! The chain of one channel, or of the mailbox: each message names the offset
//! before it, and the client checks that it holds that one.

use wire::client::{Position, Verdict};

/// What a subscription holds of its channel.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    epoch: String,
    /// Offset of the newest publication seen; `None`: the channel keeps no log,
    /// as far as is known.
    last: Option<u64>,
    /// Up to here the gateway itself has reported what is missing.
    reported_to: u64,
    /// Up to here publications are a snapshot, not a chain; zero: none is under
    /// way.
    snapshot_to: u64,
    /// Not all of the snapshot has come.
    is_partial: bool,
    /// Whether offsets join.
    joints: Joints,
    /// The channel conflates by itself, as far as is known.
    conflates: bool,
}

/// Whether each publication's predecessor must have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Joints {
    #[default]
    Tight,
    /// Not until the next one that joins: less was asked for before.
    LooseYet,
    /// Newer ones replace others.
    Loose,
}

/// How a publication fits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It follows.
    InOrder,
    /// It is of the state that the subscription began with.
    Snapshot,
    /// It was delivered before.
    Duplicate,
    /// Publications from the first to the second offset, inclusive, never came.
    Broken(u64, u64),
}

// === impl Chain ===

impl Chain {
    /// What to ask for when subscribing again: what was reported as missing has
    /// been dealt with, and of a state of which a part is missing nothing can go on.
    pub(crate) fn position(&self) -> Option<Position> {
        (self.has_log() && !self.is_partial).then(|| Position {
            epoch: self.epoch.clone(),
            offset: self.held(),
        })
    }

    /// Identity of the log; empty: there is none.
    pub(crate) fn epoch(&self) -> &str {
        &self.epoch
    }

    pub(crate) fn has_log(&self) -> bool {
        self.last.is_some()
    }

    /// Up to here everything was delivered or reported.
    pub(crate) fn held(&self) -> u64 {
        self.last.unwrap_or_default().max(self.reported_to)
    }

    /// Gives up on what comes up to `offset`; returns the first and last offset of
    /// what that is, if it is anything.
    pub(crate) fn skip_to(&mut self, offset: u64) -> Option<(u64, u64)> {
        let missing = (self.held() < offset).then(|| (self.held() + 1, offset));
        self.reported(offset);
        missing
    }

    /// Begins anew, or goes on where it was if everything missed will follow.
    pub(crate) fn subscribed(&mut self, verdict: Verdict, position: Option<Position>) {
        let position = position.unwrap_or_default();
        let recovered = verdict == Verdict::Recovered && self.last.is_some();
        if recovered {
            // Whatever the answer says: what is held is known here.
            self.last = Some(self.held());
            self.snapshot_to = 0;
            self.is_partial = false;
        } else {
            let keeps_log = !position.epoch.is_empty();
            self.last = keeps_log.then_some(position.offset);
            self.snapshot_to = position.offset;
            // In order of offset: the one at the position is its last.
            self.is_partial = verdict == Verdict::Resnapshot && position.offset != 0;
        }
        self.reported_to = 0;
        self.epoch = position.epoch;
    }

    /// Whether the gateway gives all that is published.
    pub(crate) fn expect_gapless(&mut self, is_gapless: bool) {
        self.conflates = !is_gapless;
        self.joints = match is_gapless {
            true => Joints::Tight,
            false => Joints::Loose,
        };
    }

    /// The client asks for less than all, or for all again.
    pub(crate) fn expect_less(&mut self, less: bool) {
        self.joints = match self.joints {
            _ if less || self.conflates => Joints::Loose,
            Joints::Tight => Joints::Tight,
            Joints::LooseYet | Joints::Loose => Joints::LooseYet,
        };
    }

    /// Takes note of what the gateway says it withheld.
    pub(crate) fn reported(&mut self, to: u64) {
        self.reported_to = self.reported_to.max(to);
    }

    /// Takes the next message, which has a key or not.
    pub(crate) fn next(&mut self, offset: u64, previous: u64, keyed: bool) -> Fit {
        if offset == 0 {
            return Fit::InOrder;
        }
        self.is_partial &= offset < self.snapshot_to;
        if offset <= self.snapshot_to {
            return Fit::Snapshot;
        }
        self.snapshot_to = 0;
        let Some(last) = self.last else {
            self.last = Some(offset);
            return Fit::InOrder;
        };
        if offset <= last {
            // Channels that conflate deliver the values of different keys in any
            // order, so an old offset with a key may well be news.
            return match keyed {
                true => Fit::InOrder,
                false => Fit::Duplicate,
            };
        }
        self.last = Some(offset);
        let held = last.max(self.reported_to);
        match (previous > held, self.joints) {
            (true, Joints::Tight) => Fit::Broken(held + 1, previous),
            (false, Joints::LooseYet) => {
                self.joints = Joints::Tight;
                Fit::InOrder
            }
            _ => Fit::InOrder,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain_at(offset: u64) -> Chain {
        let mut chain = Chain::default();
        chain.subscribed(Verdict::Fresh, Some(position(offset)));
        chain
    }

    fn position(offset: u64) -> Position {
        Position {
            epoch: "e".into(),
            offset,
        }
    }

    #[test]
    fn what_is_conflated_need_not_join() {
        let mut chain = chain_at(5);
        chain.expect_less(true);
        assert_eq!(chain.next(9, 8, true), Fit::InOrder);
        chain.expect_less(false);
        assert_eq!(chain.next(12, 11, true), Fit::InOrder);
        assert_eq!(chain.next(13, 12, true), Fit::InOrder);
        assert_eq!(chain.next(15, 14, true), Fit::Broken(14, 14));
        chain.expect_gapless(false);
        chain.expect_less(false);
        assert_eq!(chain.next(19, 18, true), Fit::InOrder);
        assert_eq!(chain.position(), Some(position(19)));
    }

    #[test]
    fn offsets_need_not_be_contiguous() {
        let mut chain = chain_at(5);
        assert_eq!(chain.next(9, 5, false), Fit::InOrder);
        assert_eq!(chain.next(10, 9, false), Fit::InOrder);
        assert_eq!(chain.position(), Some(position(10)));
    }

    #[test]
    fn a_missing_predecessor_breaks_the_chain_once() {
        let mut chain = chain_at(5);
        assert_eq!(chain.next(8, 7, false), Fit::Broken(6, 7));
        assert_eq!(chain.next(9, 8, false), Fit::InOrder);
    }

    #[test]
    fn what_the_gateway_reported_is_no_break() {
        let mut chain = chain_at(5);
        chain.reported(7);
        assert_eq!(chain.next(8, 7, false), Fit::InOrder);
        let mut chain = chain_at(5);
        chain.reported(6);
        assert_eq!(chain.next(8, 7, false), Fit::Broken(7, 7));
    }

    #[test]
    fn a_snapshot_is_not_checked_and_what_follows_it_is() {
        let mut chain = chain_at(5);
        assert_eq!(chain.next(3, 1, false), Fit::Snapshot);
        assert_eq!(chain.next(5, 4, false), Fit::Snapshot);
        assert_eq!(chain.next(6, 5, false), Fit::InOrder);
        assert_eq!(chain.next(5, 4, false), Fit::Duplicate);
    }

    #[test]
    fn nothing_goes_on_from_half_a_snapshot() {
        let mut chain = Chain::default();
        chain.subscribed(Verdict::Resnapshot, Some(position(5)));
        assert_eq!(chain.next(3, 1, true), Fit::Snapshot);
        assert_eq!(chain.position(), None);
        assert_eq!(chain.next(5, 4, true), Fit::Snapshot);
        assert_eq!(chain.position(), Some(position(5)));
    }

    #[test]
    fn what_was_reported_is_neither_asked_for_nor_reported_again() {
        let mut chain = chain_at(5);
        chain.reported(7);
        assert_eq!(chain.position(), Some(position(7)));
        chain.subscribed(Verdict::Recovered, chain.position());
        assert_eq!(chain.next(9, 7, false), Fit::InOrder);
        assert_eq!(chain.position(), Some(position(9)));
    }

    #[test]
    fn recovery_goes_on_from_what_was_held() {
        let mut chain = chain_at(5);
        chain.subscribed(Verdict::Recovered, Some(position(9)));
        assert_eq!(chain.next(7, 5, false), Fit::InOrder);
        assert_eq!(chain.next(9, 7, false), Fit::InOrder);
        assert_eq!(chain.next(11, 10, false), Fit::Broken(10, 10));
    }

    #[test]
    fn keys_may_come_in_any_order() {
        let mut chain = chain_at(5);
        assert_eq!(chain.next(7, 5, true), Fit::InOrder);
        assert_eq!(chain.next(6, 5, true), Fit::InOrder);
        assert_eq!(chain.position(), Some(position(7)));
    }

    #[test]
    fn a_channel_without_a_log_has_no_chain() {
        let mut chain = Chain::default();
        chain.subscribed(Verdict::Fresh, None);
        assert_eq!(chain.next(0, 0, false), Fit::InOrder);
        assert_eq!(chain.position(), None);
    }
}
