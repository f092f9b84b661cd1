//! What happens when an outbox is full. The one place that decides it.

use wire::Subprotocol;

use crate::{
    chunk::Chunk,
    outbox::{Item, Ledger, Outbox},
};

/// What is done for a connection that reads more slowly than a channel flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The oldest publications in its outbox are let go and it is told so by a
    /// `Gap` in their place.
    DropOldest,
    /// It is disconnected.
    Disconnect,
}

/// How a namespace's publications are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryPolicy {
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

/// What became of something that was to be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is in the outbox.
    Queued,
    /// The outbox is full; a gap in it reports the loss.
    Withheld,
    /// The outbox is full and this may not be lost.
    Overflowed,
}

/// Largest byte limit: sums of charges stay well inside of 32 bits.
const MAX_LIMIT_BYTES: usize = 2 << 30;

/// Queues `item` if it fits, or makes it fit by letting go of older publications
/// whose policy allows it, whatever `item` is: a busy channel must not cost the
/// connection its answers.
pub(crate) fn admit(
    outbox: &mut Outbox,
    item: Item,
    subprotocol: Subprotocol,
    limits: OutboxLimits,
    ledger: &mut Ledger,
) -> Admission {
    if fits(outbox, &item, limits) || make_room(outbox, &item, subprotocol, limits, ledger) {
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
        Overflow::DropOldest => true,
        Overflow::Disconnect => false,
    }
}

fn fits(outbox: &Outbox, item: &Item, limits: OutboxLimits) -> bool {
    outbox.bytes() + item.charge() <= limits.bytes && outbox.items() < limits.items
}

#[cold]
fn make_room(
    outbox: &mut Outbox,
    item: &Item,
    subprotocol: Subprotocol,
    limits: OutboxLimits,
    ledger: &mut Ledger,
) -> bool {
    // What can never fit shall not cost what is queued already.
    if item.charge() > limits.bytes {
        return false;
    }
    while !fits(outbox, item, limits) {
        if !outbox.drop_oldest(subprotocol, ledger) {
            return false;
        }
    }
    true
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
