//! ConnectionService: who is connected, page by page across gateways.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tonic::{Code, Request, Response, Status};
use wire::{
    ConnectionId, GatewayId,
    control::{
        Connection, CountConnectionsRequest, CountConnectionsResponse, DisconnectRequest,
        DisconnectResponse, GetConnectionRequest, GetConnectionResponse, ListConnectionsRequest,
        ListConnectionsResponse, disconnect_request::Target,
    },
    gateway::{self, command::Command, command_reply::Reply},
};

use crate::{
    deadline,
    gateways::{Answer, Gateways, Meant, encode},
    generated::connection_service_server::ConnectionService,
    metrics::Method,
    status::{invalid, rich},
};

/// Connections in a page, if the request does not say.
const DEFAULT_PAGE: u32 = 100;

/// Connections in a page at most.
const MAX_PAGE: u32 = 1000;

/// Longest reason of a disconnect, in bytes: it fits in a close frame.
const MAX_REASON_BYTES: usize = 100;

/// Serves ConnectionService.
pub(crate) struct Connections {
    gateways: Gateways,
    get: Arc<Method>,
    list: Arc<Method>,
    count: Arc<Method>,
    disconnect: Arc<Method>,
}

// === impl Connections ===

impl Connections {
    pub(crate) fn new(gateways: Gateways) -> Self {
        let method = |name| Method::new("ConnectionService", name);
        Self {
            gateways,
            get: method("GetConnection"),
            list: method("ListConnections"),
            count: method("CountConnections"),
            disconnect: method("Disconnect"),
        }
    }

    async fn read(
        &self,
        request: Request<GetConnectionRequest>,
    ) -> Result<GetConnectionResponse, Status> {
        let wait = deadline::of(request.metadata());
        let meant = Meant::connection(&request.get_ref().connection_id)?;
        let command = Command::ListConnections(gateway::ListConnections {
            target: Some(meant.target()),
            page_size: 1,
            after_connection_id: String::new(),
            with_channels: true,
            channel: String::new(),
        });
        let answers = self.gateways.ask_all(&meant, command, wait, page).await;
        let page = all(answers)?.into_iter().next();
        let found = page.and_then(|(gateway, page)| {
            let connection = page.connections.into_iter().next()?;
            Some(describe(&gateway, connection))
        });
        match found {
            Some(connection) => Ok(GetConnectionResponse {
                connection: Some(connection),
            }),
            None => Err(rich(
                Code::NotFound,
                "NOT_CONNECTED",
                "no such connection".into(),
            )),
        }
    }

    /// Goes through the gateways one after another until the page is full: the
    /// order of connection ids is first that of their gateways.
    async fn read_page(
        &self,
        request: Request<ListConnectionsRequest>,
    ) -> Result<ListConnectionsResponse, Status> {
        let until = Instant::now() + deadline::of(request.metadata());
        let request = request.into_inner();
        let meant = Meant::user_or_everybody(&request.user)?;
        let size = page_size(request.page_size)?;
        let after = position(&request.page_token)?;

        let mut gateways = self.gateways.of(&meant);
        gateways.retain(|gateway| after.as_ref().is_none_or(|after| *gateway >= after.gateway));
        let mut connections: Vec<Connection> = Vec::new();
        for (index, gateway) in gateways.iter().enumerate() {
            let command = Command::ListConnections(gateway::ListConnections {
                target: Some(meant.target()),
                page_size: size - count_of(&connections),
                after_connection_id: match &after {
                    Some(after) if after.gateway == *gateway => after.to_string(),
                    _ => String::new(),
                },
                with_channels: false,
                channel: request.channel.clone(),
            });
            let wait = until.saturating_duration_since(Instant::now());
            let page = self
                .gateways
                .ask(gateway, encode(command), wait, page)
                .await;
            let page = page.map_err(|error| error.status(gateway))?;
            let here = page.connections.into_iter();
            connections.extend(here.map(|connection| describe(gateway, connection)));
            let last = index + 1 == gateways.len();
            if page.more || (count_of(&connections) >= size && !last) {
                return Ok(with_next_page(connections));
            }
        }
        Ok(ListConnectionsResponse {
            connections,
            next_page_token: String::new(),
        })
    }

    async fn counted(
        &self,
        request: Request<CountConnectionsRequest>,
    ) -> Result<CountConnectionsResponse, Status> {
        let wait = deadline::of(request.metadata());
        let meant = Meant::user_or_everybody(&request.get_ref().user)?;
        let command = Command::CountConnections(gateway::CountConnections {
            target: Some(meant.target()),
        });
        let answers = self.gateways.ask_all(&meant, command, wait, count).await;
        let mut total = CountConnectionsResponse::default();
        for (_, count) in all(answers)? {
            total.connections += count.connections;
            total.users += count.users;
        }
        if let Meant::User(_) = meant {
            total.users = total.users.min(1);
        }
        Ok(total)
    }

