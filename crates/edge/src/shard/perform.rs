//! Hands events to the session and does what it asks for.

use std::time::{Duration, SystemTime};

use auth::TokenError;
use bus::{Outgoing, Request, RequestContext, Subject};
use session::{Action, Authenticated};
use wire::{
    Channel, CloseCause, Subprotocol,
    client::{ClientEvent, ErrorCode, Position},
    failure,
};

use super::{
    Core,
    adopt::unix_ms,
    channels::{Local, Waiting},
    connection::{Connection, Phase},
    mail::Mail,
    member,
};
use crate::{fanout::Join, namespace::ConnectionGrants};

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
        for event in message.events {
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
                client_name,
                client_version,
            } => {
                connection.profile.client_name = client_name.into();
                connection.profile.client_version = client_version.into();
                // The front verifies every token up to the longest allowed.
                let verdict = connection.profile.verdict.take();
                self.admit(
                    slot,
                    connection,
                    verdict.unwrap_or(Err(TokenError::TooLong)),
                )?;
            }
            Action::Subscribe {
                id,
                channel,
                since,
                options: _,
            } => {
                self.subscribe(slot, connection, id, channel, since);
            }
            Action::Unsubscribe { id, channel } => self.unsubscribe(slot, connection, id, &channel),
            Action::Publish {
                id,
                channel,
                payload,
                key,
                publication_id,
            } => {
                let outgoing = Outgoing {
                    subject: Subject::of_channel(&channel),
                    payload,
                    key: key.into(),
                    published_at_us: 0,
                    message_id: publication_id.into(),
                };
                self.publish(connection.key(slot), id, outgoing);
            }
            Action::Request {
                id,
                route,
                payload,
                deadline_ms,
                idempotency_key,
            } => {
                let context = RequestContext {
                    idempotency_key: idempotency_key.into(),
                    ..Default::default()
                };
                self.request(slot, connection, id, &route, deadline_ms, payload, context);
            }
            Action::CancelRequest { id } => {
                let request = connection
                    .requests
                    .iter()
                    .find(|(request, _)| *request == id);
                if let Some(&(_, token)) = request {
                    self.gateway.bus.cancel(token);
                }
            }
            // Receipts by acknowledgement come with mailboxes.
            Action::Acked { .. } => {}
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
        };
        let event = session::welcome(&who, &self.session, unix_ms(SystemTime::now()));
        self.hub.send(member(slot), &event, None);
    }

    fn subscribe(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        id: u32,
        channel: Channel,
        since: Option<Position>,
    ) {
        let waiting = Waiting {
            connection: connection.key(slot),
            id,
            since,
        };
        match self.channels.get_mut(&channel) {
            Some(Local::Live(_)) => return self.enter(slot, connection, &channel, &waiting),
            Some(Local::Joining(others)) => return others.push(waiting),
            None => {}
        }
        match self.gateway.fanout.join(self.index, &channel) {
            Join::Active(entry) => {
                self.channels.insert_live(channel.clone(), &entry);
                self.enter(slot, connection, &channel, &waiting);
            }
            Join::Pending => self.channels.begin(channel, waiting),
        }
    }

    /// Makes the connection a listener of a live channel and tells it so,
    /// before any publication.
    pub(super) fn enter(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        channel: &Channel,
        waiting: &Waiting,
    ) {
        let Some(Local::Live(live)) = self.channels.get_mut(channel) else {
            return;
        };
        let Some(policy) = self.gateway.config.policies.of(channel) else {
            return;
        };
        let Phase::Established(session) = &mut connection.phase else {
            return;
        };
        let id = waiting.id;
        let alias = live.alias;
        match self
            .hub
            .subscribe(member(slot), channel, alias, policy.delivery)
        {
            Ok(()) => {
                let (verdict, position) = live.entrance(waiting.since.as_ref());
                session.subscribed(id, channel, verdict, position, alias, &mut self.actions);
            }
            Err(_) => session.subscribe_failed(id, ErrorCode::AlreadySubscribed, &mut self.actions),
        }
    }

    fn unsubscribe(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        id: u32,
        channel: &Channel,
    ) {
        let Phase::Established(session) = &mut connection.phase else {
            return;
        };
        match self.hub.unsubscribe(member(slot), channel) {
            Some(left) => {
                session.unsubscribed(id, channel, left.alias, &mut self.actions);
                if left.last {
                    self.abandon(channel);
                }
            }
            None => session.unsubscribe_failed(id, ErrorCode::NotSubscribed, &mut self.actions),
        }
    }

    /// Nobody here listens to the channel any more.
    pub(super) fn abandon(&mut self, channel: &Channel) {
        self.channels.remove(channel);
        self.gateway.fanout.leave(self.index, channel);
    }

    fn publish(&self, connection: super::ConnectionKey, id: u32, outgoing: Outgoing) {
        if id == 0 {
            // The client wants no answer.
            return self.gateway.bus.publish(outgoing, Box::new(|_| {}));
        }
        let mailbox = self.mailbox().clone();
        let done = move |outcome| {
            mailbox.push(Mail::Published {
                connection,
                id,
                outcome,
            })
        };
        self.gateway.bus.publish(outgoing, Box::new(done));
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one action")]
    fn request(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        id: u32,
        route: &str,
        deadline_ms: u32,
        payload: bytes::Bytes,
        context: RequestContext,
    ) {
        let key = connection.key(slot);
        let Some(policy) = self.gateway.config.policies.routes.get(route) else {
            // Permitted a moment ago by the same table; kept total all the same.
            let outcome = Err(failure(ErrorCode::UnknownRoute, route));
            if let Phase::Established(session) = &mut connection.phase {
                session.replied(id, outcome, &mut self.actions);
            }
            return;
        };
        let deadline = match deadline_ms {
            0 => policy.deadline,
            asked => Duration::from_millis(asked.into()),
        };
        let user = connection
            .profile
            .identity
            .as_ref()
            .map(|identity| identity.user.clone());
        let context = RequestContext {
            user,
            connection: Some(self.connection_id(slot, connection.generation)),
            session: Some(connection.profile.session),
            ..context
        };
        let request = Request {
            subject: policy.subject.clone(),
            payload,
            deadline,
            context,
        };
        let mailbox = self.mailbox().clone();
        let done = move |outcome| {
            mailbox.push(Mail::Replied {
                connection: key,
                id,
                outcome,
            })
        };
        let token = self.gateway.bus.request(request, Box::new(done));
        connection.requests.push((id, token));
    }
}
