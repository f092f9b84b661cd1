//! `tidegate revoke` and `tidegate introspect`.

use std::time::{Duration, SystemTime};

use control::client::AuthServiceClient;
use serde_json::json;
use wire::control::{
    IntrospectRequest, RevokeResponse, RevokeSessionRequest, RevokeTokenRequest, RevokeUserRequest,
    revoke_token_request::Target,
};

use super::{
    Failure,
    args::{GrpcArgs, duration},
    output,
};

/// What to take back.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    whom: Whom,

    /// Let connected clients refresh their token within this time, e.g. 30s, without any
    /// permission meanwhile; they are closed at once if left out
    #[arg(long, value_parser = duration, conflicts_with = "session")]
    grace: Option<Duration>,

    #[command(flatten)]
    grpc: GrpcArgs,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// All tokens that this user has now
    #[arg(long)]
    user: Option<String>,

    /// This token
    #[arg(long)]
    token: Option<String>,

    /// The token with this id (jti)
    #[arg(long, value_name = "ID")]
    token_id: Option<String>,

    /// This session, its tickets included
    #[arg(long, value_name = "ID")]
    session: Option<String>,
}

/// Which token to look at.
#[derive(Debug, clap::Args)]
pub(super) struct IntrospectArgs {
    /// The token
    #[arg(env = "TIDEGATE_TOKEN", hide_env_values = true)]
    token: String,

    #[command(flatten)]
    grpc: GrpcArgs,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    let Args { whom, grace, grpc } = args;
    let grace = grace.map(TryInto::try_into).transpose();
    let grace = grace.map_err(|_| Failure::usage("that grace is too long"))?;
    let mut auth = AuthServiceClient::new(grpc.connect().await?);
    let revoked = match whom {
        Whom {
            user: Some(user), ..
        } => {
            let request = RevokeUserRequest {
                user,
                issued_before: None,
                grace,
            };
            auth.revoke_user(request).await?
        }
        Whom {
            session: Some(session_id),
            ..
        } => {
            let request = RevokeSessionRequest { session_id };
            auth.revoke_session(request).await?
        }
        Whom {
            token, token_id, ..
        } => {
            let token = token.map(Target::Token);
            let target = token.or_else(|| token_id.map(Target::TokenId));
            let request = RevokeTokenRequest { target, grace };
            auth.revoke_token(request).await?
        }
    };
    show(&revoked.into_inner(), json)
}

fn show(revoked: &RevokeResponse, json: bool) -> Result<(), Failure> {
    let RevokeResponse {
        connections,
        gateways,
        unreached_gateways,
    } = revoked;
    if json {
        return Ok(output::line(json!({
            "connections": connections, "gateways": gateways,
            "unreached_gateways": unreached_gateways,
        }))?);
    }
    output::line(format_args!(
        "{connections} connections, at {gateways} gateways"
    ))?;
    if !unreached_gateways.is_empty() {
        let names = unreached_gateways.join(", ");
        output::note(format_args!(
            "not reached: {names}; they learn of it when they reach the bus"
        ));
    }
    Ok(())
}

pub(super) async fn introspect(args: IntrospectArgs, json: bool) -> Result<(), Failure> {
    let IntrospectArgs { token, grpc } = args;
    let mut auth = AuthServiceClient::new(grpc.connect().await?);
    let found = auth.introspect(IntrospectRequest { token }).await?;
    let found = found.into_inner();
    let time = |at: Option<SystemTime>| at.map_or_else(|| "-".to_owned(), output::time);
    let issued_at = found.issued_at.and_then(|at| at.try_into().ok());
    let expires_at = found.expires_at.and_then(|at| at.try_into().ok());
    let (issued_at, expires_at) = (time(issued_at), time(expires_at));
    if json {
        return Ok(output::line(json!({
            "active": found.active, "reason": found.reason, "user": found.user,
            "token_id": found.token_id, "issued_at": issued_at, "expires_at": expires_at,
            "labels": found.labels,
        }))?);
    }
    let standing = match found.active {
        true => "active".to_owned(),
        false => format!("not active: {}", output::printable(&found.reason)),
    };
    output::line(standing)?;
    if !found.user.is_empty() {
        output::line(format_args!(
            "user        {}\ntoken id    {}\nissued      {issued_at}\nexpires     {expires_at}",
            output::printable(&found.user),
            output::printable(&found.token_id),
        ))?;
    }
    Ok(())
}
