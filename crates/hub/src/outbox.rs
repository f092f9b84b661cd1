//! What one connection has yet to be written, in order. What goes before what is
//! decided as it is queued: `item.rs`.
//!
//! Bounded in bytes and items by [`crate::OutboxLimits`]; what happens beyond is
//! `policy.rs`. An empty outbox holds no heap.

use std::{io::IoSlice, mem};

use smallvec::SmallVec;
use wire::Subprotocol;

use crate::{
    chunk::Chunk,
    class::{Account, Class, Share},
    fact::Receipt,
    gap::QueuedGap,
    item::{Item, Rank, Time},
    policy::{DeliveryPolicy, is_droppable},
    queue::Queue,
};

/// Bytes charged for each frame on top of its length: what it costs to keep.
pub const ITEM_OVERHEAD: usize = 64;

/// Slices that one vectored write takes; the kernel allows 1,024, but beyond
/// some dozens copying into one buffer is as fast.
const MAX_SLICES: usize = 64;

/// A connection's bounded send queue.
#[derive(Debug)]
pub struct Outbox {
    items: Queue<Item>,
    /// Sum of the charges of `items`.
    bytes: u32,
    /// How much of the first item is written; such an item stays where it is.
    written: u32,
}

/// Which publications may go for others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    /// Those of channels up to this priority.
    pub(crate) priority: u8,
    /// Also those that would otherwise come in any case.
    pub(crate) all: bool,
}

/// Sums and counts over all outboxes of a hub, kept as they change.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) bytes: u64,
    /// Those of them that outboxes share.
    pub(crate) shared: u64,
    pub(crate) items: u64,
    /// Frames written entirely so far.
    pub(crate) written: u64,
    /// What became of publications so far.
    pub(crate) classes: [Share; Class::LABELS.len()],
    /// The same by account, as far as there are any.
    accounts: Vec<Share>,
    /// Publications let go by outboxes so far.
    pub(crate) let_go: u64,
    /// Members that overflowed so far.
    pub(crate) overflowed: u64,
}

// === impl Outbox ===

impl Outbox {
    pub(crate) const fn new() -> Self {
        Self {
            items: Queue::Empty,
            bytes: 0,
            written: 0,
        }
    }

    /// Whether all is written.
    pub fn is_empty(&self) -> bool {
        self.items() == 0
    }

    /// Bytes charged: the length of every queued frame (one that is partly
    /// written counts whole) and [`ITEM_OVERHEAD`] for each.
    pub fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Frames queued.
    pub fn items(&self) -> usize {
        self.items.len()
    }

    /// The bytes to write next. One frame is given as it lies, and so is one of
    /// `max` bytes or more; of several, as many as fit into `max` bytes are
    /// copied into `scratch`, so that one write takes them all. Empty only if
    /// the outbox is.
    pub fn gather<'a>(&'a self, scratch: &'a mut Vec<u8>, max: usize) -> &'a [u8] {
        let mut frames = self.frames();
        let Some(first) = frames.next() else {
            return &[];
        };
        if self.items() == 1 || first.len() >= max {
            return first;
        }
        scratch.clear();
        scratch.extend_from_slice(first);
        for frame in frames {
            if scratch.len() + frame.len() > max {
                break;
            }
            scratch.extend_from_slice(frame);
        }
        scratch
    }

    /// The first frames, at most 64, for a vectored write.
    pub fn slices(&self) -> SmallVec<[IoSlice<'_>; MAX_SLICES]> {
        self.frames().take(MAX_SLICES).map(IoSlice::new).collect()
    }

    /// Everything in it, in the order in which it is written.
    pub(crate) fn queued(&self) -> impl Iterator<Item = &Item> {
        self.items.iter()
    }

    /// How many bytes of the first frame are written.
    pub(crate) fn written(&self) -> usize {
        self.written as usize
    }