    async fn close(
        &self,
        request: Request<DisconnectRequest>,
    ) -> Result<DisconnectResponse, Status> {
        let wait = deadline::of(request.metadata());
        let request = request.into_inner();
        let meant = match &request.target {
            Some(Target::User(user)) => Meant::user(user)?,
            Some(Target::ConnectionId(id)) => Meant::connection(id)?,
            _ => return Err(invalid("target", "is missing")),
        };
        if request.reason.len() > MAX_REASON_BYTES {
            return Err(invalid("reason", "is longer than 100 bytes"));
        }
        let command = Command::Disconnect(gateway::Disconnect {
            target: Some(meant.target()),
            reason: request.reason,
            may_reconnect: request.may_reconnect,
            close_code: request.close_code,
        });
        let answers = self.gateways.ask_all(&meant, command, wait, closed).await;
        let count = all(answers)?.iter().map(|(_, closed)| closed.count).sum();
        Ok(DisconnectResponse { count })
    }
}

#[tonic::async_trait]
impl ConnectionService for Connections {
    type WatchStream = futures_util::stream::Empty<Result<wire::control::WatchResponse, Status>>;

    async fn subscribe(
        &self,
        _request: Request<wire::control::SubscribeRequest>,
    ) -> Result<Response<wire::control::SubscribeResponse>, Status> {
        Err(Status::unimplemented("not served yet"))
    }

    async fn unsubscribe(
        &self,
        _request: Request<wire::control::UnsubscribeRequest>,
    ) -> Result<Response<wire::control::UnsubscribeResponse>, Status> {
        Err(Status::unimplemented("not served yet"))
    }

    async fn watch(
        &self,
        _request: Request<wire::control::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("not served yet"))
    }

    async fn get_connection(
        &self,
        request: Request<GetConnectionRequest>,
    ) -> Result<Response<GetConnectionResponse>, Status> {
        self.get.observe(self.read(request)).await
    }

    async fn list_connections(
        &self,
        request: Request<ListConnectionsRequest>,
    ) -> Result<Response<ListConnectionsResponse>, Status> {
        self.list.observe(self.read_page(request)).await
    }

    async fn count_connections(
        &self,
        request: Request<CountConnectionsRequest>,
    ) -> Result<Response<CountConnectionsResponse>, Status> {
        self.count.observe(self.counted(request)).await
    }

    async fn disconnect(
        &self,
        request: Request<DisconnectRequest>,
    ) -> Result<Response<DisconnectResponse>, Status> {
        self.disconnect.observe(self.close(request)).await
    }
}

/// Every gateway's answer, or the status of the first that gave none: a part
/// must not pass for the whole.
fn all<T>(answers: Vec<Answer<T>>) -> Result<Vec<(GatewayId, T)>, Status> {
    answers
        .into_iter()
        .map(|Answer { gateway, outcome }| match outcome {
            Ok(answer) => Ok((gateway, answer)),
            Err(error) => Err(error.status(&gateway)),
        })
        .collect()
}

fn page(reply: Reply) -> Option<gateway::ConnectionPage> {
    match reply {
        Reply::ConnectionPage(page) => Some(page),
        _ => None,
    }
}

fn count(reply: Reply) -> Option<gateway::ConnectionCount> {
    match reply {
        Reply::ConnectionCount(count) => Some(count),
        _ => None,
    }
}

fn closed(reply: Reply) -> Option<gateway::Disconnected> {
    match reply {
        Reply::Disconnected(closed) => Some(closed),
        _ => None,
    }
}

fn page_size(asked: u32) -> Result<u32, Status> {
    match asked {
        0 => Ok(DEFAULT_PAGE),
        1..=MAX_PAGE => Ok(asked),
        _ => Err(invalid("page_size", "must be at most 1000")),
    }
}

/// Page tokens are the last connection id of the page before; callers take them
/// as they are.
fn position(page_token: &str) -> Result<Option<ConnectionId>, Status> {
    if page_token.is_empty() {
        return Ok(None);
    }
    let malformed = |_| invalid("page_token", "is not from a page before");
    page_token.parse().map(Some).map_err(malformed)
}

fn with_next_page(connections: Vec<Connection>) -> ListConnectionsResponse {
    let last = connections.last();
    let next_page_token = last
        .map(|last| last.connection_id.clone())
        .unwrap_or_default();
    ListConnectionsResponse {
        connections,
        next_page_token,
    }
}

fn count_of(connections: &[Connection]) -> u32 {
    u32::try_from(connections.len()).unwrap_or(u32::MAX)
}

fn describe(gateway: &GatewayId, connection: gateway::Connection) -> Connection {
    let connected_at = Duration::from_millis(connection.connected_at_ms.max(0).unsigned_abs());
    Connection {
        connection_id: connection.connection_id,
        session_id: connection.session_id,
        user: connection.user,
        gateway: gateway.to_string(),
        remote_address: connection.remote_address,
        transport: connection.transport,
        subprotocol: connection.subprotocol,
        client_name: connection.client_name,
        client_version: connection.client_version,
        connected_at: Some((std::time::UNIX_EPOCH + connected_at).into()),
        subscriptions: connection.subscriptions,
        channels: connection.channels,
        outbox_bytes: connection.outbox_bytes,
        labels: connection.labels,
        session_epoch: connection.session_epoch,
    }
}
