//! What clients ask about other members of a channel, and send them.

use std::{sync::Arc, time::Duration};

use bus::{BusError, Reply, Request, RequestContext, Subject};
use bytes::Bytes;
use parking_lot::Mutex;
use presence::{Holders, Summary, Whom};
use prost::Message;
use session::{Action, Addressee};
use wire::{
    Channel, GatewayId,
    client::{ErrorCode, Failure, PresenceResult},
    failure,
    gateway::{
        self, Command, CommandReply, Target, command, command_reply, target::Target as Kind,
    },
};

use super::{
    Core, Mail, Shard,
    connection::{Connection, Phase},
    mail::ConnectionKey,
    member,
    post::code_of,
};
use crate::mailbox::Mailbox;

/// How long another gateway may take.
const DEADLINE: Duration = Duration::from_secs(2);

/// Questions and signals of one shard's clients that other gateways have; more are
/// refused as overloaded.
const MAX_ASKED: usize = 1_024;

/// About what a member takes in an answer, in bytes.
const MEMBER_BYTES: usize = 192;

/// A signal that several gateways were given.
struct Passing {
    // A lock: taken once for each gateway.
    state: Mutex<Passed>,
    connection: ConnectionKey,
    id: u32,
    mailbox: Mailbox,
}

struct Passed {
    outstanding: usize,
    reached: u64,
    failure: Option<ErrorCode>,
}

// === impl Shard ===

impl Shard {
    /// Somebody knows who is in a channel, or nobody.
    pub(super) fn seen(&mut self, key: ConnectionKey, id: u32, outcome: Result<Summary, BusError>) {
        self.core.asked -= 1;
        if self.connection(key).is_none() {
            return;
        }
        let queued = self.core.hub.outbox(member(key.slot as usize)).bytes();
        let limit = self.core.gateway.config.outbox.bytes;
        let most = limit.saturating_sub(queued) / 2 / MEMBER_BYTES;
        let outcome = outcome.map(|summary| result(&summary, most));
        let outcome = outcome.map_err(|error| code_of(&error));
        self.tell(key, |session, actions| {
            session.presence(id, outcome, actions)
        });
    }

    /// All gateways have said what became of a signal.
    pub(super) fn signalled(&mut self, key: ConnectionKey, id: u32, outcome: Result<u32, Failure>) {
        self.core.asked -= 1;
        self.core.gateway.metrics.signal(&outcome);
        self.tell(key, |session, actions| {
            session.signalled(id, outcome, actions);
        });
    }
}

// === impl Core ===

impl Core {
    /// Finds out who is in a channel ([`Action::Presence`]).
    pub(super) fn look(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        id: u32,
        channel: &Channel,
    ) {
        let refusal = self.refusal();
        let Some(roster) = self.gateway.roster.as_ref().filter(|_| refusal.is_none()) else {
            let code = refusal.unwrap_or(ErrorCode::NoPresence);
            if let Phase::Established(session) = &mut connection.phase {
                session.presence(id, Err(code), &mut self.actions);
            }
            return;
        };
        self.asked += 1;
        let (mailbox, connection) = (self.mailbox().clone(), connection.key(slot));
        let done = move |outcome| {
            mailbox.push(Mail::Seen {
                connection,
                id,
                outcome,
            });
        };
        let limit = self.gateway.config.presence.named;
        roster.look(channel, limit, DEADLINE, Box::new(done));
    }

    /// Sends something to other members of a channel ([`Action::Signal`]).
    pub(super) fn signal(&mut self, slot: usize, connection: &mut Connection, action: Action) {
        let Action::Signal {
            id,
            channel,
            to,
            payload,
        } = action
        else {
            return;
        };
        let holders = self.holders_of(slot, &channel, &to);
        let from = self.member_of(slot, connection);
        let (gateways, from) = match (holders, from) {
            (Ok(gateways), Some(from)) => (gateways, from),
            (holders, _) => {
                let code = holders.err().unwrap_or(ErrorCode::Internal);
                let outcome = Err(failure(code, ""));
                self.gateway.metrics.signal(&outcome);
                if let Phase::Established(session) = &mut connection.phase {
                    session.signalled(id, outcome, &mut self.actions);
                }
                return;
            }
        };
        self.asked += 1;
        let signal = gateway::Signal {
            target: Some(target(to)),
            channel: channel.to_string(),
            from: Some(from.message()),
            payload,
        };
        let command = Command {
            command: Some(command::Command::Signal(signal)),
        };
        let passing = Arc::new(Passing {
            state: Mutex::new(Passed {
                outstanding: gateways.len(),
                reached: 0,
                failure: None,
            }),
            connection: connection.key(slot),
            id,
            mailbox: self.mailbox().clone(),
        });
        let payload: Bytes = command.encode_to_vec().into();
        for gateway in gateways {
            let request = Request {
                subject: Subject::of_gateway(&gateway),
                payload: payload.clone(),
                deadline: DEADLINE,
                context: RequestContext::default(),
            };
            let passing = passing.clone();
            let done = move |outcome| passing.one(outcome);
            self.gateway.bus.request(request, Box::new(done));
        }
    }