    /// What is left to write of each frame.
    fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let mut written = self.written as usize;
        self.items
            .iter()
            .map(move |item| &item.frame()[mem::take(&mut written)..])
    }

    /// Queues a frame behind those that it may not overtake. `fairly`: the
    /// channels of a priority take turns.
    pub(crate) fn push(&mut self, mut item: Item, fairly: bool, ledger: &mut Ledger) {
        self.charge(item.charge(), ledger);
        ledger.items += 1;
        if let Item::Publications { chunk, .. } = &item {
            ledger.give(chunk);
            ledger.shared += chunk.frame().len() as u64;
        }
        if !self.is_empty() && item.time().is_some() {
            item.set_time(self.time_of(&item, fairly));
        }
        let overtaken = self
            .last()
            .take_while(|other| item.overtakes(other, fairly));
        let index = self.items() - overtaken.count();
        self.items.insert(index, item);
    }

    /// When the turn of a frame comes that is to be queued.
    fn time_of(&self, item: &Item, fairly: bool) -> Time {
        let ends = |other: &Item| other.time().map(|time| time.after(other.charge()));
        if !fairly {
            // All is one flow to those that are written soon.
            let last = self.items.iter().next_back();
            return last.and_then(ends).unwrap_or(Time::ZERO);
        }
        let same = |other: &&Item| other.time().is_some() && other.priority() == item.priority();
        let mut peers = self.items.iter().filter(same);
        let Some(now) = peers.next().and_then(Item::time) else {
            return Time::ZERO;
        };
        let mut before = self.items.iter().rev();
        let own = before.find(|other| other.alias() == item.alias() && other.time().is_some());
        own.and_then(ends).map_or(now, |time| time.within(now))
    }

    /// Frees what was written entirely and tells its receipts.
    ///
    /// # Panics
    /// If more was written than was queued.
    pub(crate) fn wrote(
        &mut self,
        bytes: usize,
        ledger: &mut Ledger,
        mut told: impl FnMut(Receipt),
    ) {
        let mut written = self.written as usize + bytes;
        while let Some(head) = self.items.front() {
            let length = head.frame().len();
            if written < length {
                break;
            }
            written -= length;
            let item = self.take(0, ledger);
            ledger.written += 1;
            if let Item::Control { control, .. } = item
                && let Some(receipt) = control.receipt
            {
                told(receipt);
            }
        }
        assert!(
            written == 0 || !self.is_empty(),
            "no more is written than was queued"
        );
        self.written = written as u32;
    }

    /// Lets go of the oldest publications of the channel that has most before it,
    /// of those whose policy allows it, lowest priority first, and puts a gap in
    /// their place; false if there are none.
    pub(crate) fn drop_oldest(
        &mut self,
        reach: Reach,
        subprotocol: Subprotocol,
        ledger: &mut Ledger,
    ) -> bool {
        let untouched = self.untouched();
        let Some(last) = self.last().find(|item| reach.holds(item)) else {
            return false;
        };
        let alias = last.alias();
        let of_channel = |item: &Item| item.alias() == alias && reach.holds(item);
        let nth = self.items.iter().skip(untouched).position(of_channel);
        let index = untouched + nth.expect("the last one at least");
        let Some(Item::Publications {
            rank, time, chunk, ..
        }) = self.items.get(index)
        else {
            unreachable!("just found")
        };
        let (priority, time, chunk) = (rank.priority(), *time, chunk.clone());
        ledger.drop(&chunk);
        if self.widen_gap(index, &chunk, false, ledger) {
            self.take(index, ledger);
            return true;
        }
        let gap = QueuedGap::new(*chunk.withheld(), subprotocol, None);
        let mut gap = Item::gap(gap, priority);
        gap.set_time(time);
        self.charge(gap.charge(), ledger);
        let slot = self.items.get_mut(index).expect("just found");
        let dropped = mem::replace(slot, gap);
        self.discharge(dropped.charge(), ledger);
        ledger.shared -= dropped.shared();
        true
    }

    /// Reports by a gap at the end that `chunk` does not come. If it is caught up
    /// with, the gap comes again with it.
    pub(crate) fn withhold(
        &mut self,
        chunk: &Chunk,
        subprotocol: Subprotocol,
        ledger: &mut Ledger,
    ) {
        ledger.drop(chunk);
        let again_behind = chunk.can_come_again().then_some(chunk.after());
        if !self.widen_gap(self.items(), chunk, again_behind.is_some(), ledger) {
            let gap = QueuedGap::new(*chunk.withheld(), subprotocol, again_behind);
            self.push(Item::gap(gap, chunk.policy().priority), true, ledger);
        }
    }

    /// Reports `gap` in the place of a channel's publications.
    pub(crate) fn tell_gap(&mut self, gap: QueuedGap, priority: u8, ledger: &mut Ledger) {
        self.push(Item::gap(gap, priority), true, ledger);
    }

    /// Takes back the newest publications that a log can give again, or a gap that
    /// is found again, unless something behind it is about the same subscription;
    /// of channels up to this priority, and if `item` is of publications, not of
    /// the same channel: they come behind what is here. Returns the channel, and the offset of the publication before it.
    pub(crate) fn take_back(
        &mut self,
        priority: u8,
        item: Option<&Item>,
        ledger: &mut Ledger,
    ) -> Option<(u32, u64)> {
        let mut settled = SmallVec::<[u32; 8]>::new();
        let publications = item.filter(|item| item.rank().is_some());
        settled.extend(publications.map(Item::alias));
        for index in (self.untouched()..self.items()).rev() {
            let item = self.items.get(index)?;
            let alias = item.alias();
            if settled.contains(&alias) {
                continue;
            }
            let behind = match item {
                _ if item.priority() > priority => None,
                Item::Publications { chunk, .. } => chunk.can_come_again().then_some(chunk.after()),
                Item::Gap { gap, .. } => gap.again_behind(),
                Item::Control { .. } => None,
            };
            if let Some(behind) = behind {
                self.take(index, ledger);
                return Some((alias, behind));
            }
            settled.push(alias);
        }
        None
    }

    /// What of it can't be let go for other publications: bytes and frames.
    pub(crate) fn kept(&self) -> (usize, usize) {
        let lossy = |item: &&Item| item.rank().is_some_and(Rank::is_lossy);
        let lossy = self.items.iter().filter(lossy);
        lossy.fold((self.bytes(), self.items()), |(bytes, items), item| {
            (bytes - item.charge(), items - 1)
        })
    }

    /// Bytes of followers' publications.
    pub(crate) fn fresh_bytes(&self) -> usize {
        let fresh = |item: &&Item| item.rank().is_some_and(Rank::is_fresh);
        let fresh = self.items.iter().filter(fresh);
        fresh.map(Item::charge).sum()
    }

    /// Lets go of everything but controls and what is partly written.
    pub(crate) fn keep_controls(&mut self, ledger: &mut Ledger) {
        let mut index = self.untouched();
        while let Some(item) = self.items.get(index) {
            match item {
                Item::Control { .. } => index += 1,
                Item::Gap { .. } => drop(self.take(index, ledger)),
                Item::Publications { chunk, .. } => {
                    ledger.drop(chunk);
                    self.take(index, ledger);
                }
            }
        }
    }

    /// Lets go of everything.
    pub(crate) fn clear(&mut self, ledger: &mut Ledger) {
        ledger.items -= self.items() as u64;
        ledger.shared -= self.items.iter().map(Item::shared).sum::<u64>();
        self.discharge(self.bytes(), ledger);
        self.items = Queue::Empty;
        self.written = 0;
    }

    /// The items of which nothing is written, last one first.
    fn last(&self) -> impl Iterator<Item = &Item> {
        let untouched = self.items() - self.untouched();
        self.items.iter().rev().take(untouched)
    }

    /// Index of the first item of which nothing is written.
    fn untouched(&self) -> usize {
        usize::from(self.written > 0)
    }

    /// Adds `chunk` to the last gap of its channel before `end`, if nothing lies
    /// between that the gap must not be told before: publications of the same
    /// channel, or an event, which may end or begin the subscription.
    fn widen_gap(&mut self, end: usize, chunk: &Chunk, again: bool, ledger: &mut Ledger) -> bool {
        for index in (self.untouched()..end).rev() {
            match self.items.get_mut(index).expect("index is below the end") {
                Item::Gap { alias, gap, .. } if *alias == chunk.alias() => {
                    let before = gap.frame().len();
                    gap.absorb(chunk.withheld(), again);
                    let after = gap.frame().len();
                    self.charge(after, ledger);
                    self.discharge(before, ledger);
                    return true;
                }
                Item::Publications { alias, .. } if *alias == chunk.alias() => return false,
                Item::Control { .. } => return false,
                Item::Publications { .. } | Item::Gap { .. } => {}
            }
        }
        false
    }

    fn take(&mut self, index: usize, ledger: &mut Ledger) -> Item {
        let item = self
            .items
            .remove(index)
            .expect("only queued items are taken");
        self.discharge(item.charge(), ledger);
        ledger.shared -= item.shared();
        ledger.items -= 1;
        item
    }

    fn charge(&mut self, bytes: usize, ledger: &mut Ledger) {
        self.bytes += bytes as u32;
        ledger.bytes += bytes as u64;
    }

    fn discharge(&mut self, bytes: usize, ledger: &mut Ledger) {
        self.bytes -= bytes as u32;
        ledger.bytes -= bytes as u64;
    }
}

