//! The members: one for each established connection of the shard.

use std::{collections::VecDeque, mem, rc::Rc};

use smallvec::SmallVec;
use wire::{Subprotocol, client::Gap};

use crate::{
    chunk::{Chunk, Chunks, MAX_CHUNK_BYTES},
    class::Class,
    fact::Fact,
    losses::{Loss, Losses},
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
    /// Stands in [`Intake::hungry`].
    hungry: bool,
    /// The kernel did not take all that was to be written.
    stalled: bool,
    /// How many of its subscriptions are behind.
    lagging: u16,
}

/// A member's place among the listeners of a channel, among those who are behind,
/// or among those who don't get all of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscription {
    /// The channel's key in the table.
    pub(crate) channel: u32,
    /// Index in the list; the highest bits tell in which.
    position: u32,
}

/// A member that can't be given what a channel has for it, and continues from
/// the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fallen {
    pub(crate) member: MemberId,
    pub(crate) alias: u32,
    /// Offset of the last publication that it has, or will have been written.
    pub(crate) cursor: u64,
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
    /// Lagging members whose outboxes have room. As `dirty`.
    hungry: VecDeque<MemberId>,
    /// Not in the books of their channels yet.
    fallen: Vec<Fallen>,
    facts: VecDeque<Fact>,
    ledger: Ledger,
    losses: Losses,
}

/// Marks positions of those who are behind.
const BEHIND: u32 = 1 << 31;

/// Marks positions among those who don't get all.
const FOLLOWS: u32 = 1 << 30;

// === impl Member ===

impl Member {
    /// Notes where the member stands in a channel now.
    pub(crate) fn enlist(&mut self, place: Subscription) {
        self.lagging += u16::from(place.is_behind());
        match self.find(place.channel) {
            Some(index) => {
                let before = mem::replace(&mut self.subscriptions[index], place);
                self.lagging -= u16::from(before.is_behind());
            }
            None => self.subscriptions.push(place),
        }
    }

    /// Takes a subscription from it.
    pub(crate) fn delist(&mut self, channel: u32) -> Option<Subscription> {
        let index = self.find(channel)?;
        let place = self.subscriptions.swap_remove(index);
        self.lagging -= u16::from(place.is_behind());
        Some(place)
    }

    /// Takes all subscriptions from it.
    pub(crate) fn silence(&mut self) -> SmallVec<[Subscription; 3]> {
        self.lagging = 0;
        mem::take(&mut self.subscriptions)
    }

    /// Index of the subscription to a channel.
    pub(crate) fn find(&self, channel: u32) -> Option<usize> {
        self.subscriptions
            .iter()
            .position(|subscription| subscription.channel == channel)
    }

    /// The subscription to a channel.
    pub(crate) fn subscription(&self, channel: u32) -> Option<Subscription> {
        self.find(channel).map(|index| self.subscriptions[index])
    }
}

// === impl Subscription ===

impl Subscription {
    /// Among the listeners.
    pub(crate) fn live(channel: u32, index: usize) -> Self {
        Self {
            channel,
            position: index as u32,
        }
    }

    /// Among those who are behind in the log.
    pub(crate) fn behind(channel: u32, index: usize) -> Self {
        Self {
            channel,
            position: index as u32 | BEHIND,
        }
    }

    /// Among those who don't get all; with something to be given now, or not.
    pub(crate) fn following(channel: u32, index: usize, is_behind: bool) -> Self {
        let behind = if is_behind { BEHIND } else { 0 };
        Self {
            channel,
            position: index as u32 | FOLLOWS | behind,
        }
    }

    /// It does not get all.
    pub(crate) fn follows(self) -> bool {
        self.position & FOLLOWS != 0
    }

    pub(crate) fn is_behind(self) -> bool {
        self.position & BEHIND != 0
    }

    pub(crate) fn index(self) -> usize {
        (self.position & !(BEHIND | FOLLOWS)) as usize
    }
}

// === impl Members ===

