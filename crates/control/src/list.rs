//! ListConnections: pages that go through the gateways in order of their names.
//!
//! A page token is the id of the last connection that was looked at. Ids are
//! ordered by gateway first, so a token keeps its meaning when gateways come and
//! go: what was listed is never listed again, and a connection that is there
//! from the first page to the last is never left out.

use std::time::Duration;

use tokio::time::Instant;
use tonic::{Request, Status};
use wire::{
    ConnectionId, GatewayId,
    control::{Connection, Label, ListConnectionsRequest, ListConnectionsResponse},
    gateway::{self, command::Command},
};

use crate::{
    channels::Channels,
    connections, deadline,
    gateways::{GatewayError, Gateways, encode},
    meant::Meant,
    status::invalid,
};

/// Connections in a page, if the request does not say.
const DEFAULT_PAGE: u32 = 100;

/// Connections in a page at most.
const MAX_PAGE: u32 = 1000;

/// What to list, checked.
pub(crate) struct Listing {
    meant: Meant,
    /// Only this one.
    gateway: Option<GatewayId>,
    /// Gateways judge one of user and label; the label beside a user is judged
    /// here.
    label: Option<Label>,
    channel: String,
    size: usize,
    after: Option<ConnectionId>,
    until: Instant,
}

/// A page that is being filled.
struct Page {
    connections: Vec<Connection>,
    size: usize,
    /// The last connection looked at.
    last: String,
}

// === impl Listing ===

impl Listing {
    /// # Errors
    /// INVALID_ARGUMENT for what can't be, NOT_FOUND for a channel of no
    /// namespace.
    pub(crate) fn new(
        request: Request<ListConnectionsRequest>,
        channels: &Channels,
    ) -> Result<Self, Status> {
        let (metadata, _, request) = request.into_parts();
        let channel = request.channel;
        if !channel.is_empty() {
            channels.check(&channel)?;
        }
        let meant = Meant::user_or_label(&request.user, request.label.clone())?;
        Ok(Self {
            label: request.label.filter(|_| matches!(meant, Meant::User(_))),
            meant,
            gateway: gateway_named(&request.gateway)?,
            channel,
            size: page_size(request.page_size)?,
            after: position(&request.page_token)?,
            until: deadline::of(&metadata),
        })
    }

    /// Reads the page.
    ///
    /// # Errors
    /// If a gateway that belongs to it gives no answer.
    pub(crate) async fn read(self, gateways: &Gateways) -> Result<ListConnectionsResponse, Status> {
        let mut left = self.gateways(gateways).await?.into_iter().peekable();
        let mut page = Page::new(self.size);
        while let Some(gateway) = left.next() {
            let more = self
                .read_gateway(gateways, &gateway, &mut page)
                .await
                .map_err(|error| error.status(&gateway))?;
            if more || (page.is_full() && left.peek().is_some()) {
                return Ok(page.with_next());
            }
        }
        Ok(page.without_next())
    }

    /// Those that may hold something behind the position.
    async fn gateways(&self, gateways: &Gateways) -> Result<Vec<GatewayId>, Status> {
        let mut left = match &self.gateway {
            Some(gateway) => vec![gateway.clone()],
            None => gateways.of(&self.meant, self.until).await?,
        };
        let after = self.after.as_ref();
        left.retain(|gateway| after.is_none_or(|after| *gateway >= after.gateway));
        Ok(left)
    }

    /// Adds what one gateway holds; true if there is more at it than the page
    /// takes.
    async fn read_gateway(
        &self,
        gateways: &Gateways,
        gateway: &GatewayId,
        page: &mut Page,
    ) -> Result<bool, GatewayError> {
        let after = self.after.as_ref();
        let mut after = after
            .filter(|after| after.gateway == *gateway)
            .map(ToString::to_string)
            .unwrap_or_default();
        loop {
            let command = encode(self.command(page.room(), after));
            let asked = gateways.ask(gateway, command, self.until, connections::page);
            let read = match asked.await {
                Err(GatewayError::Gone) => return Ok(false),
                asked => asked?,
            };
            let Some(last) = read.connections.last() else {
                return Ok(false);
            };
            page.last.clone_from(&last.connection_id);
            after = page.last.clone();
            let meant = read.connections.into_iter().filter(|it| self.takes(it));
            page.connections
                .extend(meant.map(|connection| describe(gateway, connection)));
            if !read.more || page.is_full() {
                return Ok(read.more);
            }
        }
    }

    fn command(&self, size: usize, after_connection_id: String) -> Command {
        Command::ListConnections(gateway::ListConnections {
            target: Some(self.meant.target()),
            page_size: u32::try_from(size).unwrap_or(MAX_PAGE),
            after_connection_id,
            with_channels: false,
            channel: self.channel.clone(),
        })
    }

    fn takes(&self, connection: &gateway::Connection) -> bool {
        let has = |label: &Label| connection.labels.get(&label.name) == Some(&label.value);
        self.label.as_ref().is_none_or(has)
    }
}

// === impl Page ===

impl Page {
    fn new(size: usize) -> Self {
        Self {
            connections: Vec::new(),
            size,
            last: String::new(),
        }
    }

    fn room(&self) -> usize {
        self.size.saturating_sub(self.connections.len())
    }

    fn is_full(&self) -> bool {
        self.room() == 0
    }

    fn with_next(self) -> ListConnectionsResponse {
        ListConnectionsResponse {
            connections: self.connections,
            next_page_token: self.last,
        }
    }

    fn without_next(self) -> ListConnectionsResponse {
        ListConnectionsResponse {
            connections: self.connections,
            next_page_token: String::new(),
        }
    }
}

/// A gateway's connection as callers see it.
pub(crate) fn describe(gateway: &GatewayId, connection: gateway::Connection) -> Connection {
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

/// # Errors
/// INVALID_ARGUMENT if it can't be a gateway.
pub(crate) fn gateway_id(name: &str) -> Result<GatewayId, Status> {
    let grammar = "must be letters, digits, \"_\" and \"-\"";
    GatewayId::new(name).ok_or_else(|| invalid("gateway", grammar))
}

fn gateway_named(name: &str) -> Result<Option<GatewayId>, Status> {
    if name.is_empty() {
        Ok(None)
    } else {
        gateway_id(name).map(Some)
    }
}

fn page_size(asked: u32) -> Result<usize, Status> {
    match asked {
        0 => Ok(DEFAULT_PAGE as usize),
        1..=MAX_PAGE => Ok(asked as usize),
        _ => Err(invalid("page_size", "must be at most 1000")),
    }
}

/// Callers take tokens as they are; this is all that can be wrong with one.
fn position(page_token: &str) -> Result<Option<ConnectionId>, Status> {
    if page_token.is_empty() {
        return Ok(None);
    }
    let malformed = |_| invalid("page_token", "is not from a page before");
    page_token.parse().map(Some).map_err(malformed)
}
