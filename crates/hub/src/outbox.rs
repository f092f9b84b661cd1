//! What one connection has yet to be written, in order.
//!
//! Bounded in bytes and items by [`crate::OutboxLimits`]; what happens beyond is
//! `policy.rs`. An empty outbox holds no heap.

use std::{io::IoSlice, mem, rc::Rc};

use smallvec::SmallVec;
use wire::{Subprotocol, client::Gap};

use crate::{
    chunk::Chunk,
    class::{Class, Share},
    fact::Receipt,
    gap::QueuedGap,
    policy::is_droppable,
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

/// One frame to be written.
#[derive(Debug)]
pub(crate) enum Item {
    Publications(Rc<Chunk>),
    Gap(Box<QueuedGap>),
    Control(Box<Control>),
}

/// Something that is meant for one connection, and never dropped by policy.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) frame: Rc<[u8]>,
    /// The channel whose subscription it begins or ends; zero: none.
    pub(crate) alias: u32,
    pub(crate) receipt: Option<Receipt>,
}

/// Sums and counts over all outboxes of a hub, kept as they change.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) bytes: u64,
    pub(crate) items: u64,
    /// Frames written entirely so far.
    pub(crate) written: u64,
    /// What became of publications so far.
    pub(crate) classes: [Share; Class::LABELS.len()],
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

    pub(crate) fn push(&mut self, item: Item, ledger: &mut Ledger) {
        self.charge(item.charge(), ledger);
        ledger.items += 1;
        if let Item::Publications(chunk) = &item {
            ledger.give(chunk);
        }
        self.items.push(item);
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
            if let Item::Control(control) = item
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

    /// Lets go of the oldest publications whose policy allows it and puts a gap
    /// in their place; false if there are none.
    pub(crate) fn drop_oldest(&mut self, subprotocol: Subprotocol, ledger: &mut Ledger) -> bool {
        let droppable =
            |item: &Item| matches!(item, Item::Publications(chunk) if is_droppable(chunk));
        let Some(nth) = self.items.iter().skip(self.untouched()).position(droppable) else {
            return false;
        };
        let index = self.untouched() + nth;
        let Some(Item::Publications(chunk)) = self.items.get(index) else {
            unreachable!("just found")
        };
        let chunk = chunk.clone();
        ledger.drop(&chunk);
        if self.widen_gap(index, &chunk, false, ledger) {
            self.take(index, ledger);
            return true;
        }
        let gap = QueuedGap::new(*chunk.withheld(), subprotocol, None);
        let gap = Item::Gap(Box::new(gap));
        self.charge(gap.charge(), ledger);
        let slot = self.items.get_mut(index).expect("just found");
        let dropped = mem::replace(slot, gap);
        self.discharge(dropped.charge(), ledger);
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
            self.push(Item::Gap(Box::new(gap)), ledger);
        }
    }

    /// Reports `gap` at the end.
    pub(crate) fn tell_gap(
        &mut self,
        gap: Gap,
        again_behind: Option<u64>,
        subprotocol: Subprotocol,
        ledger: &mut Ledger,
    ) {
        let gap = QueuedGap::new(gap, subprotocol, again_behind);
        self.push(Item::Gap(Box::new(gap)), ledger);
    }

    /// Takes back the newest publications that a log can give again, or a gap that
    /// is found again, unless something behind it is about the same subscription;
    /// returns the channel, and the offset of the publication before it.
    pub(crate) fn take_back(&mut self, ledger: &mut Ledger) -> Option<(u32, u64)> {
        let mut settled = SmallVec::<[u32; 8]>::new();
        for index in (self.untouched()..self.items()).rev() {
            let alias = match self.items.get(index)? {
                Item::Publications(chunk) => chunk.alias(),
                Item::Gap(gap) => gap.alias(),
                Item::Control(control) => control.alias,
            };
            if settled.contains(&alias) {
                continue;
            }
            let behind = match self.items.get(index)? {
                Item::Publications(chunk) => chunk.can_come_again().then_some(chunk.after()),
                Item::Gap(gap) => gap.again_behind(),
                Item::Control(_) => None,
            };
            if let Some(behind) = behind {
                self.take(index, ledger);
                return Some((alias, behind));
            }
            settled.push(alias);
        }
        None
    }

    /// Lets go of everything but controls and what is partly written.
    pub(crate) fn keep_controls(&mut self, ledger: &mut Ledger) {
        let mut index = self.untouched();
        while let Some(item) = self.items.get(index) {
            match item {
                Item::Control(_) => index += 1,
                Item::Gap(_) => drop(self.take(index, ledger)),
                Item::Publications(chunk) => {
                    ledger.drop(chunk);
                    self.take(index, ledger);
                }
            }
        }
    }

    /// Lets go of everything.
    pub(crate) fn clear(&mut self, ledger: &mut Ledger) {
        ledger.items -= self.items() as u64;
        self.discharge(self.bytes(), ledger);
        self.items = Queue::Empty;
        self.written = 0;
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
                Item::Gap(gap) if gap.alias() == chunk.alias() => {
                    let before = gap.frame().len();
                    gap.absorb(chunk.withheld(), again);
                    let after = gap.frame().len();
                    self.charge(after, ledger);
                    self.discharge(before, ledger);
                    return true;
                }
                Item::Publications(other) if other.alias() == chunk.alias() => return false,
                Item::Control(_) => return false,
                Item::Publications(_) | Item::Gap(_) => {}
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

    fn give(&mut self, chunk: &Chunk) {
        let share = &mut self.classes[chunk.policy().class.index()];
        share.delivered += u64::from(chunk.publications());
        share.bytes += chunk.frame().len() as u64;
    }

    fn drop(&mut self, chunk: &Chunk) {
        self.let_go += u64::from(chunk.publications());
        self.classes[chunk.policy().class.index()].dropped += u64::from(chunk.publications());
    }
}

// === impl Item ===

impl Item {
    pub(crate) fn frame(&self) -> &[u8] {
        match self {
            Self::Publications(chunk) => chunk.frame(),
            Self::Gap(gap) => gap.frame(),
            Self::Control(control) => &control.frame,
        }
    }

    /// What it takes from the byte limit.
    pub(crate) fn charge(&self) -> usize {
        self.frame().len() + ITEM_OVERHEAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_two_words_and_an_empty_outbox_three() {
        assert_eq!(size_of::<Item>(), 16);
        assert_eq!(size_of::<Outbox>(), 24);
    }
}
