//! Commands that gateways give each other: one at a time, each with a deadline.

use std::time::Duration;

use bus::{BusError, BusExt, Request, RequestContext, Subject};
use prost::Message;
use wire::{
    ConnectionId, GatewayId,
    gateway::{
        self, CommandReply, CountConnections, Target, command::Command, command_reply::Reply,
        target,
    },
};

use crate::gateway::Gateway;

/// How long a gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Gives a command to the gateway `to`, which may be `from` itself; `None`: it is
/// dead, or says nothing that can be read.
pub(crate) async fn ask(
    from: &Gateway,
    to: &GatewayId,
    command: Command,
) -> Result<Option<Reply>, BusError> {
    ask_within(from, to, command, PATIENCE).await
}

/// The same, with another deadline.
pub(crate) async fn ask_within(
    from: &Gateway,
    to: &GatewayId,
    command: Command,
    patience: Duration,
) -> Result<Option<Reply>, BusError> {
    let command = gateway::Command {
        command: Some(command),
    };
    let request = Request {
        subject: Subject::of_gateway(to),
        payload: command.encode_to_vec().into(),
        deadline: patience,
        context: RequestContext::default(),
    };
    match from.bus.ask(request).await {
        Ok(reply) => {
            let reply = CommandReply::decode(reply.payload).ok();
            Ok(reply.and_then(|reply| reply.reply))
        }
        Err(BusError::NoResponders) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the connection still is where its name says. The registry can't tell:
/// an entry outlives its connection by a moment, or by long if its gateway died.
pub(crate) async fn is_there(from: &Gateway, id: &ConnectionId) -> Result<bool, BusError> {
    let count = Command::CountConnections(CountConnections {
        target: to_connection(id),
    });
    match ask(from, &id.gateway, count).await? {
        Some(Reply::ConnectionCount(count)) => Ok(count.connections > 0),
        // It lives, and did not understand or had too much to do.
        Some(_) => Err(BusError::Overloaded),
        None => Ok(false),
    }
}

pub(crate) fn to_connection(id: &ConnectionId) -> Option<Target> {
    Some(Target {
        target: Some(target::Target::ConnectionId(id.to_string())),
    })
}
