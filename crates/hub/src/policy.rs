//! What happens when an outbox is full. The one place that decides it.

use wire::Subprotocol;

use crate::{
    chunk::Chunk,
    class::{Account, Class},
    item::Item,
    outbox::{Ledger, Outbox, Reach},
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
    /// What waits for a connection leaves by priority, highest first; within one
    /// its channels take turns by bytes. Up to [`Self::MAX_PRIORITY`].
    pub priority: u8,
    /// Where what becomes of its publications is counted apart; absent: nowhere.
    pub account: Option<Account>,
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

/// The limits of an outbox, and what holds beside them for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) limits: OutboxLimits,
    /// Bytes up to which what may be let go is queued; at most the limit.
    pub(crate) level: usize,
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

/// The way into one outbox.
pub(crate) struct Door<'a> {
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) subprotocol: Subprotocol,
    pub(crate) bounds: Bounds,
    /// The connection is slow: its channels take turns.
    pub(crate) fairly: bool,
    pub(crate) ledger: &'a mut Ledger,
}

impl Door<'_> {
    /// Queues `item` if it fits, or makes it fit by letting go of publications
    /// whose policy allows it: for an event all of them, as a busy channel must not
    /// cost the connection its answers; for publications those of channels that are
    /// no more important. What can come again waits instead.
    ///
    /// `fell` is called with a channel's alias and the offset of the last
    /// publication that is written or queued, when what comes after it must be taken
    /// from the log.
    pub(crate) fn admit(&mut self, item: Item, fell: &mut dyn FnMut(u32, u64)) -> Admission {
        if self.bounds.admit(self.outbox, &item) || self.make_room(&item, fell) {
            self.outbox.push(item, self.fairly, self.ledger);
            return Admission::Queued;
        }
        match item {
            Item::Publications { chunk, .. } if chunk.can_come_again() => {
                fell(chunk.alias(), chunk.after());
                Admission::Postponed
            }
            Item::Publications { chunk, .. } if is_droppable(&chunk) => {
                self.outbox.withhold(&chunk, self.subprotocol, self.ledger);
                Admission::Withheld
            }
            _ => Admission::Overflowed,
        }
    }

    /// Queues what comes next for one that is behind, for which others are let go
    /// that would be lost anyway if this were not; false if it does not fit. What
    /// can never fit is reported by a gap.
    pub(crate) fn feed(&mut self, item: Item) -> bool {
        if let Item::Publications { chunk, .. } = &item
            && self.bounds.exclude(&item)
        {
            self.outbox.withhold(chunk, self.subprotocol, self.ledger);
            return true;
        }
        let reach = Reach {
            priority: item.priority(),
            all: false,
        };
        while !self.bounds.admit(self.outbox, &item) {
            if !self
                .outbox
                .drop_oldest(reach, self.subprotocol, self.ledger)
            {
                return false;
            }
        }
        self.outbox.push(item, self.fairly, self.ledger);
        true
    }

    /// Lets go of what may go until the outbox is no more above the level.
    #[cold]
    pub(crate) fn shed(&mut self, fell: &mut dyn FnMut(u32, u64)) {
        let reach = Reach {
            priority: u8::MAX,
            all: false,
        };
        while self.bounds.is_above(self.outbox) {
            let taken = self.outbox.take_back(reach.priority, None, self.ledger);
            if let Some((alias, cursor)) = taken {
                fell(alias, cursor);
            } else if !self
                .outbox
                .drop_oldest(reach, self.subprotocol, self.ledger)
            {
                return;
            }
        }
    }

    #[cold]
    fn make_room(&mut self, item: &Item, fell: &mut dyn FnMut(u32, u64)) -> bool {
        // What can never fit shall not cost what is queued already.
        let Some(reach) = reach(item).filter(|_| !self.bounds.exclude(item)) else {
            return false;
        };
        while !self.bounds.admit(self.outbox, item) {
            // What comes again first: nobody loses it.
            let taken = self
                .outbox
                .take_back(reach.priority, Some(item), self.ledger);
            if let Some((alias, cursor)) = taken {
                fell(alias, cursor);
            } else if !self
                .outbox
                .drop_oldest(reach, self.subprotocol, self.ledger)
            {
                return false;
            }
        }
        true
    }
}

/// What may be let go for it; nothing: it can wait.
fn reach(item: &Item) -> Option<Reach> {
    let all = Reach {
        priority: u8::MAX,
        all: true,
    };
    let Item::Publications { rank, chunk, .. } = item else {
        return Some(all);
    };
    if !is_droppable(chunk) {
        return Some(all);
    }
    let priority = match chunk.can_come_again() {
        true => rank.priority().checked_sub(1)?,
        false => rank.priority(),
    };
    let all = false;
    Some(Reach { priority, all })
}

/// Whether the chunk's policy allows to let it go.
pub(crate) fn is_droppable(chunk: &Chunk) -> bool {
    match chunk.policy().overflow {
        Overflow::DropOldest | Overflow::CatchUp | Overflow::Conflate => true,
        Overflow::Disconnect => false,
    }
}

// === impl DeliveryPolicy ===

impl DeliveryPolicy {
    /// The highest priority.
    pub const MAX_PRIORITY: u8 = 9;

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
    pub(crate) fn of_follower(self, class: Class) -> Self {
        let class = match class {
            Class::All | Class::Latest => Class::Latest,
            Class::Sampled(_) => class,
        };
        Self {
            class,
            overflow: Overflow::DropOldest,
            ..self
        }
    }

    /// What has been let go never comes again, and others do.
    pub(crate) fn is_lossy(self) -> bool {
        self.class == Class::All && matches!(self.overflow, Overflow::DropOldest)
    }

    /// It reaches who gets not all.
    pub(crate) fn is_fresh(self) -> bool {
        self.class != Class::All
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
}

// === impl Bounds ===

impl Bounds {
    /// Whether `item` fits now.
    pub(crate) fn admit(&self, outbox: &Outbox, item: &Item) -> bool {
        let most = match item {
            Item::Publications { chunk, .. } if is_droppable(chunk) && !outbox.is_empty() => {
                self.level
            }
            _ => self.limits.bytes,
        };
        outbox.bytes() + item.charge() <= most && outbox.items() < self.limits.items
    }

    /// Whether `item` does not fit even into an empty outbox.
    pub(crate) fn exclude(&self, item: &Item) -> bool {
        item.charge() > self.limits.bytes || self.limits.items == 0
    }

    /// Whether a connection that is behind is given more: half of its outbox is
    /// left to live publications and answers.
    pub(crate) fn leave_room(&self, outbox: &Outbox) -> bool {
        let is_less = |(bytes, items)| bytes < self.level / 2 && items < self.limits.items / 2;
        // What would be let go for it does not keep it out.
        is_less((outbox.bytes(), outbox.items())) || outbox.is_empty() || is_less(outbox.kept())
    }
}
