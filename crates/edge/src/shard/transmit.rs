//! From outboxes to sockets: each dirty connection is written once a turn.

use std::io::{ErrorKind, Write};

use hub::Fact;
use wire::CloseCause;

use super::{Shard, connection::Phase, member};

/// What waits in several pieces is copied together up to this size: measured on
/// this stack, one copy and one write beat a vectored write up to some 8 KiB,
/// and the kernel takes no more than its send buffer anyway.
const GATHER_BYTES: usize = 64 << 10;

impl Shard {
    /// Writes every outbox that has something new.
    pub(super) fn flush(&mut self) {
        loop {
            while let Some(hub::MemberId(slot)) = self.core.hub.next_dirty() {
                self.transmit(slot as usize);
            }
            // Acting on a fact may put something into an outbox.
            if !self.note_facts() {
                return;
            }
        }
    }

    /// The kernel has room again.
    pub(super) fn unblock(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else {
            return;
        };
        if std::mem::take(&mut connection.flow.blocked) {
            self.transmit(slot);
        }
    }

    /// Writes until the outbox is empty or the kernel has enough.
    fn transmit(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else {
            return;
        };
        if connection.flow.blocked {
            return;
        }
        let member = member(slot);
        while !self.core.hub.outbox(member).is_empty() {
            let bytes = self
                .core
                .hub
                .outbox(member)
                .gather(&mut self.outgoing, GATHER_BYTES);
            let wanted = bytes.len();
            match connection.stream.write(bytes) {
                Ok(written) => {
                    self.core.hub.wrote(member, written);
                    self.core.counters.writes += 1;
                    self.core.counters.bytes_out += written as u64;
                    if written < wanted {
                        connection.flow.blocked = true;
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    connection.flow.blocked = true;
                    return;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.lost(slot),
            }
        }
        self.all_written(slot);
    }

    /// The outbox is empty; a connection that is closing can go on closing.
    fn all_written(&mut self, slot: usize) {
        if let Some(connection) = self.connections.get(slot)
            && matches!(connection.phase, Phase::Closing(_))
        {
            self.finish_close(slot);
        }
    }

    fn lost(&mut self, slot: usize) {
        let cause = match &self.connections[slot].phase {
            Phase::Closing(closing) => closing.cause,
            _ => CloseCause::ConnectionLost,
        };
        self.remove(slot, cause);
    }

    /// Acts on what the hub noticed; `false` if it was nothing.
    fn note_facts(&mut self) -> bool {
        let mut noted = false;
        while let Some(fact) = self.core.hub.next_fact() {
            match fact {
                Fact::Overflowed { member } => {
                    self.close(member.0 as usize, CloseCause::SlowConsumer)
                }
                Fact::Written { receipt, .. } => self.core.deliveries.written(receipt),
            }
            noted = true;
        }
        noted
    }
}
