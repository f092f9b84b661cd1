//! `tidegate connections watch`: connections as they open and close, until
//! Ctrl-C.

use control::client::ConnectionServiceClient;
use lifecycle::Signals;
use serde_json::json;
use wire::control::{
    Connection, ConnectionEvent, ConnectionEventKind, WatchRequest, watch_response::Item,
};

use super::show::describe;
use crate::cli::{
    Failure,
    args::GrpcArgs,
    output::{self, or_dash},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this user's
    #[arg(long, default_value = "", hide_default_value = true)]
    user: String,

    /// End after so many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,

    #[command(flatten)]
    grpc: GrpcArgs,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        ended = watch(args, json) => ended,
        _ = signals.next() => Ok(()),
    }
}

async fn watch(args: Args, json: bool) -> Result<(), Failure> {
    let mut client = ConnectionServiceClient::new(args.grpc.connect().await?);
    let request = WatchRequest { user: args.user };
    let mut events = client.watch(request).await?.into_inner();
    output::note("watching");
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(next) = events.message().await? else {
            return Ok(());
        };
        match next.item {
            Some(Item::Event(event)) => {
                print(&event, json)?;
                left -= 1;
            }
            Some(Item::Missed(missed)) => print_missed(missed, json)?,
            None => {}
        }
    }
    Ok(())
}

fn print(event: &ConnectionEvent, json: bool) -> std::io::Result<()> {
    let ConnectionEvent {
        event_id,
        at,
        cause,
        ..
    } = event;
    let nobody = Connection::default();
    let connection = event.connection.as_ref().unwrap_or(&nobody);
    let (kind, at) = (word(event.kind()), output::timestamp(*at));
    if json {
        return output::line(json!({
            "event": kind,
            "event_id": event_id,
            "at": at,
            "cause": cause,
            "connection": describe(connection),
        }));
    }
    let (id, user, cause) = (
        &connection.connection_id,
        or_dash(&connection.user),
        or_dash(cause),
    );
    output::line(format_args!("{at}  {kind}  {id}  {user}  {cause}"))
}

fn print_missed(missed: u64, json: bool) -> std::io::Result<()> {
    if json {
        return output::line(json!({ "event": "missed", "at_least": missed }));
    }
    if missed > 0 {
        output::note(format_args!("{missed} events or more were missed"));
    } else {
        output::note("the bus was away: events may have been missed");
    }
    Ok(())
}

fn word(kind: ConnectionEventKind) -> &'static str {
    match kind {
        ConnectionEventKind::Unspecified => "-",
        ConnectionEventKind::Opened => "opened",
        ConnectionEventKind::Closed => "closed",
    }
}
