//! What the control plane is told.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use wire::MAX_CHANNEL_BYTES;

/// Settings of one control plane.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// Where backends connect; port 0 takes a free one. Only loopback, as
    /// callers can't be authenticated yet. Default: `127.0.0.1:7410`.
    pub listen: SocketAddr,
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
    /// `iss` of issued tokens.
    pub token_issuer: Option<String>,
    /// `aud` of issued tokens.
    pub token_audience: Option<String>,
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

// === impl ControlConfig ===

impl Default for ControlConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 7410).into(),
            max_message_bytes: 4 << 20,
            max_concurrent_streams: 200,
            in_flight_batches: 64,
            max_channel_bytes: MAX_CHANNEL_BYTES,
            namespaces: Vec::new(),
            token_issuer: None,
            token_audience: None,
            mailboxes: false,
            traces: false,
            drain_timeout: Duration::from_secs(3),
        }
    }
}
