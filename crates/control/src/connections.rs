//! ConnectionService: who is connected, and what can be done to them.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use wire::{
    control::{
        CountConnectionsRequest, CountConnectionsResponse, DisconnectRequest, DisconnectResponse,
        ExplainRequest, ExplainResponse, GetConnectionRequest, GetConnectionResponse,
        ListConnectionsRequest, ListConnectionsResponse, SubscribeRequest, SubscribeResponse,
        UnsubscribeRequest, UnsubscribeResponse, WatchRequest, disconnect_request,
        subscribe_request, unsubscribe_request,
    },
    gateway::{self, Changed, command::Command, command_reply::Reply},
};

use crate::{
    callers::Caller,
    channels::Channels,
    deadline, explain,
    gateways::{Gateways, all},
    generated::connection_service_server::ConnectionService,
    list::{Listing, describe},
    meant::{Meant, no_target},
    metrics::Method,
    send::not_connected,
    status::invalid,
    watch::{Watch, Watching},
};

/// Longest reason of a disconnect, in bytes: it fits in a close frame.
const MAX_REASON_BYTES: usize = 100;

/// Serves ConnectionService.
pub(crate) struct Connections {
    gateways: Gateways,
    channels: Channels,
    watching: Watching,
    get: Arc<Method>,
    explain: Arc<Method>,
    list: Arc<Method>,
    count: Arc<Method>,
    disconnect: Arc<Method>,
    subscribe: Arc<Method>,
    unsubscribe: Arc<Method>,
}

// === impl Connections ===

impl Connections {
    pub(crate) fn new(gateways: Gateways, channels: Channels, watching: Watching) -> Self {
        let method = |name| Method::new("ConnectionService", name);
        Self {
            gateways,
            channels,
            watching,
            get: method("GetConnection"),
            explain: method("Explain"),
            list: method("ListConnections"),
            count: method("CountConnections"),
            disconnect: method("Disconnect"),
            subscribe: method("Subscribe"),
            unsubscribe: method("Unsubscribe"),
        }
    }

    async fn read(
        &self,
        request: Request<GetConnectionRequest>,
    ) -> Result<GetConnectionResponse, Status> {
        let until = deadline::of(request.metadata());
        let meant = Meant::connection(&request.get_ref().connection_id)?;
        let command = Command::ListConnections(gateway::ListConnections {
            target: Some(meant.target()),
            page_size: 1,
            after_connection_id: String::new(),
            with_channels: true,
            channel: String::new(),
        });
        let answers = self.gateways.ask_all(&meant, command, until, page).await?;
        let page = all(answers)?.into_iter().next();
        let found = page.and_then(|(gateway, page)| {
            let connection = page.connections.into_iter().next()?;
            Some(describe(&gateway, connection))
        });
        let connection = found.ok_or_else(|| not_connected("no such connection"))?;
        Ok(GetConnectionResponse {
            connection: Some(connection),
        })
    }

    async fn read_page(
        &self,
        request: Request<ListConnectionsRequest>,
    ) -> Result<ListConnectionsResponse, Status> {
        let listing = Listing::new(request, &self.channels)?;
        listing.read(&self.gateways).await
    }

    async fn counted(
        &self,
        request: Request<CountConnectionsRequest>,
    ) -> Result<CountConnectionsResponse, Status> {
        let until = deadline::of(request.metadata());
        let CountConnectionsRequest { user, label } = request.into_inner();
        if !user.is_empty() && label.is_some() {
            return Err(invalid("label", "can't be given together with user"));
        }
        let meant = Meant::user_or_label(&user, label)?;
        let command = Command::CountConnections(gateway::CountConnections {
            target: Some(meant.target()),
        });
        let answers = self.gateways.ask_all(&meant, command, until, count).await?;
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
        use disconnect_request::Target;
        let caller = Caller::of(&request);
        let until = deadline::of(request.metadata());
        let request = request.into_inner();
        let meant = match request.target {
            Some(Target::User(user)) => Meant::user(&user)?,
            Some(Target::ConnectionId(id)) => Meant::connection(&id)?,
            Some(Target::SessionId(id)) => Meant::session(&id)?,
            Some(Target::Label(label)) => Meant::label(label)?,
            None => return Err(no_target()),
        };
        meant.note(&caller);
        if request.reason.len() > MAX_REASON_BYTES {
            return Err(invalid("reason", "is longer than 100 bytes"));
        }
        check_close_code(request.close_code, request.may_reconnect)?;
        let command = Command::Disconnect(gateway::Disconnect {
            target: Some(meant.target()),
            reason: request.reason,
            may_reconnect: request.may_reconnect,
            close_code: request.close_code,
        });
        let answers = self
            .gateways
            .ask_all(&meant, command, until, closed)
            .await?;
        let count = all(answers)?.iter().map(|(_, closed)| closed.count).sum();
        Ok(DisconnectResponse { count })
    }

