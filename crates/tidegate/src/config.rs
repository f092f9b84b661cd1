//! The configuration: one typed tree, from a TOML file and the environment.
//!
//! Every key can also be given as an environment variable: `TIDEGATE_`, then the
//! path with `__` between levels, e.g. `TIDEGATE_GATEWAY__LISTEN`. Unknown keys are
//! refused. Everything is validated before a port is bound.

mod admission;
mod auth;
mod build;
mod callers;
mod cluster;
mod hook;
mod insecure;
mod issuers;
mod load;
mod mailbox;
mod presence;
mod route;
mod signing;
mod size;
mod telemetry;
mod tls;
mod upstream;
mod validate;
mod weak;
mod wills;

use std::{net::SocketAddr, time::Duration};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    admission::{AdmissionConfig, FlappingConfig},
    auth::{AnonymousConfig, AuthConfig, KeyAlgorithm, KeyEntry, Secret},
    callers::{CallerCertificate, CallerKey, ControlTlsConfig},
    cluster::{
        DrainConfig, Fanout, IdempotencyConfig, NatsConfig, NatsTlsConfig, Redelivery, UserOverflow,
    },
    hook::HookConfig,
    insecure::{Warning, warnings_of_file},
    issuers::{KeySources, TrustedIssuer},
    load::{ConfigError, load},
    mailbox::MailboxConfig,
    presence::PresenceConfig,
    route::{BreakerConfig, RouteConfig},
    signing::{SigningKeyEntry, TokensConfig},
    size::Size,
    telemetry::{TelemetryConfig, TracesSection},
    tls::{CertificateEntry, GatewayTlsConfig},
    upstream::{RateClassConfig, UpstreamConfig},
    wills::{FiringConfig, WillsConfig},
};

/// Everything a Tidegate process can be told.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The bus; not used by `tidegate dev`.
    pub nats: NatsConfig,
    /// The edge: client connections.
    pub gateway: GatewayConfig,
    /// The control plane: gRPC.
    pub control: ControlConfig,
    /// Metrics and health.
    pub admin: AdminConfig,
    /// Durable messages to users.
    pub mailbox: MailboxConfig,
    /// Who is in channels.
    pub presence: PresenceConfig,
    /// Logs.
    pub log: LogConfig,
    /// Telemetry that is sent somewhere.
    pub telemetry: TelemetryConfig,
    /// Tokens.
    pub auth: AuthConfig,
    /// Policies of channels, by the first token of their names. A channel
    /// outside of all namespaces is refused.
    pub namespace: Vec<NamespaceConfig>,
    /// Names that clients may call. Any other is refused.
    pub route: Vec<RouteConfig>,
}

