//! The configuration's part about admission: how fast clients get in.

use std::time::Duration;

use edge::{AdmissionLimits, FlappingLimits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How fast clients get in. Who is refused is told when to come back, such that
/// all return at the rate; clients with a ticket of their session go first.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdmissionConfig {
    /// Connections a second; 0: no limit.
    pub rate: u32,
    /// Connections at once after a pause. With less than a fifth of a second's worth,
    /// places lapse when clients are late, and few are held for those who return.
    pub burst: u32,
    /// The longest time that a refused client is told to stay away.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub horizon: Duration,
    /// HTTP requests under way from one address; more wait, and let those from
    /// other addresses pass.
    pub handshakes_per_address: usize,
    /// Connections a second from one address; 0: no limit. Leave it so behind a
    /// load balancer that does not keep clients' addresses.
    pub address_rate: u32,
    /// Connections at once from one address after a pause.
    pub address_burst: u32,
    /// Connections held from one address; 0: no limit. A client that moves has two for
    /// a moment. Leave it off where many share an address.
    pub connections_per_address: usize,
    /// Bits of an IPv4 address that count as one address.
    pub ipv4_prefix: u8,
    /// Likewise of IPv6: one household or host has a /64 at least.
    pub ipv6_prefix: u8,
    /// Users who come and go all the time.
    pub flapping: FlappingConfig,
}

/// A user whose connections are short, again and again, is kept away for longer
/// each time. They count at this gateway only.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlappingConfig {
    /// Short connections that are forgiven; 0: any number.
    pub forgiven: u32,
    /// A connection is short if the client ends it, or is lost, sooner.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub shorter_than: Duration,
    /// How long it takes until one more is forgiven.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub penalty: Duration,
}

// === impl AdmissionConfig ===

impl AdmissionConfig {
    pub(super) fn limits(&self) -> AdmissionLimits {
        AdmissionLimits {
            rate: self.rate,
            burst: self.burst,
            horizon: self.horizon,
            handshakes_per_address: self.handshakes_per_address,
            address_rate: self.address_rate,
            address_burst: self.address_burst,
            connections_per_address: self.connections_per_address,
            ipv4_prefix: self.ipv4_prefix,
            ipv6_prefix: self.ipv6_prefix,
            flapping: FlappingLimits {
                forgiven: self.flapping.forgiven,
                shorter_than: self.flapping.shorter_than,
                penalty: self.flapping.penalty,
            },
        }
    }
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        Self {
            // Half of what a core works through, at 100 µs of CPU each: the other
            // half is for those who are connected.
            rate: 5_000,
            // A second or two of a core: small gateways come back at once.
            burst: 10_000,
            // As long as people wait; with more clients than fit, they ask again.
            horizon: Duration::from_secs(60),
            // Only whole requests count, so this shares the gateway's time, not its
            // patience.
            handshakes_per_address: 256,
            address_rate: 0,
            address_burst: 100,
            connections_per_address: 0,
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            flapping: FlappingConfig::default(),
        }
    }
}

// === impl FlappingConfig ===

impl Default for FlappingConfig {
    fn default() -> Self {
        Self {
            // A user's devices behind a bad link, and a developer who restarts.
            forgiven: 60,
            shorter_than: Duration::from_secs(5),
            penalty: Duration::from_secs(10),
        }
    }
}
