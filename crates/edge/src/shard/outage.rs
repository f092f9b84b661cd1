//! What a shard does while the bus is away: connections stay, clients are told,
//! and what needs the bus is refused at once, so that nobody waits for an
//! answer that can't come. Channels that flow already go on by themselves when
//! it is back.

use wire::{Channel, client::ErrorCode};

use super::{
    Core, Shard,
    connection::{Connection, Phase},
    member,
};

impl Shard {
    /// The bus carries messages again, or no more.
    pub(super) fn bus_is(&mut self, up: bool) {
        if self.core.degraded != up {
            return;
        }
        self.core.degraded = !up;
        if up {
            self.core.retry_reads(true);
        }
        let notice = match up {
            true => session::recovered(),
            false => session::degraded(),
        };
        for (slot, connection) in &self.connections {
            if matches!(connection.phase, Phase::Established(_)) {
                self.core.hub.send(member(slot), &notice, None);
            }
        }
        if up {
            self.look_again();
        }
    }
}

impl Core {
    pub(super) fn refuse_subscribe(
        &mut self,
        connection: &mut Connection,
        channel: &Channel,
        id: u32,
    ) {
        if let Phase::Established(session) = &mut connection.phase {
            let code = ErrorCode::Unavailable;
            session.subscribe_failed(id, channel, code, &mut self.actions);
        }
    }
}
