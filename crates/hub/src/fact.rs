//! What the hub reports: things that happened to one member, and running totals.

use crate::{Class, class::Share, member::MemberId};

/// Chosen by the caller of [`crate::Hub::send`]; comes back in [`Fact::Written`].
pub type Receipt = u64;

/// Something that happened to one member and that its connection must handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The member's outbox was full and its policy, or an event that may not be
    /// dropped, left no choice but to disconnect it. Told once. From here on its
    /// publications are ignored; events are still taken as far as they fit, so
    /// that it can be told why it is closed.
    Overflowed {
        /// Who.
        member: MemberId,
    },
    /// An event sent with a receipt was written entirely. Receipts of a member
    /// that leaves before are never told.
    Written {
        /// To whom.
        member: MemberId,
        /// As given to [`crate::Hub::send`].
        receipt: Receipt,
    },
}

/// What a hub holds now, and counters since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Members now.
    pub members: usize,
    /// Channels with a listener now.
    pub channels: usize,
    /// Subscriptions of all members now.
    pub subscriptions: usize,
    /// Those of them that are behind now.
    pub lagging: usize,
    /// Subscriptions that fell behind so far.
    pub fallen: u64,
    /// Gaps told to all listeners of a channel so far.
    pub gaps: u64,
    /// Charged to all outboxes now: bytes of frames and [`crate::ITEM_OVERHEAD`]
    /// for each.
    pub queued_bytes: u64,
    /// Frames in all outboxes now.
    pub queued_items: u64,
    /// Publications appended to outboxes so far, each listener counted.
    pub delivered: u64,
    /// Publications withheld from slow members so far, each listener counted;
    /// those of `delivered` that were let go later are among them.
    pub dropped: u64,
    /// Publications replaced by newer ones of the same key before they reached a
    /// subscriber so far, each subscriber counted.
    pub conflated: u64,
    /// The last three by class, in the order of [`Class::LABELS`].
    pub classes: [Share; Class::LABELS.len()],
    /// Frames written entirely so far.
    pub written: u64,
    /// Members that overflowed so far.
    pub overflowed: u64,
}
