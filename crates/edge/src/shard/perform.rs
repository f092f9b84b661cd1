//! Hands events to the session and does what it asks for.

use std::time::SystemTime;

use auth::TokenError;
use session::{Action, Authenticated};
use wire::{CloseCause, Subprotocol, client::ClientEvent};

use super::{
    Core,
    connection::{Connection, Phase, slot_number},
    member,
};
use crate::{clock::unix_ms, namespace::ConnectionGrants};

/// Events in one message. An event takes fifty times as much memory as the two
/// bytes it can be sent in, and those behind a full window are kept.
const MAX_EVENTS: usize = 4096;

/// A connection must end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    pub(super) cause: CloseCause,
    /// The client was sent its Closing event already.
    pub(super) told: bool,
}

impl From<CloseCause> for Ending {
    fn from(cause: CloseCause) -> Self {
        Self { cause, told: false }
    }
}

impl Core {
    /// Handles the events of one message.
    pub(super) fn on_data(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        data: &[u8],
        text: bool,
    ) -> Result<(), Ending> {
        let subprotocol: Subprotocol = connection.profile.subprotocol;
        if subprotocol.is_text() != text {
            return Err(CloseCause::WrongMessageType.into());
        }
        let message = subprotocol
            .decode(data)
            .map_err(|_| CloseCause::MalformedMessage)?;
        if message.events.len() > MAX_EVENTS {
            return Err(CloseCause::MessageTooLarge.into());
        }
        // A message without events is not for nothing.
        self.counters.events_in += message.events.len().max(1) as u64;
        for event in message.events {
            if connection.flow.recorded {
                self.record_event(connection, &event);
            }
            self.on_event(slot, connection, event)?;
        }
        Ok(())
    }

    fn on_event(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        event: ClientEvent,
    ) -> Result<(), Ending> {
        match &mut connection.phase {
            Phase::Greeting(greeting) => {
                if let Some(verifying) = greeting.handle(event, &mut self.actions) {
                    connection.phase = Phase::Verifying(verifying);
                }
            }
            Phase::Verifying(verifying) => verifying.handle(event),
            Phase::Established(session) => {
                let Some(identity) = &connection.profile.identity else {
                    return Ok(());
                };
                let policies = &self.gateway.config.policies;
                let grants = ConnectionGrants { policies, identity };
                session.handle(event, &self.session, &grants, &mut self.actions);
            }
            Phase::Echo | Phase::Closing(_) => {}
        }
        self.perform(slot, connection)
    }

    /// Does what the session asked for, and what it asks for in turn.
    pub(super) fn perform(
        &mut self,
        slot: usize,
        connection: &mut Connection,
    ) -> Result<(), Ending> {
        loop {
            while let Some(action) = self.actions.pop() {
                self.act(slot, connection, action)?;
                self.make_room(slot, connection)?;
            }
            let Phase::Established(session) = &mut connection.phase else {
                return Ok(());
            };
            let Some(identity) = &connection.profile.identity else {
                return Ok(());
            };
            let grants = ConnectionGrants {
                policies: &self.gateway.config.policies,
                identity,
            };
            session.resume(&self.session, &grants, &mut self.actions);
            if self.actions.is_empty() {
                return Ok(());
            }
        }
    }

    fn act(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        action: Action,
    ) -> Result<(), Ending> {
        match action {
            Action::Send(event) => self.hub.send(member(slot), &event, None),
            Action::Welcome => self.welcome(slot, connection),
            Action::Authenticate {
                token: _,
                introduction,
            } => {
                connection.introduce(&introduction);
                let verdict = match connection.profile.verdict.take() {
                    Some(verdict) => *verdict,
                    // The front had gone: this Hello is late, good or not.
                    None if self.clock.now() >= connection.profile.deadline => {
                        return Err(CloseCause::AuthenticationTimeout.into());
                    }
                    // The front verifies every token up to the longest allowed.
                    None => Err(TokenError::TooLong.into()),
                };
                if let Ok(identity) = &verdict {
                    self.take_up(connection, &introduction, &identity.user);
                }
                self.claim_mailbox(slot, connection, introduction.mailbox_offset);
                self.admit(slot, connection, verdict)?;
            }
            Action::Introduce(introduction) => {
                connection.introduce(&introduction);
                self.claim_mailbox(slot, connection, introduction.mailbox_offset);
                if !introduction.ticket.is_empty() {
                    // Backends know the connection by its session already.
                    self.counters.ticket_refused("late");
                }
            }
            subscribe @ Action::Subscribe { .. } => self.subscribe(slot, connection, subscribe),
            Action::Unsubscribe { id, channel } => self.unsubscribe(slot, connection, id, &channel),
            set @ Action::SetSubscription { .. } => self.set_subscription(slot, connection, set),
            publish @ Action::Publish { .. } => self.publish(slot, connection, publish),
            request @ Action::Request { .. } => self.request(slot, connection, request),
            Action::CancelRequest { id } => self.cancel(connection, id),
            Action::Refresh { id, token } => self.refresh(slot, connection, id, token.0),
            Action::Acked { up_to, ack_id } => {
                self.deliveries.acknowledged(slot_number(slot), ack_id);
                self.confirm_mailbox(slot, connection, up_to);
            }
            read @ Action::History { .. } => self.read_history(slot, connection, read),
            Action::Presence { id, channel } => self.look(slot, connection, id, &channel),
            signal @ Action::Signal { .. } => self.signal(slot, connection, signal),
            arm @ Action::ArmWill { .. } => self.arm_will(slot, connection, arm),
            Action::DisarmWill { id } => self.disarm_will(slot, connection, id),
            Action::Close(cause) => return Err(Ending { cause, told: true }),
        }
        Ok(())
    }

    fn welcome(&mut self, slot: usize, connection: &Connection) {
        let Some(identity) = &connection.profile.identity else {
            return;
        };
        let who = Authenticated {
            user: identity.user.clone(),
            session: connection.profile.session,
            connection: self.connection_id(slot, connection.generation),
            token_expires_at_ms: identity.expires_at.map_or(0, unix_ms),
            ticket: self.ticket(connection),
            migrates: connection.profile.migrates,
            limits: self.limits_of(connection),
        };
        let event = session::welcome(&who, &self.session, unix_ms(SystemTime::now()));
        self.hub.send(member(slot), &event, None);
        if self.degraded {
            self.hub.send(member(slot), &session::degraded(), None);
        }
    }
}