/// The edge.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayConfig {
    /// Name of this gateway: letters, digits, `_`, `-`. In a cluster each process
    /// adds a part of its own, so that a restarted gateway is another one.
    pub id: String,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// TLS of that port; absent: it is plain, for a load balancer before it.
    pub tls: Option<GatewayTlsConfig>,
    /// Threads that own connections; 0: one for each core.
    pub shards: usize,
    /// Connections held at once; more get HTTP 503. What the process's file
    /// descriptors allow is a limit as well.
    pub max_connections: usize,
    /// Upgrade requests worked on at once, some 20 KiB each; more wait. One that has
    /// not come whole does not count.
    pub max_handshakes: usize,
    /// Percent of `max_connections` that may be before a valid Hello. Beyond, each new
    /// one costs the slowest of those, of the address that has the most, their socket.
    pub unfinished_percent: u8,
    /// Networks of the proxies in front of the gateway, e.g. `10.0.0.0/8`; 64 at most.
    /// From there, `X-Forwarded-For` says who the client is: its rightmost address
    /// that is not in these networks.
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<IpNet>,
    /// Whether those proxies speak the PROXY protocol.
    pub proxy_protocol: ProxyProtocol,
    /// How fast clients get in.
    pub admission: AdmissionConfig,
    /// File descriptors that clients never get, so that the bus, gRPC and
    /// metrics go on working when the process is full.
    pub reserved_descriptors: u64,
    /// From accept to a valid Hello: one deadline for all of it.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub handshake_timeout: Duration,
    /// How long before its token expires a client is told so, to refresh it in time;
    /// a quarter of what it has left, if that is less.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub token_notice: Duration,
    /// From the gateway's Close frame until the socket is dropped.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub close_timeout: Duration,
    /// A link that was silent for so long is pinged; after twice as long it is
    /// closed. Most load balancers drop links that are silent for 60 s.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub heartbeat: Duration,
    /// Kernel send buffer per connection; more only hides what waits.
    pub send_buffer: Size,
    /// What of the send buffer may wait for the network, of a connection with a
    /// subscription that conflates: the rest stays with the gateway, where newer
    /// values replace older ones.
    pub unsent: Size,
    /// Origins that browsers may come from, e.g. `https://game.example`; `*`
    /// allows all. The gateway's own host is always allowed, as are clients
    /// that are no browsers.
    pub allowed_origins: Vec<String>,
    /// Serve clients that can have no WebSocket, by server-sent events and long polling
    /// (`/v1/sse`, `/v1/poll`, `/v1/send`).
    pub fallbacks: bool,
    /// How long a poll waits for something to tell.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub poll: Duration,
    /// Give clients that offer no subprotocol `tidegate.v1.protobuf`. Otherwise
    /// they are refused.
    pub default_subprotocol: bool,
    /// Largest message accepted from a client.
    pub max_message: Size,
    /// Fragments in one message.
    pub max_fragments: usize,
    /// Bytes that may wait for one connection, before the namespace's overflow
    /// policy acts.
    pub outbox_bytes: Size,
    /// Messages that may wait for one connection, likewise.
    pub outbox_items: usize,
    /// Bytes that may wait for all connections together; what waits for many counts
    /// once. Near it new connections are put off, and the fullest outboxes let go
    /// of what they may. `0`: no limit.
    pub outbox_budget: Size,
    /// How fast clients may send.
    pub upstream: UpstreamConfig,
    /// Subscriptions per connection.
    pub max_subscriptions: u32,
    /// Requests and acknowledged publishes under way per connection; while the
    /// window is full the gateway does not read the socket.
    pub max_in_flight: u32,
    /// Longest channel name, in bytes; 255 at most.
    pub max_channel_bytes: u32,
    /// Longest deadline a request may ask for.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub max_deadline: Duration,
    /// Connections of one user in the whole cluster; 0: no limit. Connections
    /// of one session count once.
    pub max_connections_per_user: u32,
    /// Which connection is closed beyond that.
    pub user_overflow: UserOverflow,
    /// Requests that clients may repeat.
    pub idempotency: IdempotencyConfig,
    /// What clients may leave to be done when they are gone.
    pub wills: WillsConfig,
    /// How it goes away.
    pub drain: DrainConfig,
    /// Serve `/v1/echo`, which sends every WebSocket message back: for
    /// conformance suites, never for the internet.
    pub echo: bool,
}

/// Whether proxies say by the PROXY protocol for whom they speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    /// Connections begin with TLS or HTTP.
    #[default]
    Off,
    /// Each begins with a header of version 2, and comes from `trusted_proxies`;
    /// any other is dropped.
    Required,
}

/// The control plane.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ControlConfig {
    /// Where backends connect by gRPC. Without `key` and `client` only loopback, and
    /// everybody may do everything.
    pub listen: SocketAddr,
    /// TLS; absent: none.
    pub tls: Option<ControlTlsConfig>,
    /// Take keys on other addresses than loopback without TLS: for networks where
    /// something else encrypts.
    pub allow_plaintext: bool,
    /// Callers with a bearer key (`tidegate key new`).
    pub key: Vec<CallerKey>,
    /// Callers with a certificate.
    pub client: Vec<CallerCertificate>,
    /// Tokens that are issued.
    pub tokens: TokensConfig,
    /// Keys that sign them: the newest one that may. None: the first of `auth.key`
    /// that can.
    pub signing_key: Vec<SigningKeyEntry>,
    /// Largest gRPC message.
    pub max_message: Size,
    /// Batches of one PublishStream that are not answered yet.
    pub in_flight_batches: usize,
    /// How the wills of sessions that are gone are fired.
    pub wills: FiringConfig,
}

/// Metrics and health.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// Where `/metrics`, `/livez`, `/readyz` and `/startupz` are served.
    pub listen: SocketAddr,
}

/// Logs.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged: `info`, or directives such as `info,edge=debug`.
    pub filter: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    #[default]
    Json,
}