    /// Where to send a signal; at least one gateway.
    fn holders_of(
        &self,
        slot: usize,
        channel: &Channel,
        to: &Addressee,
    ) -> Result<Vec<GatewayId>, ErrorCode> {
        if let Some(code) = self.refusal() {
            return Err(code);
        }
        if !self.hub.is_subscribed(member(slot), channel) {
            return Err(ErrorCode::NotSubscribed);
        }
        let whom = match to.clone() {
            Addressee::User(user) => Whom::User(user),
            Addressee::Session(session) => Whom::Session(session),
            Addressee::Connection(connection) => Whom::Connection(connection),
        };
        let roster = self.gateway.roster.as_ref().ok_or(ErrorCode::NoPresence)?;
        let Holders { gateways, certain } = roster.holders(channel, &whom);
        match gateways.is_empty() {
            false => Ok(gateways),
            true if certain => Err(ErrorCode::NobodyThere),
            // The roster does not know the others yet.
            true => Err(ErrorCode::Unavailable),
        }
    }

    /// Why nothing that concerns other gateways can be asked now.
    fn refusal(&self) -> Option<ErrorCode> {
        match self.degraded {
            true => Some(ErrorCode::Unavailable),
            false => (self.asked >= MAX_ASKED).then_some(ErrorCode::Overloaded),
        }
    }
}

// === impl Passing ===

impl Passing {
    /// A gateway has passed it on, or not; the last one's word is everybody's.
    fn one(&self, outcome: Result<Reply, BusError>) {
        let mut passed = self.state.lock();
        passed.outstanding -= 1;
        match count(outcome) {
            Ok(reached) => passed.reached += reached,
            Err(code) => passed.failure = Some(code),
        }
        if passed.outstanding > 0 {
            return;
        }
        let outcome = match (passed.reached, passed.failure) {
            (0, code) => Err(failure(code.unwrap_or(ErrorCode::NobodyThere), "")),
            (reached, _) => Ok(u32::try_from(reached).unwrap_or(u32::MAX)),
        };
        drop(passed);
        self.mailbox.push(Mail::Signalled {
            connection: self.connection,
            id: self.id,
            outcome,
        });
    }
}

/// How many connections a gateway has reached.
fn count(outcome: Result<Reply, BusError>) -> Result<u64, ErrorCode> {
    let reply = match outcome {
        Ok(reply) => CommandReply::decode(&*reply.payload).ok(),
        // It has gone, and its members with it.
        Err(BusError::NoResponders) => return Ok(0),
        Err(error) => return Err(code_of(&error)),
    };
    match reply.and_then(|reply| reply.reply) {
        Some(command_reply::Reply::Changed(changed)) => Ok(changed.count),
        _ => Err(ErrorCode::Internal),
    }
}

fn target(to: Addressee) -> Target {
    let kind = match to {
        Addressee::User(user) => Kind::User(user.to_string()),
        Addressee::Session(session) => Kind::SessionId(session.to_string()),
        Addressee::Connection(connection) => Kind::ConnectionId(connection.to_string()),
    };
    Target { target: Some(kind) }
}

fn result(summary: &Summary, most: usize) -> PresenceResult {
    let members = summary.members.iter().take(most);
    PresenceResult {
        id: 0,
        members: members.map(|it| it.for_clients()).collect(),
        sessions: summary.sessions,
        users: summary.users,
        sampled: summary.sampled || summary.members.len() > most,
    }
}
