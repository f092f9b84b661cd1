//! The configuration's part about clusters: NATS, drains, limits of users.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;

/// The bus between gateways, control planes and workers. `tidegate dev` needs
/// none.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NatsConfig {
    /// Servers, e.g. `nats://nats-0.nats:4222`; more of the cluster are found
    /// by themselves.
    pub servers: Vec<String>,
    /// Copies of each stream and table: 1 on a laptop, 3 in production.
    pub replicas: usize,
    /// Connections that carry publications, beside one for everything else.
    pub publish_connections: usize,
    /// Credentials file (JWT and nkey seed).
    pub credentials_file: Option<PathBuf>,
    /// File that holds an nkey seed.
    pub nkey_file: Option<PathBuf>,
    /// Token.
    pub token: Option<Secret>,
    /// User name, with `password`.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// TLS to the servers.
    pub tls: NatsTlsConfig,
    /// Loses publications on purpose when the bus is disturbed, without a word:
    /// for `loadtest torture`, which must see it. Not in the schema.
    #[schemars(skip)]
    #[serde(skip_serializing)]
    pub skip_chain_repair: bool,
}

/// TLS to the NATS servers.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NatsTlsConfig {
    /// Refuse servers without TLS.
    pub required: bool,
    /// Certificates of authorities to trust, PEM; absent: the system's.
    pub ca_file: Option<PathBuf>,
    /// Our certificate, PEM, where servers ask for one; with `key_file`.
    pub certificate_file: Option<PathBuf>,
    /// Its private key, PEM.
    pub key_file: Option<PathBuf>,
}

/// How a gateway goes away.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DrainConfig {
    /// From "not ready" until the first client is asked to move, so that load
    /// balancers have seen it.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub settle: Duration,
    /// Connections asked to move in a second: what the other gateways can
    /// take.
    pub rate: u32,
    /// How long clients may take to move, from the first one asked. What is
    /// left is closed.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub window: Duration,
}

/// Requests with an idempotency key: their answers are kept, so that clients may
/// repeat them blindly.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IdempotencyConfig {
    /// How long an answer is kept: clients may repeat a request for so long.
    /// The same at all gateways.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub keep: Duration,
    /// How long after the client's deadline a worker's answer is still taken, for
    /// a repetition to find.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub late: Duration,
    /// Such requests under way at a gateway, those that only wait for a late
    /// answer included; more are refused as overloaded.
    pub max_under_way: usize,
}

/// Whether workers are asked again where nobody knows if they have executed a
/// request with an idempotency key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Redelivery {
    /// No: it is executed at most once, whatever the workers do, and its outcome
    /// stays unknown.
    #[default]
    Never,
    /// Yes, with the same key: the workers know the keys that they have executed.
    WorkerDeduplicates,
}

/// What happens to a user's connections beyond
/// `gateway.max_connections_per_user`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserOverflow {
    /// The newest is closed.
    #[default]
    RefuseNew,
    /// The oldest is closed.
    CloseOldest,
}

/// How a namespace's publications reach a gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fanout {
    /// Each channel that somebody here listens to is subscribed to: right for
    /// many channels with few listeners each.
    #[default]
    Interest,
    /// All of the namespace is subscribed to while somebody here listens to any
    /// of its channels: right for few hot channels, and lighter per channel.
    Namespace,
}

// === impl NatsConfig ===

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            servers: vec!["nats://127.0.0.1:4222".to_owned()],
            replicas: 1,
            publish_connections: 2,
            credentials_file: None,
            nkey_file: None,
            token: None,
            user: None,
            password: None,
            tls: NatsTlsConfig::default(),
            skip_chain_repair: false,
        }
    }
}

// === impl IdempotencyConfig ===

impl Default for IdempotencyConfig {
    fn default() -> Self {
        let journal = journal::Settings::default();
        // Longer than people press a button again, and than a client is
        // without a network in a tunnel.
        Self {
            keep: Duration::from_secs(600),
            late: journal.late,
            max_under_way: journal.max_under_way,
        }
    }
}

// === impl DrainConfig ===

impl Default for DrainConfig {
    fn default() -> Self {
        // Load balancers look every few seconds; 500 handshakes a second are a
        // twentieth of a core of each of three other gateways.
        Self {
            settle: Duration::from_secs(5),
            rate: 500,
            window: Duration::from_secs(60),
        }
    }
}