    async fn begin(&self, request: Request<SubscribeRequest>) -> Result<SubscribeResponse, Status> {
        use subscribe_request::Target;
        let caller = Caller::of(&request);
        let (metadata, _, request) = request.into_parts();
        let meant = match request.target {
            Some(Target::User(user)) => Meant::user(&user)?,
            Some(Target::ConnectionId(id)) => Meant::connection(&id)?,
            Some(Target::SessionId(id)) => Meant::session(&id)?,
            None => return Err(no_target()),
        };
        meant.note(&caller);
        self.channels.check(&request.channel)?;
        let command = Command::Subscribe(gateway::Subscribe {
            target: Some(meant.target()),
            channel: request.channel,
        });
        let until = deadline::of(&metadata);
        let answers = self
            .gateways
            .ask_all(&meant, command, until, changed)
            .await?;
        let total = sum(&all(answers)?);
        Ok(SubscribeResponse {
            count: total.count,
            refused: total.refused,
        })
    }

    async fn end(
        &self,
        request: Request<UnsubscribeRequest>,
    ) -> Result<UnsubscribeResponse, Status> {
        use unsubscribe_request::Target;
        let caller = Caller::of(&request);
        let (metadata, _, request) = request.into_parts();
        let meant = match request.target {
            Some(Target::User(user)) => Meant::user(&user)?,
            Some(Target::ConnectionId(id)) => Meant::connection(&id)?,
            Some(Target::SessionId(id)) => Meant::session(&id)?,
            None => return Err(no_target()),
        };
        meant.note(&caller);
        self.channels.check(&request.channel)?;
        let command = Command::Unsubscribe(gateway::Unsubscribe {
            target: Some(meant.target()),
            channel: request.channel,
        });
        let until = deadline::of(&metadata);
        let answers = self
            .gateways
            .ask_all(&meant, command, until, changed)
            .await?;
        let count = sum(&all(answers)?).count;
        Ok(UnsubscribeResponse { count })
    }
}

#[tonic::async_trait]
impl ConnectionService for Connections {
    async fn get_connection(
        &self,
        request: Request<GetConnectionRequest>,
    ) -> Result<Response<GetConnectionResponse>, Status> {
        self.get.observe(self.read(request)).await
    }

    async fn explain(
        &self,
        request: Request<ExplainRequest>,
    ) -> Result<Response<ExplainResponse>, Status> {
        let explained = explain::explain(&self.gateways, request);
        self.explain.observe(explained).await
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

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<SubscribeResponse>, Status> {
        self.subscribe.observe(self.begin(request)).await
    }

    async fn unsubscribe(
        &self,
        request: Request<UnsubscribeRequest>,
    ) -> Result<Response<UnsubscribeResponse>, Status> {
        self.unsubscribe.observe(self.end(request)).await
    }

    type WatchStream = Watch;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Watch>, Status> {
        self.watching
            .start(request.into_inner())
            .await
            .map(Response::new)
    }
}

/// The ranges that backends have for themselves carry the verdict for the client.
fn check_close_code(code: u32, may_reconnect: bool) -> Result<(), Status> {
    match (code, may_reconnect) {
        (0, _) | (4050..=4099, false) | (4150..=4199, true) => Ok(()),
        (_, false) => Err(invalid("close_code", "must be 4050 to 4099, or zero")),
        (_, true) => {
            let problem = "must be 4150 to 4199 together with may_reconnect, or zero";
            Err(invalid("close_code", problem))
        }
    }
}

fn sum(changed: &[(wire::GatewayId, Changed)]) -> Changed {
    changed
        .iter()
        .fold(Changed::default(), |sum, (_, changed)| Changed {
            count: sum.count + changed.count,
            refused: sum.refused + changed.refused,
        })
}

pub(crate) fn page(reply: Reply) -> Option<gateway::ConnectionPage> {
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

fn changed(reply: Reply) -> Option<Changed> {
    match reply {
        Reply::Changed(changed) => Some(changed),
        _ => None,
    }
}
