//! The members: one for each established connection of the shard.

use std::{collections::VecDeque, mem, rc::Rc};

use smallvec::SmallVec;
use wire::Subprotocol;

use crate::{
    chunk::Chunks,
    fact::Fact,
    outbox::{Control, Item, Ledger, Outbox},
    policy::{Admission, OutboxLimits, admit},
};

/// A connection, by its slot on the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(pub u32);

/// One connection's part in the hub: one cache line, so that fan-out touches no
/// more for each listener.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Member {
    pub(crate) outbox: Outbox,
    pub(crate) subscriptions: SmallVec<[Subscription; 3]>,
    pub(crate) subprotocol: Subprotocol,
    /// Stands in [`Intake::dirty`].
    dirty: bool,
    pub(crate) overflowed: bool,
}

/// A member's place among the listeners of a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscription {
    /// The channel's key in the table.
    pub(crate) channel: u32,
    /// Index among its listeners.
    pub(crate) position: u32,
}

/// All members, and what is to be done for them.
#[derive(Debug)]
pub(crate) struct Members {
    slots: Vec<Option<Member>>,
    count: usize,
    intake: Intake,
}

/// The way into every outbox: limits, consequences and books.
#[derive(Debug)]
struct Intake {
    limits: OutboxLimits,
    /// May name members that left, or that were taken already.
    dirty: VecDeque<MemberId>,
    facts: VecDeque<Fact>,
    ledger: Ledger,
}

// === impl Member ===

impl Member {
    /// Notes that the member stands elsewhere among the listeners of a channel.
    pub(crate) fn moved(&mut self, to: Subscription) {
        let subscriptions = self.subscriptions.iter_mut();
        for subscription in subscriptions.filter(|subscription| subscription.channel == to.channel)
        {
            *subscription = to;
        }
    }

    /// Index of the subscription to a channel.
    pub(crate) fn find(&self, channel: u32) -> Option<usize> {
        self.subscriptions
            .iter()
            .position(|subscription| subscription.channel == channel)
    }
}

// === impl Members ===

impl Members {
    pub(crate) fn new(limits: OutboxLimits) -> Self {
        let intake = Intake {
            limits: limits.bounded(),
            dirty: VecDeque::new(),
            facts: VecDeque::new(),
            ledger: Ledger::default(),
        };
        Self {
            slots: Vec::new(),
            count: 0,
            intake,
        }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.intake.ledger
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn insert(&mut self, id: MemberId, subprotocol: Subprotocol) {
        let index = id.0 as usize;
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        let member = Member {
            outbox: Outbox::new(),
            subscriptions: SmallVec::new(),
            subprotocol,
            dirty: false,
            overflowed: false,
        };
        assert!(
            self.slots[index].replace(member).is_none(),
            "a slot holds one member at a time"
        );
        self.count += 1;
    }

    pub(crate) fn remove(&mut self, id: MemberId) -> Option<Member> {
        let mut member = self.slots.get_mut(id.0 as usize)?.take()?;
        self.count -= 1;
        member.outbox.clear(&mut self.intake.ledger);
        // The next member of this slot must not get what this one left.
        self.intake.facts.retain(|fact| fact.member() != id);
        Some(member)
    }

    pub(crate) fn get(&self, id: MemberId) -> Option<&Member> {
        self.slots.get(id.0 as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: MemberId) -> Option<&mut Member> {
        self.slots.get_mut(id.0 as usize)?.as_mut()
    }

    /// Appends a channel's chunk to the outbox of one listener.
    pub(crate) fn append(&mut self, id: MemberId, chunks: &mut Chunks) {
        let slot = self.slots.get_mut(id.0 as usize).and_then(Option::as_mut);
        let member = slot.expect("whoever leaves listens no more");
        if member.overflowed {
            return;
        }
        let chunk = Rc::clone(chunks.of(member.subprotocol));
        self.intake.offer(id, member, Item::Publications(chunk));
    }

    /// Queues something that is meant for one member. Who is no member gets
    /// nothing.
    pub(crate) fn queue(&mut self, id: MemberId, control: Control) {
        let slot = self.slots.get_mut(id.0 as usize);
        let Some(member) = slot.and_then(Option::as_mut) else {
            return;
        };
        self.intake
            .offer(id, member, Item::Control(Box::new(control)));
    }

    /// Frees what was written.
    pub(crate) fn wrote(&mut self, id: MemberId, bytes: usize) {
        let slot = self.slots.get_mut(id.0 as usize);
        let Some(member) = slot.and_then(Option::as_mut) else {
            return;
        };
        let Intake { facts, ledger, .. } = &mut self.intake;
        let told = |receipt| {
            facts.push_back(Fact::Written {
                member: id,
                receipt,
            })
        };
        member.outbox.wrote(bytes, ledger, told);
    }

    pub(crate) fn next_dirty(&mut self) -> Option<MemberId> {
        while let Some(id) = self.intake.dirty.pop_front() {
            if let Some(member) = self.get_mut(id)
                && mem::take(&mut member.dirty)
                && !member.outbox.is_empty()
            {
                return Some(id);
            }
        }
        None
    }

    pub(crate) fn next_fact(&mut self) -> Option<Fact> {
        self.intake.facts.pop_front()
    }
}

// === impl Intake ===

impl Intake {
    /// Queues `item` if the member's policy and limits let it in.
    fn offer(&mut self, id: MemberId, member: &mut Member, item: Item) {
        let Member {
            outbox,
            subprotocol,
            ..
        } = member;
        let admission = admit(outbox, item, *subprotocol, self.limits, &mut self.ledger);
        if admission == Admission::Overflowed && !member.overflowed {
            member.overflowed = true;
            member.outbox.keep_controls(&mut self.ledger);
            self.ledger.overflowed += 1;
            self.facts.push_back(Fact::Overflowed { member: id });
        }
        if !member.dirty {
            member.dirty = true;
            self.dirty.push_back(id);
        }
    }
}

// === impl Fact ===

impl Fact {
    fn member(&self) -> MemberId {
        match *self {
            Self::Overflowed { member } | Self::Written { member, .. } => member,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_one_cache_line() {
        assert_eq!(size_of::<Member>(), 64);
        assert_eq!(size_of::<Option<Member>>(), 64);
    }
}
