//! `tidegate presence`: who is in a channel.

use control::client::ChannelServiceClient;
use serde_json::{Value, json};
use wire::control::{ChannelMember, PresenceRequest};

use super::{Failure, args::GrpcArgs, output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The channel
    channel: String,

    /// Name at most so many members, up to 1000
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,

    #[command(flatten)]
    grpc: GrpcArgs,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    let mut client = ChannelServiceClient::new(args.grpc.connect().await?);
    let request = PresenceRequest {
        channel: args.channel,
        limit: args.limit,
    };
    let mut found = client.presence(request).await?.into_inner();
    found
        .members
        .sort_by(|one, other| (&one.user, &one.session_id).cmp(&(&other.user, &other.session_id)));
    if json {
        let members: Vec<_> = found.members.iter().map(as_json).collect();
        output::line(json!({
            "sessions": found.sessions,
            "users": found.users,
            "members": members,
            "sampled": found.sampled,
        }))?;
        return Ok(());
    }
    if !found.members.is_empty() {
        let rows: Vec<_> = found.members.iter().map(row).collect();
        output::line(output::table(["USER", "SESSION", "CONNECTION"], &rows))?;
    }
    output::note(format_args!(
        "{} sessions of {} users{}",
        found.sessions,
        found.users,
        if found.sampled { ", not all named" } else { "" }
    ));
    Ok(())
}

fn row(member: &ChannelMember) -> [String; 3] {
    [
        output::printable(&member.user).into_owned(),
        member.session_id.clone(),
        member.connection_id.clone(),
    ]
}

fn as_json(member: &ChannelMember) -> Value {
    json!({
        "user": member.user,
        "session": member.session_id,
        "connection": member.connection_id,
    })
}
