//! From outboxes to sockets: each dirty connection is written once a turn.

use std::io::{self, ErrorKind};

use hub::Fact;
use wire::CloseCause;

use super::{
    Core, Shard,
    connection::{Connection, Phase},
    member,
    perform::Ending,
};
use crate::budget::Advice;

/// What waits in several pieces is copied together up to this size: measured on
/// this stack, one copy and one write beat a vectored write up to some 8 KiB,
/// and the kernel takes no more than its send buffer anyway.
const GATHER_BYTES: usize = 64 << 10;

/// From one rise of the outboxes' level to the next.
const RELAX_MS: u64 = 100;

/// Less in one write is not worth the call.
const MIN_WRITE_BYTES: u32 = 1 << 10;

/// More than what an event and its frame hold besides a payload.
const EVENT_OVERHEAD: usize = 512;

impl Shard {
    /// Writes every outbox that has something new.
    pub(super) fn flush(&mut self) {
        loop {
            while let Some(hub::MemberId(slot)) = self.core.hub.next_dirty() {
                self.transmit(slot as usize);
            }
            // Acting on a fact may put something into an outbox.
            if !self.note_facts() {
                break;
            }
        }
        self.core.counters.pulse.wrote(self.core.clock.now());
    }

    /// Has outboxes hold less while those of the gateway hold too much together.
    pub(super) fn balance(&mut self) {
        let Core {
            hub,
            gateway,
            index,
            clock,
            counters,
            ..
        } = &mut self.core;
        match gateway.budget.note(*index, hub.held_bytes()) {
            Advice::Tighten => {
                hub.tighten();
                counters.tightened += 1;
                self.relax_ms = clock.now_ms() + RELAX_MS;
                self.flush();
            }
            Advice::Relax if clock.now_ms() >= self.relax_ms => {
                hub.relax();
                self.relax_ms = clock.now_ms() + RELAX_MS;
            }
            Advice::Relax | Advice::Keep => {}
        }
    }

    /// The kernel has room again.
    pub(super) fn unblock(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else {
            return;
        };
        if std::mem::take(&mut connection.flow.blocked) {
            // What it was sent was taken: a client that is slow is not silent,
            // and our ping may wait behind much that it has yet to read.
            connection.heard = self.core.clock.now();
            self.transmit(slot);
        }
    }

    /// Writes what waits for one connection, as far as the kernel takes it.
    fn transmit(&mut self, slot: usize) {
        let Self {
            connections, core, ..
        } = self;
        let Some(connection) = connections.get_mut(slot) else {
            return;
        };
        if core.write(slot, connection).is_err() {
            return self.lost(slot);
        }
        if !connection.has_pending() && self.core.hub.outbox(member(slot)).is_empty() {
            self.all_written(slot);
        }
    }

    /// The outbox is empty; a connection that is closing can go on closing.
    fn all_written(&mut self, slot: usize) {
        if let Some(connection) = self.connections.get(slot)
            && matches!(connection.phase, Phase::Closing(_))
        {
            self.finish_close(slot);
        }
        self.read_on_if_stalled(slot);
    }

    fn lost(&mut self, slot: usize) {
        let cause = match &self.connections[slot].phase {
            Phase::Closing(closing) => closing.cause,
            _ => CloseCause::ConnectionLost,
        };
        self.remove(slot, cause);
    }

    /// Acts on what the hub noticed; `false` if it was nothing.
    pub(super) fn note_facts(&mut self) -> bool {
        let mut noted = false;
        while let Some(fact) = self.core.hub.next_fact() {
            match fact {
                Fact::Overflowed { member } => {
                    self.close(member.0 as usize, CloseCause::SlowConsumer)
                }
                Fact::Written { member, receipt } => {
                    self.core.deliveries.written(member.0, receipt)
                }
            }
            noted = true;
        }
        noted
    }
}

impl Core {
    /// Writes until the outbox is empty or the kernel has enough.
    fn write(&mut self, slot: usize, connection: &mut Connection) -> io::Result<()> {
        let member = member(slot);
        if connection.has_pending() {
            connection.write_pending()?;
        }
        while !connection.flow.blocked && !self.hub.outbox(member).is_empty() {
            let outbox = self.hub.outbox(member);
            // The kernel takes whole buffers, however little it shall keep.
            let slowly = connection.profile.lean && !self.hub.keeps_up(member);
            let unsent = self.gateway.config.unsent_bytes.max(MIN_WRITE_BYTES) as usize;
            let most = slowly.then_some(unsent);
            let gathered = connection.most_at_once(most.unwrap_or(GATHER_BYTES));
            let most = connection.most_at_once(most.unwrap_or(usize::MAX));
            let bytes = outbox.gather(&mut self.outgoing, gathered);
            let bytes = &bytes[..bytes.len().min(most)];
            let wanted = bytes.len();
            match connection.write(bytes, &mut self.secured) {
                Ok(written) => {
                    if connection.flow.recorded {
                        self.record_departures(slot, connection, written);
                    }
                    self.hub.wrote(member, written);
                    self.counters.writes += 1;
                    self.counters.bytes_out += written as u64;
                    connection.flow.blocked = written < wanted || connection.has_pending();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    connection.flow.blocked = true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if connection.flow.blocked && self.hub.stalled(member) {
            connection.profile.waits_since = self.clock.now();
        }
        Ok(())
    }

    /// Writes before the end of the turn when much waits already: however much
    /// a client may ask for in one turn, it must not overflow while it reads.
    ///
    /// # Errors
    /// If it has overflowed: answering on would be work for nothing.
    pub(super) fn make_room(
        &mut self,
        slot: usize,
        connection: &mut Connection,
    ) -> Result<(), Ending> {
        let limits = self.gateway.config.outbox;
        let outbox = self.hub.outbox(member(slot));
        if outbox.items() >= limits.items / 4 || outbox.bytes() >= limits.bytes / 4 {
            self.write(slot, connection)
                .map_err(|_| CloseCause::ConnectionLost)?;
        }
        if self.hub.has_overflowed(member(slot)) {
            return Err(CloseCause::SlowConsumer.into());
        }
        Ok(())
    }

    /// Whether an event with so many bytes of payload can be in an outbox at
    /// all, in either subprotocol: JSON holds it in base64.
    pub(super) fn can_hold(&self, payload: usize) -> bool {
        payload / 3 * 4 + EVENT_OVERHEAD <= self.gateway.config.outbox.bytes
    }
}
