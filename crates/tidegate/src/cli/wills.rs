//! `tidegate wills`: what sessions have left to be done when they are gone.

use control::client::WillServiceClient;
use serde_json::json;
use wire::control::{ListWillsRequest, Will, WillState};

use super::{
    Failure,
    args::GrpcArgs,
    output::{self, printable},
};

const HEADING: [&str; 6] = ["USER", "SESSION", "ROUTE", "GRACE", "STATE", "SINCE"];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this user's
    #[arg(long)]
    user: Option<String>,

    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,

    #[command(flatten)]
    grpc: GrpcArgs,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    let mut client = WillServiceClient::new(args.grpc.connect().await?);
    let request = ListWillsRequest {
        user: args.user.unwrap_or_default(),
        limit: args.limit,
    };
    let listed = client.list_wills(request).await?.into_inner();
    if json {
        for will in &listed.wills {
            output::line(as_json(will))?;
        }
    } else {
        let rows: Vec<_> = listed.wills.iter().map(row).collect();
        output::line(output::table(HEADING, &rows))?;
    }
    if listed.more {
        output::note("there are more: --limit says how many to show");
    }
    Ok(())
}

fn as_json(will: &Will) -> serde_json::Value {
    json!({
        "will_id": will.will_id,
        "user": will.user,
        "session_id": will.session_id,
        "connection_id": will.connection_id,
        "route": will.route,
        "grace_ms": will.grace_ms,
        "state": state(will),
        "armed_at": output::timestamp(will.armed_at),
        "lost_at": output::timestamp(will.lost_at),
    })
}

fn row(will: &Will) -> [String; 6] {
    [
        printable(&will.user).into_owned(),
        will.session_id.clone(),
        printable(&will.route).into_owned(),
        format!("{} ms", will.grace_ms),
        state(will).to_owned(),
        output::timestamp(will.lost_at.or(will.armed_at)),
    ]
}

fn state(will: &Will) -> &'static str {
    match will.state() {
        WillState::Unspecified => "unknown",
        WillState::Armed => "armed",
        WillState::Lost => "lost",
        WillState::Firing => "firing",
        WillState::Fired => "fired",
    }
}