// === impl Ledger ===

impl Ledger {
    /// Sums over all classes.
    pub(crate) fn all(&self) -> Share {
        let mut all = Share::default();
        for share in &self.classes {
            all.delivered += share.delivered;
            all.bytes += share.bytes;
            all.dropped += share.dropped;
            all.conflated += share.conflated;
        }
        all
    }

    /// What became of an account's publications.
    pub(crate) fn share(&self, account: Account) -> Share {
        let share = self.accounts.get(account.number());
        share.copied().unwrap_or_default()
    }

    /// Counts what is withheld from one that gets not all.
    pub(crate) fn withhold(&mut self, policy: DeliveryPolicy, dropped: u64, conflated: u64) {
        self.count(policy, |share| {
            share.dropped += dropped;
            share.conflated += conflated;
        });
    }

    fn give(&mut self, chunk: &Chunk) {
        self.count(chunk.policy(), |share| {
            share.delivered += u64::from(chunk.publications());
            share.bytes += chunk.frame().len() as u64;
        });
    }

    fn drop(&mut self, chunk: &Chunk) {
        self.let_go += u64::from(chunk.publications());
        self.count(chunk.policy(), |share| {
            share.dropped += u64::from(chunk.publications());
        });
    }

    fn count(&mut self, policy: DeliveryPolicy, add: impl Fn(&mut Share)) {
        add(&mut self.classes[policy.class.index()]);
        if let Some(account) = policy.account {
            let number = account.number();
            if self.accounts.len() <= number {
                self.accounts.resize(number + 1, Share::default());
            }
            add(&mut self.accounts[number]);
        }
    }
}

// === impl Reach ===

impl Reach {
    /// Whether these publications may go.
    fn holds(self, item: &Item) -> bool {
        match item {
            Item::Publications { rank, chunk, .. } => {
                rank.priority() <= self.priority
                    && (rank.is_lossy() || self.all && is_droppable(chunk))
            }
            Item::Gap { .. } | Item::Control { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_outbox_is_three_words() {
        assert_eq!(size_of::<Outbox>(), 24);
    }
}
