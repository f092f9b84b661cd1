//! From a socket's bytes to handled events.

use std::io::ErrorKind;

use wire::{
    CloseCause,
    websocket::{self, Incoming, OpCode},
};

use super::{
    Core, Shard,
    connection::{Connection, Phase},
    member,
    perform::Ending,
    secured::Taken,
};
use crate::{allowance::Standing, clock::Tick, parties::Party};

/// Reads of one connection in one turn; what is left waits for the next.
const READS_PER_TURN: usize = 4;

impl Shard {
    /// Reads what a socket has, within the turn's budget.
    pub(super) fn receive(&mut self, slot: usize) {
        for _ in 0..READS_PER_TURN {
            let Some(connection) = self.connections.get_mut(slot) else {
                return;
            };
            if !connection.wants_input() {
                connection.flow.unread = true;
                return;
            }
            let class = connection.flow.rate_class;
            let rates = self.core.gateway.config.rates_of(class);
            let most = connection.allowance.appetite(rates, self.scratch.len());
            let buffers = &mut self.core.secured;
            match connection.read(&mut self.scratch, most, buffers) {
                Ok(Taken { length: 0, .. }) => return self.peer_left(slot),
                Ok(Taken { length, drained }) => {
                    connection.heard = self.core.clock.now();
                    connection.flow.pinged = false;
                    self.core.counters.bytes_in += length as u64;
                    self.digest(slot, length);
                    if drained {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.peer_left(slot),
            }
        }
        self.unread.push(slot);
    }

    /// Goes on with a connection that wanted no input for a while.
    pub(super) fn resume(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else {
            return;
        };
        if !connection.wants_input() {
            return;
        }
        if connection.reader.has_buffered() {
            self.digest(slot, 0);
        }
        let Some(connection) = self.connections.get_mut(slot) else {
            return;
        };
        if std::mem::take(&mut connection.flow.unread) {
            self.unread.push(slot);
        }
    }

    /// Reads those again that are no longer over their rate; once a tick.
    pub(super) fn read_again(&mut self) {
        let now = self.core.clock.now();
        for slot in std::mem::take(&mut self.over_rate) {
            let connection = self.connections.get_mut(slot);
            // The slot may be somebody else's by now.
            let Some(connection) = connection.filter(|it| it.flow.over_rate) else {
                continue;
            };
            let gateway = &self.core.gateway;
            let rates = gateway.config.rates_of(connection.flow.rate_class);
            let standing = connection.allowance.standing(rates, now);
            let owes = connection.profile.identity.as_ref().and_then(|identity| {
                let address = connection.profile.peer.ip();
                let parties = &gateway.parties;
                parties.is_over(&identity.user, address, &self.core.clock)
            });
            match standing.max(owes.map_or(Standing::Within, |_| Standing::Over)) {
                Standing::Over => self.over_rate.push(slot),
                Standing::Flooding => self.close(slot, CloseCause::RateLimited),
                Standing::Within => {
                    connection.flow.over_rate = false;
                    self.resume(slot);
                }
            }
        }
    }

    /// Handles the messages in the first `length` bytes of the scratch buffer.
    pub(super) fn digest(&mut self, slot: usize, length: usize) {
        let Self {
            connections,
            scratch,
            over_rate,
            core,
            ..
        } = self;
        let Some(connection) = connections.get_mut(slot) else {
            return;
        };
        if matches!(connection.phase, Phase::Closing(_)) {
            return;
        }
        // The reader is taken out, because handling a message needs the rest.
        let events = core.counters.events_in;
        let mut reader = std::mem::take(&mut connection.reader);
        let mut messages = reader.read(&core.gateway.config.websocket, &mut scratch[..length]);
        let mut end = None;
        while end.is_none() && connection.wants_input() {
            end = match messages.next() {
                None => break,
                Some(Ok(message)) => core.on_message(slot, connection, message).err(),
                Some(Err(violation)) => Some(violation.cause().into()),
            };
        }
        drop(messages);
        connection.reader = reader;
        if let Phase::Established(_) = connection.phase {
            let events = core.counters.events_in - events;
            if core.charge(connection, events, length) {
                connection.flow.over_rate = true;
                over_rate.push(slot);
            }
        }
        if let Some(ending) = end {
            self.end(slot, ending);
        }
    }

    fn peer_left(&mut self, slot: usize) {
        let Some(connection) = self.connections.get(slot) else {
            return;
        };
        let cause = match &connection.phase {
            Phase::Closing(closing) => closing.cause,
            _ => CloseCause::ConnectionLost,
        };
        self.remove(slot, cause);
    }
}

impl Core {
    /// Notes what a client has sent; whether it is to be left unread for a while.
    fn charge(&mut self, connection: &mut Connection, messages: u64, bytes: usize) -> bool {
        let rates = self.gateway.config.rates_of(connection.flow.rate_class);
        let now = self.clock.now();
        let own = connection.allowance.charge(rates, now, messages, bytes);
        let party = connection.profile.identity.as_ref().and_then(|identity| {
            let address = connection.profile.peer.ip();
            let parties = &self.gateway.parties;
            parties.charge(&identity.user, address, &self.clock, messages, bytes)
        });
        match (own, party) {
            (true, _) => self.counters.over_rate += 1,
            (false, Some(Party::User)) => self.counters.over_user_rate += 1,
            (false, Some(Party::Address)) => self.counters.over_address_rate += 1,
            (false, None) => {}
        }
        own || party.is_some()
    }

    fn on_message(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        message: Incoming<'_>,
    ) -> Result<(), Ending> {
        self.counters.messages_in += 1;
        connection.profile.messages = connection.profile.messages.wrapping_add(1);
        if connection.flow.recorded {
            self.record_frame(connection, &message);
        }
        match message {
            Incoming::Text(text) => self.on_content(slot, connection, text, true),
            Incoming::Binary(bytes) => self.on_content(slot, connection, bytes, false),
            Incoming::Ping(payload) => {
                self.counters.events_in += 1;
                let mut frame = Vec::with_capacity(payload.len() + 2);
                websocket::pong_frame(payload, &mut frame);
                self.hub.send_frame(member(slot), frame.into());
                self.make_room(slot, connection)
            }
            Incoming::Pong(_) => {
                self.counters.events_in += 1;
                Ok(())
            }
            Incoming::Close(_) => Err(CloseCause::ClosedByPeer.into()),
        }
    }

    fn on_content(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        content: &[u8],
        text: bool,
    ) -> Result<(), Ending> {
        match connection.phase {
            Phase::Echo => {
                self.echo(slot, content, text);
                Ok(())
            }
            _ => {
                let handled = self.on_data(slot, connection, content, text);
                if let Phase::Established(_) = connection.phase {
                    connection.profile.deadline = Tick::NEVER;
                }
                handled
            }
        }
    }

    fn echo(&mut self, slot: usize, data: &[u8], text: bool) {
        let mut header = [0; websocket::MAX_SERVER_HEADER];
        let opcode = if text { OpCode::Text } else { OpCode::Binary };
        let length = websocket::server_header(opcode, data.len(), &mut header);
        let mut frame = Vec::with_capacity(length + data.len());
        frame.extend_from_slice(&header[..length]);
        frame.extend_from_slice(data);
        self.hub.send_frame(member(slot), frame.into());
    }
}
