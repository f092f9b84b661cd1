//! Commands of the control plane: taken from the bus, checked, put to the
//! shards, answered when the last shard has.

mod answer;
mod query;

use std::{ops::Range, sync::Arc, time::Duration};

use bus::{BusError, Handler, Incoming, Responder};
use prost::Message;
use revocations::Revocation;
use wire::{
    Channel, CloseCause, ConnectionId,
    gateway::{
        self, CarryPoll, CarrySend, CommandReply, Disconnect, Draining, GatewayStatus, Revoke,
        Target, command::Command, command_reply::Reply, target,
    },
};

use self::query::Place;
pub(crate) use self::{
    answer::{Answer, MAX_EXPLAINED},
    query::{Queries, Query},
};
use crate::{
    drain::DrainStage,
    fallback::{Answer as Answering, Ask},
    gateway::Gateway,
    shard::Mail,
};

/// Serves the gateway's subject.
pub(crate) struct CommandHandler(pub(crate) Arc<Gateway>);

// === impl CommandHandler ===

impl Handler for CommandHandler {
    fn handle(&self, request: Incoming) {
        let responder = request.responder;
        match gateway::Command::decode(&*request.payload).map(|command| command.command) {
            Ok(Some(command)) => {
                self.0.metrics.command(&command);
                match command {
                    Command::Drain(_) => reply(responder, self.drain()),
                    Command::Status(_) => reply(responder, self.status()),
                    Command::CarrySend(send) => self.carry_send(send, responder),
                    Command::CarryPoll(poll) => self.carry_poll(&poll, responder),
                    Command::Revoke(revoke) => {
                        let place = self.0.queries.place(request.payload.len());
                        self.revoke(revoke, place, responder, request.deadline);
                    }
                    command => match self.0.queries.place(request.payload.len()) {
                        Some(place) => self.ask(command, place, responder, request.deadline),
                        None => responder.reply(Err(BusError::Overloaded)),
                    },
                }
            }
            Ok(None) => fail(responder, "unknown command"),
            Err(_) => fail(responder, "malformed command"),
        }
    }
}

impl CommandHandler {
    fn ask(&self, command: Command, place: Place, responder: Responder, deadline: Duration) {
        let checked = self.check(&command);
        let shards = self.shards_for(query::meant(&command));
        let (channel, shards) = match checked.and_then(|channel| Ok((channel, shards?))) {
            Ok(checked) => checked,
            Err(problem) => return fail(responder, problem),
        };
        let query = Query::new(command, channel, place, shards.len(), responder, deadline);
        let query = Arc::new(query);
        for shard in shards {
            self.0.shards[shard]
                .mailbox
                .push(Mail::Query(query.clone()));
        }
    }

    fn carry_send(&self, send: CarrySend, responder: Responder) {
        let Some(number) = carried_number(&send.number) else {
            return fail(responder, "not a connection's number");
        };
        let ask = Ask::Send {
            sequence: send.sequence,
            message: send.message,
            text: send.text,
            answer: Answering::Bus(responder),
        };
        self.0.carriers.ask(number, ask);
    }

    fn carry_poll(&self, poll: &CarryPoll, responder: Responder) {
        let Some(number) = carried_number(&poll.number) else {
            return fail(responder, "not a connection's number");
        };
        let ask = Ask::Poll {
            cursor: poll.cursor,
            patience: Duration::from_millis(poll.patience_ms.into()),
            answer: Answering::Bus(responder),
        };
        self.0.carriers.ask(number, ask);
    }

    /// Whether a command can be carried out; gives the channel that it names.
    fn check(&self, command: &Command) -> Result<Option<Channel>, &'static str> {
        match command {
            Command::Subscribe(subscribe) => self.channel(&subscribe.channel).map(Some),
            Command::Unsubscribe(unsubscribe) => self.channel(&unsubscribe.channel).map(Some),
            Command::Signal(signal) => self.channel(&signal.channel).map(Some),
            Command::ListConnections(list) if !list.channel.is_empty() => {
                self.channel(&list.channel).map(Some)
            }
            Command::Disconnect(disconnect) => check_close_code(disconnect).map(|()| None),
            _ => Ok(None),
        }
    }

    fn channel(&self, name: &str) -> Result<Channel, &'static str> {
        let config = &self.0.config;
        let channel = config
            .session
            .channel(name)
            .map_err(|_| "not a channel name")?;
        match config.policies.of(&channel) {
            Some(_) => Ok(channel),
            None => Err("no such namespace"),
        }
    }

    /// A connection id names its shard; everything else may be anywhere.
    fn shards_for(&self, target: Option<&Target>) -> Result<Range<usize>, &'static str> {
        let all = 0..self.0.shards.len();
        let Some(target::Target::ConnectionId(id)) =
            target.and_then(|target| target.target.as_ref())
        else {
            return Ok(all);
        };
        let id: ConnectionId = id.parse().map_err(|_| "not a connection id")?;
        let shard = usize::from(id.shard);
        if id.gateway == self.0.config.gateway && all.contains(&shard) {
            Ok(shard..shard + 1)
        } else {
            // Nobody there: any shard can say so.
            Ok(0..1)
        }
    }

    /// Takes access back from now on, even if there is no time to say from how many.
    fn revoke(
        &self,
        revoke: Revoke,
        place: Option<Place>,
        responder: Responder,
        deadline: Duration,
    ) {
        let Some(Ok(revocation)) = revoke.revocation.clone().map(Revocation::read) else {
            return fail(responder, "not a revocation");
        };
        let Some(place) = place else {
            self.0.revoke(revocation);
            return responder.reply(Err(BusError::Overloaded));
        };
        // Before the shards look: who comes in between is found, or refused.
        self.0.revoked.add(revocation);
        self.ask(Command::Revoke(revoke), place, responder, deadline);
    }

    fn drain(&self) -> Reply {
        self.0.drain.begin();
        let connections = self.0.connections_held() as u64;
        Reply::Draining(Draining { connections })
    }

    fn status(&self) -> Reply {
        let gateway = &self.0;
        Reply::GatewayStatus(GatewayStatus {
            connections: gateway.connections_held() as u64,
            draining: gateway.drain.stage() != DrainStage::Serving,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at_ms: gateway.started_at_ms,
            channels: gateway.fanout.channels() as u64,
        })
    }
}

fn carried_number(bytes: &[u8]) -> Option<u128> {
    bytes.try_into().map(u128::from_be_bytes).ok()
}

/// Backends may choose among codes that are not ours, with the verdict that
/// goes with their range.
fn check_close_code(disconnect: &Disconnect) -> Result<(), &'static str> {
    match (disconnect.close_code, disconnect.may_reconnect) {
        (0, _) | (4050..=4099, false) | (4150..=4199, true) => Ok(()),
        // Between gateways.
        (code, false) if code == u32::from(CloseCause::UserLimit.code()) => Ok(()),
        _ => Err("the close code must be 4050 to 4099, or 4150 to 4199 with may_reconnect"),
    }
}

fn fail(responder: Responder, problem: &str) {
    reply(responder, Reply::Failure(problem.to_owned()));
}

fn reply(responder: Responder, reply: Reply) {
    let reply = CommandReply { reply: Some(reply) };
    responder.reply(Ok(reply.encode_to_vec().into()));
}
