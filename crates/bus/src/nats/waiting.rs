//! Calls that wait for their replies.
//!
//! Reply, cancellation and deadline race for one entry; who takes it out of the
//! table calls its `done`, so that is called exactly once. A call that times out
//! leaves nothing behind.

use std::time::{Duration, Instant};

use async_nats::Message;
use slab::Slab;

use crate::port::{BusError, Done};

/// Calls that may wait on one connection.
const CAPACITY: usize = 1 << 18;

/// The longest deadline that is told apart from a longer one.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Names a call; generations start at 1, so zero names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CallId(pub(super) u64);

/// What a call waits for.
pub(super) enum Awaited {
    /// One message.
    One(Done<Message>),
    /// Messages up to one with a status.
    Batch(Vec<Message>, Done<Vec<Message>>),
}

/// What to do about a call that ends without its reply.
pub(super) type Abandon = Box<dyn FnOnce() + Send>;

pub(super) struct Waiting {
    calls: Slab<Call>,
    generation: u32,
    /// No call expires before this; `None` while there is none.
    soonest: Option<Instant>,
}

pub(super) struct Call {
    generation: u32,
    deadline: Instant,
    pub(super) awaited: Awaited,
    /// Tells the other side that nobody waits any more.
    pub(super) abandon: Option<Abandon>,
}

// === impl Waiting ===

impl Waiting {
    pub(super) fn new() -> Self {
        Self {
            calls: Slab::new(),
            generation: 0,
            soonest: None,
        }
    }

    /// Keeps a call; gives it back if there is no room.
    pub(super) fn insert(
        &mut self,
        deadline: Duration,
        awaited: Awaited,
    ) -> Result<CallId, Awaited> {
        if self.calls.len() >= CAPACITY {
            return Err(awaited);
        }
        let deadline = Instant::now() + deadline.min(LONGEST);
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        let soonest = self
            .soonest
            .map_or(deadline, |soonest| soonest.min(deadline));
        self.soonest = Some(soonest);
        let generation = self.generation;
        let slot = self.calls.insert(Call {
            generation,
            deadline,
            awaited,
            abandon: None,
        });
        Ok(CallId(u64::from(generation) << 32 | slot as u64))
    }

    /// What is done should the call end without its reply.
    pub(super) fn set_abandon(&mut self, id: CallId, abandon: Abandon) {
        if let Some(slot) = self.slot(id) {
            self.calls[slot].abandon = Some(abandon);
        }
    }

    /// Takes a call out, if it still waits.
    pub(super) fn take(&mut self, id: CallId) -> Option<Call> {
        let slot = self.slot(id)?;
        Some(self.calls.remove(slot))
    }

    /// A message for a call has come; gives the call if that was its last.
    pub(super) fn receive(&mut self, id: CallId, message: Message) -> Option<(Call, Message)> {
        let slot = self.slot(id)?;
        if let Awaited::Batch(messages, _) = &mut self.calls[slot].awaited
            && message.status.is_none()
        {
            messages.push(message);
            return None;
        }
        Some((self.calls.remove(slot), message))
    }

    /// Calls whose deadline has passed. Looks only when one may have: answered
    /// calls leave `soonest` behind, so a look may be for nothing.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<Call> {
        if self.soonest.is_none_or(|soonest| now < soonest) {
            return Vec::new();
        }
        let due = self.calls.iter().filter(|(_, call)| call.deadline <= now);
        let slots: Vec<usize> = due.map(|(slot, _)| slot).collect();
        let expired = slots
            .into_iter()
            .map(|slot| self.calls.remove(slot))
            .collect();
        self.soonest = self.calls.iter().map(|(_, call)| call.deadline).min();
        expired
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    fn slot(&self, id: CallId) -> Option<usize> {
        let slot = (id.0 & u64::from(u32::MAX)) as usize;
        let call = self.calls.get(slot)?;
        (u64::from(call.generation) == id.0 >> 32).then_some(slot)
    }
}

// === impl Call ===

impl Call {
    /// Ends it without its reply.
    pub(super) fn fail(self, error: BusError) {
        match self.awaited {
            Awaited::One(done) => done(Err(error)),
            Awaited::Batch(_, done) => done(Err(error)),
        }
    }
}
