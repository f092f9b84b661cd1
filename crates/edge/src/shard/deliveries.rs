//! Messages to clients that are not of a channel, and what becomes of them.

use std::{
    cell::RefCell, collections::BTreeMap, ops::RangeInclusive, rc::Rc, sync::Arc, time::Instant,
};

use wire::{
    ConnectionId,
    client::{Direct, ServerEvent, server_event::Event},
    gateway::{Deliver, Level, Receipt},
};

use super::{Shard, connection::slot_number, member};
use crate::command::{Answer, Query};

/// Outcomes that one shard waits for; some 40 MB. Beyond it senders are told
/// that their messages are enqueued, and no more.
const MAX_WAITING: usize = 262_144;

/// Deliveries whose senders wait for more than a place in an outbox.
#[derive(Default)]
pub(super) struct Deliveries {
    /// The newest delivery's number. It is the receipt that the hub gives back,
    /// and the `ack_id` that the client confirms: they grow, so one Ack is for
    /// a range.
    last: u64,
    /// By slot and number.
    waiting: BTreeMap<(u32, u64), Awaited>,
    /// Those of mailboxes, by slot, offset and number, until they are given; until
    /// they are confirmed, if that is awaited.
    stored: BTreeMap<(u32, u64, u64), Awaited>,
    /// When the first of them must be answered, or earlier.
    due: Option<Instant>,
}

/// One connection's part of a delivery.
struct Awaited {
    id: ConnectionId,
    reached: Level,
    pending: Rc<Pending>,
}

/// A delivery that is answered when its last connection has an outcome; shared
/// by [`Awaited`] entries of one shard only.
struct Pending {
    query: Arc<Query>,
    awaits: Level,
    receipts: RefCell<(usize, Vec<Receipt>)>,
}

impl Shard {
    /// Sends a message to everybody meant, and answers at once or when it is
    /// known how far it got.
    pub(super) fn deliver(&mut self, deliver: &Deliver, query: &Arc<Query>) {
        if deliver.mailbox_offset != 0 {
            return self.deliver_stored(deliver, query);
        }
        let slots = self.targets(query.target());
        let fits = self.core.can_hold(deliver.payload.len());
        let awaits = match deliver.await_level() {
            level @ (Level::Written | Level::Acknowledged) => Some(level),
            _ => None,
        };
        let room = self.core.deliveries.has_room(slots.len());
        match awaits {
            Some(level) if fits && room && !slots.is_empty() => {
                self.deliver_and_wait(deliver, level, query, &slots);
            }
            _ => {
                let event = direct(deliver, None);
                let receipts = slots.into_iter().map(|slot| {
                    // What no outbox can hold must not cost the connection.
                    let taken = fits && self.send_direct(slot, &event, None);
                    let level = match taken {
                        true => Level::Enqueued,
                        false => Level::Refused,
                    };
                    receipt_of(&self.id_of(slot), level)
                });
                query.answer(Answer::Delivered(receipts.collect()));
            }
        }
    }

    fn deliver_and_wait(
        &mut self,
        deliver: &Deliver,
        awaits: Level,
        query: &Arc<Query>,
        slots: &[usize],
    ) {
        let pending = Rc::new(Pending {
            query: query.clone(),
            awaits,
            receipts: RefCell::new((slots.len(), Vec::with_capacity(slots.len()))),
        });
        for &slot in slots {
            let id = self.id_of(slot);
            let number = self.core.deliveries.expect(slot_number(slot), id, &pending);
            let ack_id = (awaits == Level::Acknowledged).then_some(number);
            if !self.send_direct(slot, &direct(deliver, ack_id), Some(number)) {
                let key = (slot_number(slot), number);
                self.core.deliveries.settle(key, Level::Refused);
            }
        }
    }

    /// Queues an event for a connection; `false` if its outbox refused it, and
    /// the connection is being closed.
    pub(super) fn send_direct(
        &mut self,
        slot: usize,
        event: &ServerEvent,
        receipt: Option<hub::Receipt>,
    ) -> bool {
        let Self {
            connections, core, ..
        } = self;
        core.hub.send(member(slot), event, receipt);
        let room = core.make_room(slot, &mut connections[slot]);
        room.map_err(|ending| self.end(slot, ending)).is_ok()
    }

