//! `tidegate connections`: list, get, count, disconnect.

use std::time::SystemTime;

use clap::Subcommand;
use control::client::ConnectionServiceClient;
use serde_json::{Value, json};
use tonic::transport::Channel;
use wire::control::{
    Connection, CountConnectionsRequest, DisconnectRequest, GetConnectionRequest,
    ListConnectionsRequest, disconnect_request::Target,
};

use super::{
    Failure,
    args::{GrpcArgs, TargetArgs},
    output::{self, or_dash},
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
    Count {
        /// Only this user's
        #[arg(long, default_value = "", hide_default_value = true)]
        user: String,
        #[command(flatten)]
        grpc: GrpcArgs,
    },
    /// Close connections
    Disconnect {
        #[command(flatten)]
        target: TargetArgs,
        /// For people, at most 100 bytes; the client gets it
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// Tell the client that it may reconnect
        #[arg(long)]
        may_reconnect: bool,
        #[command(flatten)]
        grpc: GrpcArgs,
    },
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Only this user's
    #[arg(long, default_value = "", hide_default_value = true)]
    user: String,

    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,

    #[command(flatten)]
    grpc: GrpcArgs,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    match args.action.unwrap_or(Action::List(args.list)) {
        Action::List(list) => print_list(list, json).await,
        Action::Get { connection, grpc } => get(connect(&grpc).await?, connection, json).await,
        Action::Count { user, grpc } => count(connect(&grpc).await?, user, json).await,
        Action::Disconnect {
            target,
            reason,
            may_reconnect,
            grpc,
        } => {
            let target = target.into();
            let request = DisconnectRequest {
                target,
                reason,
                may_reconnect,
                ..DisconnectRequest::default()
            };
            disconnect(connect(&grpc).await?, request, json).await
        }
    }
}

async fn connect(grpc: &GrpcArgs) -> Result<ConnectionServiceClient<Channel>, Failure> {
    Ok(ConnectionServiceClient::new(grpc.connect().await?))
}

async fn print_list(args: ListArgs, json: bool) -> Result<(), Failure> {
    let (connections, more) = list(connect(&args.grpc).await?, args.user, args.limit).await?;
    if json {
        for connection in &connections {
            output::line(describe(connection))?;
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
    mut client: ConnectionServiceClient<Channel>,
    user: String,
    limit: usize,
) -> Result<(Vec<Connection>, bool), Failure> {
    let mut connections = Vec::new();
    let mut page_token = String::new();
    while connections.len() < limit {
        let page_size = (limit - connections.len()).min(MAX_PAGE) as u32;
        let request = ListConnectionsRequest {
            user: user.clone(),
            page_size,
            page_token,
            ..ListConnectionsRequest::default()
        };
        let page = client.list_connections(request).await?.into_inner();
        connections.extend(page.connections);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok((connections, false));
        }
    }
    Ok((connections, true))
}

async fn get(
    mut client: ConnectionServiceClient<Channel>,
    connection_id: String,
    json: bool,
) -> Result<(), Failure> {
    let request = GetConnectionRequest { connection_id };
    let connection = client
        .get_connection(request)
        .await?
        .into_inner()
        .connection;
    let connection = connection.unwrap_or_default();
    let mut described = describe(&connection);
    described["channels"] = connection.channels.into();
    if json {
        output::line(described)?;
        return Ok(());
    }
    for (name, value) in described.as_object().into_iter().flatten() {
        let value = match value {
            Value::String(text) => or_dash(text).into_owned(),
            Value::Array(channels) => channels
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(" "),
            other => other.to_string(),
        };
        output::line(format_args!("{name:<16}  {value}"))?;
    }
    Ok(())
}

async fn count(
    mut client: ConnectionServiceClient<Channel>,
    user: String,
    json: bool,
) -> Result<(), Failure> {
    let request = CountConnectionsRequest { user, label: None };
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

async fn disconnect(
    mut client: ConnectionServiceClient<Channel>,
    request: DisconnectRequest,
    json: bool,
) -> Result<(), Failure> {
    let count = client.disconnect(request).await?.into_inner().count;
    if json {
        output::line(json!({ "closed": count }))?;
    } else {
        output::line(format_args!("{count} closed"))?;
    }
    Ok(())
}

const HEADING: [&str; 8] = [
    "CONNECTION",
    "USER",
    "ADDRESS",
    "SUBPROTOCOL",
    "CLIENT",
    "SINCE",
    "CHANNELS",
    "OUTBOX",
];

fn row(connection: &Connection) -> [String; 8] {
    let client = format!("{} {}", connection.client_name, connection.client_version);
    [
        connection.connection_id.clone(),
        or_dash(&connection.user).into_owned(),
        connection.remote_address.clone(),
        connection.subprotocol.clone(),
        or_dash(client.trim()).into_owned(),
        connected_at(connection),
        connection.subscriptions.to_string(),
        format!("{} B", connection.outbox_bytes),
    ]
}

fn describe(connection: &Connection) -> Value {
    json!({
        "connection_id": connection.connection_id,
        "session_id": connection.session_id,
        "user": connection.user,
        "gateway": connection.gateway,
        "remote_address": connection.remote_address,
        "transport": connection.transport,
        "subprotocol": connection.subprotocol,
        "client_name": connection.client_name,
        "client_version": connection.client_version,
        "connected_at": connected_at(connection),
        "subscriptions": connection.subscriptions,
        "outbox_bytes": connection.outbox_bytes,
    })
}

fn connected_at(connection: &Connection) -> String {
    let at = connection
        .connected_at
        .and_then(|at| SystemTime::try_from(at).ok());
    at.map_or_else(|| "-".to_owned(), output::time)
}

// === impl TargetArgs ===

impl From<TargetArgs> for Option<Target> {
    fn from(target: TargetArgs) -> Self {
        target
            .user
            .map(Target::User)
            .or(target.connection.map(Target::ConnectionId))
    }
}
