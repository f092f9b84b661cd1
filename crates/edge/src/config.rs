//! What the edge can be told. Built by the binary from its configuration.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use auth::{RateClass, TicketKeys};
use hub::OutboxLimits;
use session::SessionConfig;
use wire::{
    Channel, ChannelError, GatewayId, MAX_CHANNEL_BYTES, Subprotocol, client::Limits,
    websocket::ReaderLimits,
};

use crate::{
    allowance::UpstreamRates,
    drain::DrainPlan,
    front::{AdmissionLimits, Proxies},
    hook::HookPolicy,
    namespace::Policies,
    user_limit::UserLimit,
    wills::WillLimits,
};

/// Settings of one gateway.
#[derive(Debug)]
pub struct EdgeConfig {
    /// Name of this gateway, unique in the cluster.
    pub gateway: GatewayId,
    /// Where clients connect; port 0 takes any.
    pub listen: SocketAddr,
    /// TLS of the port; absent: something before it has it, or nobody.
    pub tls: Option<tls::ServerConfig>,
    /// Shard threads, 1 to 64.
    pub shards: usize,
    /// Connections held at once; more are refused with 503.
    pub max_connections: usize,
    /// Upgrade requests worked on at once; more wait. A request that has not come whole
    /// is none.
    pub max_handshakes: usize,
    /// The part of them that may be before a valid Hello, in percent, 1 to 100; beyond,
    /// each new one costs the slowest of those their socket.
    pub unfinished_percent: u8,
    /// Who may say for whom they speak.
    pub proxies: Proxies,
    /// How fast clients get in, and who has to wait.
    pub admission: AdmissionLimits,
    /// Descriptors that are never given to clients, so that the bus, gRPC and
    /// metrics keep working when the process is full.
    pub reserved_descriptors: u64,
    /// From accept to a valid Hello: one deadline for all of it.
    pub handshake_timeout: Duration,
    /// How long before its token expires a client is told so.
    pub token_notice: Duration,
    /// From our Close frame until the socket is dropped.
    pub close_timeout: Duration,
    /// A link that was silent for so long is pinged; after twice as long it is
    /// closed.
    pub heartbeat: Duration,
    /// Kernel send buffer per socket, in bytes; more only hides the queue.
    pub send_buffer_bytes: usize,
    /// What of it may not be on the wire yet, in bytes (`TCP_NOTSENT_LOWAT`), once
    /// a connection subscribes to what conflates: the rest waits here, where newer
    /// values replace older ones.
    pub unsent_bytes: u32,
    /// Origins that browsers may come from; `*` allows all. Requests without
    /// an Origin header are not from browsers and always pass.
    pub allowed_origins: Vec<String>,
    /// Serve those who can't have a WebSocket, over server-sent events and long polling.
    pub fallbacks: bool,
    /// How long a poll waits for something to tell.
    pub poll: Duration,
    /// What a client gets that offers no subprotocol; `None` refuses it.
    pub default_subprotocol: Option<Subprotocol>,
    /// Limits of WebSocket messages.
    pub websocket: ReaderLimits,
    /// Limits of each connection's outbox.
    pub outbox: OutboxLimits,
    /// What all outboxes may hold together, in bytes: a publication for many counts
    /// once for each shard. Zero: no limit.
    pub outbox_budget: u64,
    /// How fast clients may send.
    pub upstream: UpstreamRates,
    /// Likewise for connections whose token names a class; 255 at most. One that is
    /// not here is as none.
    pub rate_classes: Vec<(RateClass, UpstreamRates)>,
    /// How fast all connections of a user may send together, at this gateway.
    pub user_upstream: UpstreamRates,
    /// Likewise of an address, as `admission` counts addresses.
    pub address_upstream: UpstreamRates,
    /// Limits told to clients in Welcome.
    pub session: SessionLimits,
    /// Seals and opens session tickets; the same keys at all gateways.
    pub tickets: Arc<TicketKeys>,
    /// How the gateway goes away.
    pub drain: DrainPlan,
    /// How long a channel that nobody listens to any more stays subscribed to,
    /// so that clients that reconnect do not make the bus churn.
    pub linger: Duration,
    /// Requests with an idempotency key.
    pub journal: journal::Settings,
    /// Who reads tokens that the gateway can't; absent: they are not valid.
    pub hook: Option<HookPolicy>,
    /// Let clients in without a token, for what is open to them.
    pub anonymous: bool,
    /// How presence is kept, in namespaces that have it.
    pub presence: presence::Settings,
    /// Namespaces and routes.
    pub policies: Policies,
    /// Connections of one user in the whole cluster; absent: any number. It
    /// needs a registrar.
    pub user_limit: Option<UserLimit>,
    /// What clients may leave to be done when they are gone. It needs a
    /// registrar.
    pub wills: WillLimits,
    /// Give users what their mailboxes hold. [`mailboxes::declare`] must have been
    /// called.
    pub mailboxes: bool,
    /// Make spans of requests and publications. The process must have set a
    /// provider of OpenTelemetry before the edge is bound.
    pub traces: bool,
    /// Serve `/v1/echo`, which sends every WebSocket message back. For
    /// conformance suites only.
    pub echo: bool,
}

/// Limits that sessions enforce.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// Subscriptions per connection.
    pub max_subscriptions: u32,
    /// Requests and acknowledged publishes under way per connection.
    pub max_in_flight: u32,
    /// Longest channel name, in bytes.
    pub max_channel_bytes: u32,
    /// Longest deadline a request may ask for.
    pub max_deadline: Duration,
}

// === impl EdgeConfig ===

impl EdgeConfig {
    /// What sessions need to know of it.
    pub(crate) fn session_config(&self) -> SessionConfig {
        let limits = Limits {
            max_message_bytes: clamp(self.websocket.max_message_bytes as u128),
            max_subscriptions: self.session.max_subscriptions,
            max_in_flight: self.session.max_in_flight,
            max_channel_bytes: self.session.max_channel_bytes,
            messages_per_second: self.upstream.messages,
            bytes_per_second: self.upstream.bytes,
            heartbeat_ms: clamp(self.heartbeat.as_millis()),
            max_deadline_ms: clamp(self.session.max_deadline.as_millis()),
        };
        // Zero: the route's own deadline is put in when a request is sent on.
        SessionConfig {
            gateway: self.gateway.clone(),
            limits,
            default_deadline_ms: 0,
        }
    }
}

// === impl SessionLimits ===

impl SessionLimits {
    /// Reads a channel name.
    pub(crate) fn channel(&self, name: &str) -> Result<Channel, ChannelError> {
        let max_bytes = match self.max_channel_bytes {
            0 => MAX_CHANNEL_BYTES,
            limit => limit as usize,
        };
        Channel::parse(name, max_bytes)
    }
}

fn clamp(value: u128) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