    /// Awaits what becomes of a mailbox's message at these connections; `false` if
    /// that was answered at once.
    pub(super) fn expect_stored(
        &mut self,
        deliver: &Deliver,
        query: &Arc<Query>,
        slots: &[usize],
    ) -> bool {
        let ids: Vec<_> = slots.iter().map(|&slot| self.id_of(slot)).collect();
        let deliveries = &mut self.core.deliveries;
        if slots.is_empty() || !deliveries.has_room(slots.len()) {
            // They are given it, but who asks is not told.
            let unknown = ids.iter().map(|id| receipt_of(id, Level::Unspecified));
            query.answer(Answer::Delivered(unknown.collect()));
            return false;
        }
        let pending = Rc::new(Pending {
            query: query.clone(),
            awaits: match deliver.await_level() {
                level @ (Level::Written | Level::Acknowledged) => level,
                _ => Level::Enqueued,
            },
            receipts: RefCell::new((slots.len(), Vec::with_capacity(slots.len()))),
        });
        for (&slot, id) in slots.iter().zip(ids) {
            let place = (slot_number(slot), deliver.mailbox_offset);
            deliveries.expect_stored(place, id, &pending);
        }
        true
    }

    /// The connection has been given a mailbox's messages up to `offset`, some time
    /// ago, and has confirmed those up to `confirmed`.
    pub(super) fn given_before(&mut self, slot: usize, offset: u64, confirmed: u64) {
        let is_written = self.core.hub.outbox(member(slot)).is_empty();
        let slot = slot_number(slot);
        let deliveries = &mut self.core.deliveries;
        if let Some(number) = deliveries.give(slot, offset) {
            match is_written {
                true => deliveries.settle((slot, number), Level::Written),
                false => deliveries.settle((slot, number), Level::Enqueued),
            }
        }
        deliveries.confirmed(slot, confirmed);
    }

    pub(super) fn id_of(&self, slot: usize) -> ConnectionId {
        let generation = self.connections[slot].generation;
        self.core.connection_id(slot, generation)
    }
}

// === impl Deliveries ===

impl Deliveries {
    fn has_room(&self, count: usize) -> bool {
        self.waiting.len() + self.stored.len() + count <= MAX_WAITING
    }

    fn expect(&mut self, slot: u32, id: ConnectionId, pending: &Rc<Pending>) -> u64 {
        self.last += 1;
        let awaited = Awaited {
            id,
            reached: Level::Enqueued,
            pending: pending.clone(),
        };
        self.waiting.insert((slot, self.last), awaited);
        self.answer_by(pending.query.answer_by);
        self.last
    }

    fn expect_stored(
        &mut self,
        (slot, offset): (u32, u64),
        id: ConnectionId,
        pending: &Rc<Pending>,
    ) {
        self.last += 1;
        let awaited = Awaited {
            id,
            reached: Level::Unspecified,
            pending: pending.clone(),
        };
        self.stored.insert((slot, offset, self.last), awaited);
        self.answer_by(pending.query.answer_by);
    }

    fn answer_by(&mut self, answer_by: Instant) {
        self.due = Some(self.due.map_or(answer_by, |due| due.min(answer_by)));
    }

    /// The mailbox's messages up to `offset` are in the connection's outbox, or were
    /// in it; the last is to be sent with this receipt.
    pub(super) fn give(&mut self, slot: u32, offset: u64) -> Option<hub::Receipt> {
        let mut receipt = None;
        let is_done = |_: &_, awaited: &mut Awaited| {
            awaited.reached = Level::Enqueued;
            awaited.pending.awaits != Level::Acknowledged
        };
        for ((.., number), awaited) in self.stored.extract_if(up_to(slot, offset), is_done) {
            match awaited.pending.awaits {
                Level::Written => {
                    self.waiting.insert((slot, number), awaited);
                    if let Some(earlier) = receipt.replace(number)
                        && let Some(earlier) = self.waiting.remove(&(slot, earlier))
                    {
                        earlier.settle(Level::Enqueued);
                    }
                }
                _ => awaited.settle(Level::Enqueued),
            }
        }
        receipt
    }

    /// The connection can't be given the mailbox's message at `offset`.
    pub(super) fn refuse(&mut self, slot: u32, offset: u64) {
        for (_, awaited) in self.stored.extract_if(up_to(slot, offset), |_, _| true) {
            awaited.settle(Level::Refused);
        }
    }

