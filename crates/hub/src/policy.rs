//! What happens when an outbox is full. The one place that decides it.

use wire::Subprotocol;

use crate::{
    chunk::Chunk,
    class::Class,
    outbox::{Item, Ledger, Outbox},
};

/// What is done for a connection that reads more slowly than a channel flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The oldest publications in its outbox are let go and it is told so by a
    /// `Gap` in their place.
    DropOldest,
    /// Nothing: what does not fit is not queued, and once the outbox has drained
    /// it continues from the channel's log. Needs a log; without one it is as
    /// `DropOldest`.
    CatchUp,
    /// Of each key it is given the newest publication once the outbox has
    /// drained; a `Gap` before them counts those that were replaced.
    Conflate,
    /// It is disconnected.
    Disconnect,
}

/// How a channel's publications are delivered to a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryPolicy {
    /// What of them.
    pub class: Class,
    /// For slow connections.
    pub overflow: Overflow,
}

/// Limits of one connection's outbox. Only the gaps that report what was let go
/// can exceed them: one for each channel between two events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Bytes of frames, with [`crate::ITEM_OVERHEAD`] charged for each; at most
    /// 2 GiB count.
    pub bytes: usize,
    /// Frames. All publications of a channel that came in one turn are one
    /// frame, up to 16 KiB.
    pub items: usize,
}

/// How much of the channels' logs a hub keeps for those who are behind; what it
/// does not keep is read from the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BacklogLimits {
    /// The last publications of one channel that passed.
    pub ring_publications: usize,
    /// Their bytes.
    pub ring_bytes: usize,
    /// Publications in one read of a log, at most. Four pages of a channel are
    /// kept.
    pub page_publications: usize,
    /// Their bytes.
    pub page_bytes: usize,
    /// All of it together, in bytes.
    pub total_bytes: usize,
    /// Keys of one channel whose newest publications are kept for those who don't
    /// get all: of more, the oldest are let go, which is told as dropped.
    pub keys: usize,
    /// Their publications, in bytes.
    pub keys_bytes: usize,
}

/// What became of something that was to be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is in the outbox.
    Queued,
    /// The outbox is full; a gap in it reports the loss.
    Withheld,
    /// The outbox is full; the channel's log will give it later.
    Postponed,
    /// The outbox is full and this may not be lost.
    Overflowed,
}

/// Largest byte limit: sums of charges stay well inside of 32 bits.
const MAX_LIMIT_BYTES: usize = 2 << 30;

/// Queues `item` if it fits, or makes it fit by letting go of publications whose
/// policy allows it, whatever `item` is: a busy channel must not cost the
/// connection its answers. Only a channel that is caught up with costs nobody
/// anything: it waits.
///
/// `fell` is called with a channel's alias and the offset of the last publication
/// that is written or queued, when what comes after it must be taken from the log.
pub(crate) fn admit(
    outbox: &mut Outbox,
    item: Item,
    subprotocol: Subprotocol,
    limits: OutboxLimits,
    ledger: &mut Ledger,
    fell: &mut dyn FnMut(u32, u64),
) -> Admission {
    if limits.admit(outbox, &item) {
        outbox.push(item, ledger);
        return Admission::Queued;
    }
    if let Item::Publications(chunk) = &item
        && chunk.can_come_again()
    {
        fell(chunk.alias(), chunk.after());
        return Admission::Postponed;
    }
    if make_room(outbox, &item, subprotocol, limits, ledger, fell) {
        outbox.push(item, ledger);
        return Admission::Queued;
    }
    match item {
        Item::Publications(chunk) if is_droppable(&chunk) => {
            outbox.withhold(&chunk, subprotocol, ledger);
            Admission::Withheld
        }
        _ => Admission::Overflowed,
    }
}

/// Whether the chunk's policy allows to let it go.
pub(crate) fn is_droppable(chunk: &Chunk) -> bool {
    match chunk.policy().overflow {
        Overflow::DropOldest | Overflow::CatchUp | Overflow::Conflate => true,
        Overflow::Disconnect => false,
    }
}

#[cold]
fn make_room(
    outbox: &mut Outbox,
    item: &Item,
    subprotocol: Subprotocol,
    limits: OutboxLimits,
    ledger: &mut Ledger,
    fell: &mut dyn FnMut(u32, u64),
) -> bool {
    // What can never fit shall not cost what is queued already.
    if limits.exclude(item) {
        return false;
    }
    while !limits.admit(outbox, item) {
        // What comes again first: nobody loses it.
        if let Some((alias, cursor)) = outbox.take_back(ledger) {
            fell(alias, cursor);
        } else if !outbox.drop_oldest(subprotocol, ledger) {
            return false;
        }
    }
    true
}

// === impl DeliveryPolicy ===

impl DeliveryPolicy {
    /// The same for a channel without a log, if it is one.
    pub(crate) fn without_log(self, without: bool) -> Self {
        match self.overflow {
            Overflow::CatchUp if without => Self {
                overflow: Overflow::DropOldest,
                ..self
            },
            _ => self,
        }
    }

    /// What reaches who gets not all: there is always a newer one.
    pub(crate) fn of_follower(class: Class) -> Self {
        let class = match class {
            Class::All | Class::Latest => Class::Latest,
            Class::Sampled(_) => class,
        };
        Self {
            class,
            overflow: Overflow::DropOldest,
        }
    }
}

// === impl BacklogLimits ===

impl BacklogLimits {
    /// Some tenths of a second of a busy channel, pages that the bus gives in
    /// some milliseconds, and the keys of a market.
    pub const DEFAULT: Self = Self {
        ring_publications: 256,
        ring_bytes: 256 << 10,
        page_publications: 256,
        page_bytes: 512 << 10,
        total_bytes: 16 << 20,
        keys: 10_000,
        keys_bytes: 8 << 20,
    };
}

impl Default for BacklogLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

// === impl OutboxLimits ===

impl OutboxLimits {
    pub(crate) fn bounded(self) -> Self {
        Self {
            bytes: self.bytes.min(MAX_LIMIT_BYTES),
            ..self
        }
    }

    /// Whether `item` fits now.
    pub(crate) fn admit(&self, outbox: &Outbox, item: &Item) -> bool {
        outbox.bytes() + item.charge() <= self.bytes && outbox.items() < self.items
    }

    /// Whether `item` does not fit even into an empty outbox.
    pub(crate) fn exclude(&self, item: &Item) -> bool {
        item.charge() > self.bytes || self.items == 0
    }

    /// Whether a connection that is behind is given more: half of its outbox is
    /// left to live publications and answers.
    pub(crate) fn leave_room(&self, outbox: &Outbox) -> bool {
        outbox.is_empty() || outbox.bytes() < self.bytes / 2 && outbox.items() < self.items / 2
    }
}
