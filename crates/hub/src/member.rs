//! The members: one for each established connection of the shard.

use std::{collections::VecDeque, mem, rc::Rc};

use smallvec::SmallVec;
use wire::{Subprotocol, client::Gap};

use crate::{
    chunk::{Chunk, Chunks, MAX_CHUNK_BYTES},
    fact::Fact,
    gap::QueuedGap,
    item::Item,
    losses::{Loss, Losses},
    outbox::{Ledger, Outbox},
    policy::{Admission, Bounds, DeliveryPolicy, Door, OutboxLimits},
    pressure::Scale,
    subscription::Subscription,
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
    bounds: Bounds,
    /// Weighs what outboxes share.
    scale: Scale,
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

/// Notes where a member falls behind.
fn falls(member: MemberId, fallen: &mut Vec<Fallen>) -> impl FnMut(u32, u64) {
    move |alias, cursor| {
        fallen.push(Fallen {
            member,
            alias,
            cursor,
        })
    }
}

// === impl Member ===

impl Member {
    /// The way into its outbox.
    fn door<'a>(&'a mut self, bounds: Bounds, ledger: &'a mut Ledger) -> Door<'a> {
        Door {
            outbox: &mut self.outbox,
            subprotocol: self.subprotocol,
            bounds,
            fairly: self.stalled,
            ledger,
        }
    }

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

// === impl Members ===

impl Members {
    pub(crate) fn new(limits: OutboxLimits) -> Self {
        let intake = Intake {
            bounds: Bounds::new(limits.bounded()),
            scale: Scale::default(),
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
        self.intake.offer(id, member, Item::publications(chunk));
    }

    /// Queues something that is meant for one member. Who is no member gets
    /// nothing.
    pub(crate) fn queue(&mut self, id: MemberId, control: Item) {
        let slot = self.slots.get_mut(id.0 as usize);
        let Some(member) = slot.and_then(Option::as_mut) else {
            return;
        };
        self.intake.offer(id, member, control);
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

    /// Whether less than so many bytes of channels that it gets not all of wait for
    /// a member.
    pub(crate) fn holds_less(&self, id: MemberId, bytes: usize) -> bool {
        self.get(id)
            .is_some_and(|member| member.outbox.fresh_bytes() < bytes)
    }

    /// Has a channel wait until others of a member had their turn.
    pub(crate) fn pass_turn(&mut self, id: MemberId, channel: u32) {
        if let Some(member) = self.get_mut(id)
            && let Some(index) = member.find(channel)
        {
            member.subscriptions[index..].rotate_left(1);
        }
    }

    /// Counts what is withheld from one that gets not all.
    pub(crate) fn withheld(
        &mut self,
        id: MemberId,
        policy: DeliveryPolicy,
        dropped: u64,
        conflated: u64,
    ) {
        self.intake.losses.add(id, dropped, conflated);
        self.intake.ledger.withhold(policy, dropped, conflated);
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
            .is_some_and(|member| self.intake.bounds.leave_room(&member.outbox))
    }

    /// How many bytes a chunk for a lagging member should have.
    pub(crate) fn portion(&self) -> usize {
        MAX_CHUNK_BYTES.min(self.intake.bounds.level / 4)
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

    /// Tells a member what it will never be given of a channel of this priority.
    /// `again_behind`: who continues behind this offset is told it again.
    pub(crate) fn tell_gap(
        &mut self,
        id: MemberId,
        gap: Gap,
        priority: u8,
        again_behind: Option<u64>,
    ) {
        let slot = self.slots.get_mut(id.0 as usize).and_then(Option::as_mut);
        let member = slot.expect("whoever leaves is behind no more");
        let gap = QueuedGap::new(gap, member.subprotocol, again_behind);
        let ledger = &mut self.intake.ledger;
        member.outbox.tell_gap(gap, priority, ledger);
        self.intake.make_dirty(id, member);
    }

    /// Those whose outboxes hold more than so many bytes.
    pub(crate) fn above(&self, bytes: usize) -> Vec<MemberId> {
        let slots = (0..).map(MemberId).zip(&self.slots);
        let above = slots.filter(|(_, slot)| {
            let member = slot.as_ref().filter(|member| !member.overflowed);
            member.is_some_and(|member| member.outbox.bytes() > bytes)
        });
        above.map(|(id, _)| id).collect()
    }

    /// Has a member let go of what is above the level.
    pub(crate) fn let_go(&mut self, id: MemberId) {
        if let Some(member) = self.slots[id.0 as usize].as_mut() {
            self.intake.shed(id, member);
        }
    }

    /// Gives a member up.
    pub(crate) fn overflow(&mut self, id: MemberId) {
        if let Some(member) = self.slots[id.0 as usize].as_mut() {
            self.intake.overflow(id, member);
        }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.intake.bounds
    }

    pub(crate) fn set_level(&mut self, level: usize) {
        self.intake.bounds.level = level;
    }

    pub(crate) fn scale(&self) -> &Scale {
        &self.intake.scale
    }

    /// Who has fallen behind since this was last asked.
    pub(crate) fn take_fallen(&mut self) -> Vec<Fallen> {
        mem::take(&mut self.intake.fallen)
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
        let mut door = member.door(self.bounds, &mut self.ledger);
        let admission = door.admit(item, &mut falls(id, &mut self.fallen));
        if admission == Admission::Overflowed {
            self.overflow(id, member);
        }
        self.losses.add(id, self.ledger.let_go - let_go, 0);
        self.make_dirty(id, member);
    }

    /// Has a member let go of what is above the level.
    fn shed(&mut self, id: MemberId, member: &mut Member) {
        let let_go = self.ledger.let_go;
        let mut door = member.door(self.bounds, &mut self.ledger);
        door.shed(&mut falls(id, &mut self.fallen));
        self.losses.add(id, self.ledger.let_go - let_go, 0);
    }

    /// Gives a member up, unless it is already.
    fn overflow(&mut self, id: MemberId, member: &mut Member) {
        if mem::replace(&mut member.overflowed, true) {
            return;
        }
        member.outbox.keep_controls(&mut self.ledger);
        self.ledger.overflowed += 1;
        self.facts.push_back(Fact::Overflowed { member: id });
    }

    fn feed(&mut self, id: MemberId, member: &mut Member, chunk: Rc<Chunk>) -> bool {
        let let_go = self.ledger.let_go;
        let mut door = member.door(self.bounds, &mut self.ledger);
        let fed = door.feed(Item::publications(chunk));
        self.losses.add(id, self.ledger.let_go - let_go, 0);
        if fed {
            self.make_dirty(id, member);
        }
        fed
    }

    fn make_dirty(&mut self, id: MemberId, member: &mut Member) {
        if !member.dirty {
            member.dirty = true;
            self.dirty.push_back(id);
        }
    }

    fn make_hungry(&mut self, id: MemberId, member: &mut Member) {
        if !member.hungry && self.bounds.leave_room(&member.outbox) {
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