    /// The client confirmed the mailbox's messages up to an offset.
    pub(super) fn confirmed(&mut self, slot: u32, offset: u64) {
        let is_given = |_: &_, awaited: &mut Awaited| awaited.pending.awaits == Level::Acknowledged;
        for (_, awaited) in self.stored.extract_if(up_to(slot, offset), is_given) {
            awaited.settle(Level::Acknowledged);
        }
    }

    /// The socket in `slot` took the last byte.
    pub(super) fn written(&mut self, slot: u32, receipt: hub::Receipt) {
        let key = (slot, receipt);
        if let Some(awaited) = self.waiting.get_mut(&key) {
            awaited.reached = Level::Written;
            if awaited.pending.awaits == Level::Written {
                self.settle(key, Level::Written);
            }
        }
    }

    /// The client confirmed everything up to a number.
    pub(super) fn acknowledged(&mut self, slot: u32, up_to: u64) {
        self.settle_range(
            slot,
            up_to,
            |awaited| awaited.pending.awaits == Level::Acknowledged,
            Level::Acknowledged,
        );
    }

    /// A connection ended; what it had not written or confirmed will never be.
    pub(super) fn gone(&mut self, slot: u32) {
        self.settle_range(slot, u64::MAX, |_| true, Level::Gone);
        for (_, awaited) in self.stored.extract_if(up_to(slot, u64::MAX), |_, _| true) {
            awaited.settle(Level::Gone);
        }
    }

    /// Answers deliveries that have waited long enough with the levels reached.
    pub(super) fn expire(&mut self) {
        let Some(due) = self.due else {
            return;
        };
        let now = Instant::now();
        if now < due {
            return;
        }
        let late = |_: &_, awaited: &mut Awaited| awaited.pending.query.answer_by <= now;
        let waiting = self.waiting.extract_if(.., late).map(|(_, it)| it);
        let late = |_: &_, awaited: &mut Awaited| awaited.pending.query.answer_by <= now;
        let stored = self.stored.extract_if(.., late).map(|(_, it)| it);
        for awaited in waiting.chain(stored) {
            let reached = awaited.reached;
            awaited.settle(reached);
        }
        let answer_by = |awaited: &Awaited| awaited.pending.query.answer_by;
        let left = self.waiting.values().chain(self.stored.values());
        self.due = left.map(answer_by).min();
    }

    fn settle(&mut self, key: (u32, u64), level: Level) {
        if let Some(awaited) = self.waiting.remove(&key) {
            awaited.settle(level);
        }
    }

    fn settle_range(
        &mut self,
        slot: u32,
        up_to: u64,
        which: impl Fn(&Awaited) -> bool,
        level: Level,
    ) {
        let range = (slot, 0)..=(slot, up_to);
        let meant = |_: &_, awaited: &mut Awaited| which(awaited);
        for (_, awaited) in self.waiting.extract_if(range, meant) {
            awaited.settle(level);
        }
    }
}

// === impl Awaited ===

impl Awaited {
    fn settle(self, level: Level) {
        let mut receipts = self.pending.receipts.borrow_mut();
        receipts.0 -= 1;
        receipts.1.push(receipt_of(&self.id, level));
        if receipts.0 == 0 {
            let all = std::mem::take(&mut receipts.1);
            drop(receipts);
            self.pending.query.answer(Answer::Delivered(all));
        }
    }
}

/// Everything of a connection up to an offset of its mailbox.
fn up_to(slot: u32, offset: u64) -> RangeInclusive<(u32, u64, u64)> {
    (slot, 0, 0)..=(slot, offset, u64::MAX)
}

fn direct(deliver: &Deliver, ack_id: Option<u64>) -> ServerEvent {
    let direct = Direct {
        payload: deliver.payload.clone(),
        needs_ack: ack_id.is_some(),
        ack_id: ack_id.unwrap_or_default(),
        ..Direct::default()
    };
    ServerEvent {
        event: Some(Event::Direct(direct)),
    }
}

fn receipt_of(id: &ConnectionId, level: Level) -> Receipt {
    Receipt {
        connection_id: id.to_string(),
        level: level.into(),
    }
}
