//! What the control plane is told.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use wire::MAX_CHANNEL_BYTES;

use crate::{callers::Credentials, tls::TlsFiles};

/// Settings of one control plane.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// Where backends connect; port 0 takes a free one. Without credentials only
    /// loopback. Default: `127.0.0.1:7410`.
    pub listen: SocketAddr,
    /// Who may call, and what for. Default: nobody has any, so everybody may do
    /// everything.
    pub credentials: Credentials,
    /// TLS at the port; absent: none. Default: none.
    pub tls: Option<TlsFiles>,
    /// Take keys on other addresses than loopback without TLS: something else, such
    /// as a mesh, encrypts. Default: false.
    pub allow_plaintext: bool,
    /// Largest gRPC message taken, in bytes. Default: 4 MiB.
    pub max_message_bytes: usize,
    /// Calls under way on one connection. Default: 200.
    pub max_concurrent_streams: u32,
    /// Batches of one `PublishStream` that are taken and not answered yet; at
    /// least one. Default: 64.
    pub in_flight_batches: usize,
    /// Longest channel name, in bytes. Default: what the grammar allows.
    pub max_channel_bytes: usize,
    /// Namespaces that may be published to; channels of others are refused.
    pub namespaces: Vec<String>,
    /// Those of them whose channels have presence.
    pub presence: Vec<String>,
    /// `iss` of issued tokens.
    pub token_issuer: Option<String>,
    /// `aud` of issued tokens.
    pub token_audience: Option<String>,
    /// How long issued tokens last.
    pub token_lifetimes: Lifetimes,
    /// Keep durable messages in mailboxes. [`mailboxes::declare`] must have been
    /// called. Default: false.
    pub mailboxes: bool,
    /// Make spans of publications. The process must have set a provider of
    /// OpenTelemetry before. Default: false.
    pub traces: bool,
    /// How long calls under way may still take once the scope is cancelled;
    /// then their connections are cut. Default: 3 s.
    pub drain_timeout: Duration,
}

/// How long issued tokens last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// If the request does not say. Default: 1 h.
    pub default: Duration,
    /// At most; a longer one is hard to take back. Default: 24 h.
    pub max: Duration,
}

// === impl ControlConfig ===

impl Default for ControlConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 7410).into(),
            credentials: Credentials::default(),
            tls: None,
            allow_plaintext: false,
            max_message_bytes: 4 << 20,
            max_concurrent_streams: 200,
            in_flight_batches: 64,
            max_channel_bytes: MAX_CHANNEL_BYTES,
            namespaces: Vec::new(),
            presence: Vec::new(),
            token_issuer: None,
            token_audience: None,
            token_lifetimes: Lifetimes::default(),
            mailboxes: false,
            traces: false,
            drain_timeout: Duration::from_secs(3),
        }
    }
}

// === impl Lifetimes ===

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            default: Duration::from_secs(60 * 60),
            max: Duration::from_secs(24 * 60 * 60),
        }
    }
}