/// The policy of a namespace.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamespaceConfig {
    /// The first token of its channels.
    pub name: String,
    /// Keep a log of each channel; absent: nothing is kept, at most once.
    pub history: Option<HistoryConfig>,
    /// What of the publications a subscriber gets; it may ask for less.
    #[serde(default)]
    pub delivery: Delivery,
    /// With `delivery = "sampled"`: how often a second at most, 1 to 1000.
    pub max_per_second: Option<u32>,
    /// What happens to publications for connections that read too slowly.
    #[serde(default)]
    pub overflow: Overflow,
    /// What waits for a slow connection leaves by priority, 9 first; channels of the
    /// same take turns by bytes.
    #[serde(default)]
    pub priority: u8,
    /// Count deliveries and what is withheld of this namespace apart
    /// (metrics with its name as a label). Of 64 namespaces at most.
    #[serde(default)]
    pub metrics: bool,
    /// How publications reach a gateway.
    #[serde(default)]
    pub fanout: Fanout,
    /// Keep who is subscribed, for those who may know: by `Presence`, and by events as
    /// they come and go.
    #[serde(default)]
    pub presence: bool,
    /// Let clients that may see who is subscribed send each other signals, e.g. to
    /// set up WebRTC. Needs `presence`.
    #[serde(default)]
    pub signals: bool,
    /// Who may publish.
    #[serde(default = "server")]
    pub publish: Access,
    /// Who may subscribe.
    #[serde(default = "token")]
    pub subscribe: Access,
}

/// How much of each channel is kept: the smaller bound holds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryConfig {
    /// Publications per channel.
    pub messages: usize,
    /// Age of the oldest.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub age: Duration,
}

/// What of a channel's publications a subscriber gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// All of them.
    #[default]
    All,
    /// All of them while it takes them as they come, otherwise the newest of each
    /// key; a Gap counts the others.
    Latest,
    /// The newest of each key, `max_per_second` times a second.
    Sampled,
}

/// What happens to publications for connections that read too slowly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    /// The oldest are withheld, and the client is told by a Gap.
    #[default]
    DropOldest,
    /// None are withheld: what does not fit is read from the log when the
    /// connection has caught up so far. Needs `history`.
    CatchUp,
    /// Those of a key are replaced by the newest until the connection has caught
    /// up, and the client is told by a Gap.
    Conflate,
    /// The connection is closed with `slow_consumer`.
    Disconnect,
}

/// Who may do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Only backends.
    Server,
    /// Clients whose token says so.
    Token,
    /// Every authenticated client, unless its token denies it.
    Anyone,
    /// The same, and clients without a token where `auth.anonymous` lets them in.
    Anonymous,
}

// === impl GatewayConfig ===

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            id: "gw1".to_owned(),
            listen: SocketAddr::from(([0, 0, 0, 0], 7400)),
            tls: None,
            shards: 0,
            max_connections: 200_000,
            // At 100 µs of CPU each, a core works through them in under a second.
            max_handshakes: 4096,
            // As many as come in two seconds of a storm, and wait.
            unfinished_percent: 25,
            trusted_proxies: Vec::new(),
            proxy_protocol: ProxyProtocol::Off,
            admission: AdmissionConfig::default(),
            reserved_descriptors: 256,
            handshake_timeout: Duration::from_secs(10),
            // A client that fails to get a token has time to try again.
            token_notice: Duration::from_secs(60),
            close_timeout: Duration::from_secs(5),
            heartbeat: Duration::from_secs(25),
            send_buffer: Size::kib(256),
            // A slow mobile connection, 256 kbit/s, sends that in an eighth of a second.
            unsent: Size::kib(4),
            allowed_origins: Vec::new(),
            fallbacks: true,
            // Proxies end what is silent for 30 s.
            poll: Duration::from_secs(25),
            default_subprotocol: true,
            max_message: Size::kib(64),
            max_fragments: 64,
            outbox_bytes: Size::kib(1024),
            outbox_items: 1024,
            outbox_budget: Size::kib(512 << 10),
            upstream: UpstreamConfig::default(),
            max_subscriptions: 128,
            max_in_flight: 64,
            max_channel_bytes: 255,
            max_deadline: Duration::from_secs(60),
            max_connections_per_user: 0,
            user_overflow: UserOverflow::default(),
            idempotency: IdempotencyConfig::default(),
            wills: WillsConfig::default(),
            drain: DrainConfig::default(),
            echo: false,
        }
    }
}

// === impl ControlConfig ===

impl Default for ControlConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7410)),
            tls: None,
            allow_plaintext: false,
            key: Vec::new(),
            client: Vec::new(),
            tokens: TokensConfig::default(),
            signing_key: Vec::new(),
            max_message: Size::kib(4096),
            in_flight_batches: 64,
            wills: FiringConfig::default(),
        }
    }
}

// === impl AdminConfig ===

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7420)),
        }
    }
}

// === impl LogConfig ===

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            filter: "info".to_owned(),
        }
    }
}

fn server() -> Access {
    Access::Server
}

fn token() -> Access {
    Access::Token
}
