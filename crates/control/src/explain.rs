//! Explain: one connection, seen whole.

use std::time::Duration;

use tonic::{Request, Status};
use wire::{
    GatewayId,
    control::{ExplainRequest, ExplainResponse, ExplainedConnection, explain_request::Target},
    gateway::{self, Explained, command::Command, command_reply::Reply},
};

use crate::{
    callers::Caller,
    deadline,
    findings::findings,
    gateways::{Gateways, all},
    list,
    meant::{Meant, no_target},
    send::not_connected,
    status::invalid,
};

/// Longest recording that may be asked for.
const MAX_RECORDING: Duration = Duration::from_secs(600);

/// Asks the gateways that hold what is meant.
///
/// # Errors
/// INVALID_ARGUMENT for what can't be, NOT_FOUND if nobody is there; if a gateway
/// that holds one gives no answer, the status names it.
pub(crate) async fn explain(
    gateways: &Gateways,
    request: Request<ExplainRequest>,
) -> Result<ExplainResponse, Status> {
    let until = deadline::of(request.metadata());
    let caller = Caller::of(&request);
    let request = request.into_inner();
    let meant = match request.target {
        Some(Target::ConnectionId(id)) => Meant::connection(&id)?,
        Some(Target::User(user)) => Meant::user(&user)?,
        Some(Target::SessionId(id)) => Meant::session(&id)?,
        None => return Err(no_target()),
    };
    meant.note(&caller);
    let record = request
        .record
        .map_or(Ok(Duration::ZERO), Duration::try_from);
    let record = record.ok().filter(|record| *record <= MAX_RECORDING);
    let record = record.ok_or_else(|| invalid("record", "must be 0 to 10 minutes"))?;
    let command = Command::Explain(gateway::Explain {
        target: Some(meant.target()),
        record_ms: u64::try_from(record.as_millis()).unwrap_or(u64::MAX),
    });
    let answers = gateways.ask_all(&meant, command, until, explained).await?;
    let mut response = ExplainResponse::default();
    for (gateway, explained) in all(answers)? {
        let connections = explained.connections.into_iter();
        let described = connections.filter_map(|it| describe(&gateway, it));
        response.connections.extend(described);
        response.more |= explained.more;
    }
    match response.connections.is_empty() {
        true => Err(not_connected("no such connection")),
        false => Ok(response),
    }
}

/// A gateway's explanation as callers see it; nothing if it is not whole.
fn describe(
    gateway: &GatewayId,
    explained: gateway::ExplainedConnection,
) -> Option<ExplainedConnection> {
    let explanation = explained.explanation?;
    Some(ExplainedConnection {
        connection: Some(list::describe(gateway, explained.connection?)),
        findings: findings(&explanation),
        explanation: Some(explanation),
    })
}

fn explained(reply: Reply) -> Option<Explained> {
    match reply {
        Reply::Explained(explained) => Some(explained),
        _ => None,
    }
}