impl Members {
    pub(crate) fn new(limits: OutboxLimits) -> Self {
        let intake = Intake {
            limits: limits.bounded(),
            dirty: VecDeque::new(),
            hungry: VecDeque::new(),
            fallen: Vec::new(),
            facts: VecDeque::new(),
            ledger: Ledger::default(),
            losses: Losses::new(),
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
            hungry: false,
            stalled: false,
            lagging: 0,
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
        self.intake.losses.forget(id);
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
        member.stalled &= !member.outbox.is_empty();
        if member.lagging > 0 {
            self.intake.make_hungry(id, member);
        }
    }

    /// Notes that the kernel takes no more for now; whether it took all so far.
    pub(crate) fn stalled(&mut self, id: MemberId) -> bool {
        self.get_mut(id).is_some_and(|member| {
            let stalled = !member.outbox.is_empty();
            !mem::replace(&mut member.stalled, stalled) && stalled
        })
    }

    /// Whether a member takes what it is given as it comes.
    pub(crate) fn keeps_up(&self, id: MemberId) -> bool {
        self.get(id).is_some_and(|member| !member.stalled)
    }

    /// Whether a member's outbox holds less than so many bytes.
    pub(crate) fn holds_less(&self, id: MemberId, bytes: usize) -> bool {
        self.get(id)
            .is_some_and(|member| member.outbox.bytes() < bytes)
    }

    /// Counts what is withheld from one that gets not all.
    pub(crate) fn withheld(&mut self, id: MemberId, class: Class, dropped: u64, conflated: u64) {
        self.intake.losses.add(id, dropped, conflated);
        let share = &mut self.intake.ledger.classes[class.index()];
        share.dropped += dropped;
        share.conflated += conflated;
    }

    pub(crate) fn loss(&self, id: MemberId) -> Loss {
        self.intake.losses.of(id)
    }

    /// Lets a lagging member be fed, if its outbox has room.
    pub(crate) fn make_hungry(&mut self, id: MemberId) {
        let slot = self.slots.get_mut(id.0 as usize);
        if let Some(member) = slot.and_then(Option::as_mut) {
            self.intake.make_hungry(id, member);
        }
    }

    /// The next lagging member that is to be fed; longest waiting first.
    pub(crate) fn next_hungry(&mut self) -> Option<MemberId> {
        while let Some(id) = self.intake.hungry.pop_front() {
            if let Some(member) = self.get_mut(id)
                && mem::take(&mut member.hungry)
                && !member.overflowed
            {
                return Some(id);
            }
        }
        None
    }

    pub(crate) fn anybody_hungry(&self) -> bool {
        !self.intake.hungry.is_empty()
    }

    /// Whether a lagging member's outbox has room for more of its backlog.
    pub(crate) fn has_room(&self, id: MemberId) -> bool {
        self.get(id)
            .is_some_and(|member| self.intake.limits.leave_room(&member.outbox))
    }

    /// How many bytes a chunk for a lagging member should have.
    pub(crate) fn portion(&self) -> usize {
        MAX_CHUNK_BYTES.min(self.intake.limits.bytes / 4)
    }

    /// Appends a part of a channel's backlog to the outbox of one member; what
    /// can never fit is reported by a gap. Returns its bytes, or nothing if it
    /// does not fit now.
    pub(crate) fn feed(&mut self, id: MemberId, chunks: &mut Chunks) -> Option<usize> {
        let slot = self.slots.get_mut(id.0 as usize).and_then(Option::as_mut);
        let member = slot.expect("whoever leaves is behind no more");
        let chunk = Rc::clone(chunks.of(member.subprotocol));
        let bytes = chunk.frame().len();
        self.intake.feed(id, member, chunk).then_some(bytes)
    }

    /// Tells a member what it will never be given of a channel. `again_behind`:
    /// who continues behind this offset is told it again.
    pub(crate) fn tell_gap(&mut self, id: MemberId, gap: Gap, again_behind: Option<u64>) {
        let slot = self.slots.get_mut(id.0 as usize).and_then(Option::as_mut);
        let member = slot.expect("whoever leaves is behind no more");
        let Member {
            outbox,
            subprotocol,
            ..
        } = member;
        outbox.tell_gap(gap, again_behind, *subprotocol, &mut self.intake.ledger);
        self.intake.make_dirty(id, member);
    }

    /// Who has fallen behind since this was last asked.
    pub(crate) fn take_fallen(&mut self) -> Vec<Fallen> {
        mem::take(&mut self.intake.fallen)
    }

    pub(crate) fn anybody_fell(&self) -> bool {
        !self.intake.fallen.is_empty()
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
        let let_go = self.ledger.let_go;
        let Member {
            outbox,
            subprotocol,
            ..
        } = member;
        let mut fell = |alias, cursor| {
            self.fallen.push(Fallen {
                member: id,
                alias,
                cursor,
            })
        };
        let admission = admit(
            outbox,
            item,
            *subprotocol,
            self.limits,
            &mut self.ledger,
            &mut fell,
        );
        if admission == Admission::Overflowed && !member.overflowed {
            member.overflowed = true;
            member.outbox.keep_controls(&mut self.ledger);
            self.ledger.overflowed += 1;
            self.facts.push_back(Fact::Overflowed { member: id });
        }
        self.losses.add(id, self.ledger.let_go - let_go, 0);
        self.make_dirty(id, member);
    }

    fn feed(&mut self, id: MemberId, member: &mut Member, chunk: Rc<Chunk>) -> bool {
        let item = Item::Publications(chunk);
        if self.limits.admit(&member.outbox, &item) {
            member.outbox.push(item, &mut self.ledger);
        } else if self.limits.exclude(&item) {
            let Item::Publications(chunk) = item else {
                unreachable!("made above")
            };
            let subprotocol = member.subprotocol;
            self.losses.add(id, chunk.publications().into(), 0);
            member
                .outbox
                .withhold(&chunk, subprotocol, &mut self.ledger);
        } else {
            return false;
        }
        self.make_dirty(id, member);
        true
    }

    fn make_dirty(&mut self, id: MemberId, member: &mut Member) {
        if !member.dirty {
            member.dirty = true;
            self.dirty.push_back(id);
        }
    }

    fn make_hungry(&mut self, id: MemberId, member: &mut Member) {
        if !member.hungry && self.limits.leave_room(&member.outbox) {
            member.hungry = true;
            self.hungry.push_back(id);
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
