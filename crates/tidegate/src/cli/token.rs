//! `tidegate token`.

use std::time::{Duration, SystemTime};

use serde_json::json;
use wire::control::{IssueTokenRequest, Label};

use super::{
    Failure,
    args::{GrpcArgs, duration, label},
    output,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Who the client will be
    #[arg(long)]
    user: String,

    /// How long the token lasts, e.g. 90s, 12h
    #[arg(long, value_parser = duration, default_value = "1h")]
    lifetime: Duration,

    /// Channels it may subscribe to, e.g. market.*; as the namespaces allow if left out
    #[arg(long, value_name = "PATTERN")]
    subscribe: Vec<String>,

    /// Channels it may publish to, likewise
    #[arg(long, value_name = "PATTERN")]
    publish: Vec<String>,

    /// Routes it may call, likewise
    #[arg(long, value_name = "PATTERN")]
    route: Vec<String>,

    /// Labels of its connections, e.g. tier=gold; at most 8
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<Label>,

    #[command(flatten)]
    grpc: GrpcArgs,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    let Args {
        user,
        lifetime,
        subscribe,
        publish,
        route,
        labels,
        grpc,
    } = args;
    let lifetime = lifetime
        .try_into()
        .map_err(|_| Failure::usage("that lifetime is too long"))?;
    let lifetime = Some(lifetime);
    let request = IssueTokenRequest {
        user: user.clone(),
        lifetime,
        subscribe,
        publish,
        routes: route,
        labels: labels
            .into_iter()
            .map(|label| (label.name, label.value))
            .collect(),
        ..IssueTokenRequest::default()
    };
    let issued = grpc.issue_token(request).await?;
    let expires_at = issued
        .expires_at
        .and_then(|at| SystemTime::try_from(at).ok());
    let expires_at = expires_at.map_or_else(|| "-".to_owned(), output::time);
    if json {
        output::line(json!({ "token": issued.token, "user": user, "expires_at": expires_at }))?;
    } else {
        output::line(&issued.token)?;
        output::note(format_args!(
            "for {}, until {expires_at}",
            output::printable(&user)
        ));
    }
    Ok(())
}
