//! `tidegate connections`: list, get, count, watch, and what can be done to them.

mod change;
mod show;
mod watch;

use clap::Subcommand;
use control::client::{CallerChannel, ConnectionServiceClient};
use serde_json::json;
use wire::control::{
    Connection, CountConnectionsRequest, GetConnectionRequest, Label, ListConnectionsRequest,
};

pub(super) use self::show::describe_live;
use self::{
    change::{ChannelArgs, DisconnectArgs},
    show::{HEADING, row},
};
use super::{
    Failure,
    args::{GrpcArgs, label},
    output,
};

/// The server's limit.
const MAX_PAGE: usize = 1000;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,

    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List connections; what happens if nothing is said
    List(ListArgs),
    /// Show one connection, with its channels
    Get {
        /// The connection
        #[arg(value_name = "ID")]
        connection: String,
        #[command(flatten)]
        grpc: GrpcArgs,
    },
    /// Count connections and users
    Count(CountArgs),
    /// Print connections as they open and close
    Watch(watch::Args),
    /// Close connections
    Disconnect(DisconnectArgs),
    /// Subscribe connections to a channel, whatever their tokens say
    Subscribe(ChannelArgs),
    /// End subscriptions of connections
    Unsubscribe(ChannelArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Only this user's
    #[arg(long, default_value = "", hide_default_value = true)]
    user: String,

    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,

    /// Only those at this gateway
    #[arg(long, default_value = "", hide_default_value = true)]
    gateway: String,

    /// Only those whose tokens gave them this label
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    label: Option<Label>,

    /// Only those subscribed to this channel
    #[arg(long, default_value = "", hide_default_value = true)]
    channel: String,

    #[command(flatten)]
    grpc: GrpcArgs,
}

#[derive(Debug, clap::Args)]
struct CountArgs {
    /// Only this user's
    #[arg(long, default_value = "", hide_default_value = true)]
    user: String,

    /// Only those whose tokens gave them this label
    #[arg(long, value_name = "NAME=VALUE", value_parser = label, conflicts_with = "user")]
    label: Option<Label>,

    #[command(flatten)]
    grpc: GrpcArgs,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    match args.action.unwrap_or(Action::List(args.list)) {
        Action::List(args) => print_list(args, json).await,
        Action::Get { connection, grpc } => get(connect(&grpc).await?, connection, json).await,
        Action::Count(args) => count(args, json).await,
        Action::Watch(args) => watch::run(args, json).await,
        Action::Disconnect(args) => change::disconnect(args, json).await,
        Action::Subscribe(args) => change::subscribe(args, json).await,
        Action::Unsubscribe(args) => change::unsubscribe(args, json).await,
    }
}

async fn connect(grpc: &GrpcArgs) -> Result<ConnectionServiceClient<CallerChannel>, Failure> {
    Ok(ConnectionServiceClient::new(grpc.connect().await?))
}

async fn print_list(args: ListArgs, json: bool) -> Result<(), Failure> {
    let client = connect(&args.grpc).await?;
    let (connections, more) = list(client, args).await?;
    if json {
        for connection in &connections {
            output::line(describe_live(connection))?;
        }
        return Ok(());
    }
    let rows: Vec<_> = connections.iter().map(row).collect();
    output::line(output::table(HEADING, &rows))?;
    if more {
        output::note(format_args!(
            "there are more: --limit says how many to show"
        ));
    }
    Ok(())
}

/// Page by page; also says whether there are more.
async fn list(
    mut client: ConnectionServiceClient<CallerChannel>,
    args: ListArgs,
) -> Result<(Vec<Connection>, bool), Failure> {
    let mut connections = Vec::new();
    let mut request = ListConnectionsRequest {
        user: args.user,
        gateway: args.gateway,
        label: args.label,
        channel: args.channel,
        ..ListConnectionsRequest::default()
    };
    while connections.len() < args.limit {
        request.page_size = (args.limit - connections.len()).min(MAX_PAGE) as u32;
        let page = client.list_connections(request.clone()).await?.into_inner();
        connections.extend(page.connections);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return Ok((connections, false));
        }
    }
    Ok((connections, true))
}

async fn get(
    mut client: ConnectionServiceClient<CallerChannel>,
    connection_id: String,
    json: bool,
) -> Result<(), Failure> {
    let request = GetConnectionRequest { connection_id };
    let found = client.get_connection(request).await?.into_inner();
    let connection = found.connection.unwrap_or_default();
    let mut described = describe_live(&connection);
    described["channels"] = connection.channels.into();
    if json {
        output::line(described)?;
        return Ok(());
    }
    for (name, value) in described.as_object().into_iter().flatten() {
        output::line(format_args!("{name:<16}  {}", show::text(value)))?;
    }
    Ok(())
}

async fn count(args: CountArgs, json: bool) -> Result<(), Failure> {
    let mut client = connect(&args.grpc).await?;
    let request = CountConnectionsRequest {
        user: args.user,
        label: args.label,
    };
    let counted = client.count_connections(request).await?.into_inner();
    let (connections, users) = (counted.connections, counted.users);
    if json {
        output::line(json!({ "connections": connections, "users": users }))?;
    } else {
        output::line(format_args!(
            "connections  {connections}\nusers        {users}"
        ))?;
    }
    Ok(())
}
