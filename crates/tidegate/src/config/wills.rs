//! The configuration's part about wills: what clients may leave to be done when
//! they are gone, and how control planes do it.

use std::time::Duration;

use edge::WillLimits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wills::KeeperConfig;

use super::Size;

/// What a client may leave.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WillsConfig {
    /// Shortest time that a will may wait for its session to come back.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub min_grace: Duration,
    /// Longest.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub max_grace: Duration,
    /// Largest payload. Control planes read all wills twice a minute.
    pub max_payload: Size,
}

/// How wills are fired.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FiringConfig {
    /// Added to the grace of sessions that a draining gateway closed, or that
    /// were asked to reconnect.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub drain_allowance: Duration,
    /// How long a will is tried for while no worker takes it.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub give_up: Duration,
}

// === impl WillsConfig ===

impl WillsConfig {
    pub(super) fn limits(&self) -> WillLimits {
        WillLimits {
            min_grace: self.min_grace,
            max_grace: self.max_grace,
            max_payload_bytes: self.max_payload.bytes(),
        }
    }
}

impl Default for WillsConfig {
    fn default() -> Self {
        Self {
            // A client that lost its connection is back within it most often.
            min_grace: Duration::from_secs(1),
            max_grace: Duration::from_secs(60 * 60),
            max_payload: Size::kib(4),
        }
    }
}

// === impl FiringConfig ===

impl FiringConfig {
    pub(super) fn keeper(&self) -> KeeperConfig {
        KeeperConfig {
            drain_allowance: self.drain_allowance,
            give_up: self.give_up,
        }
    }
}

impl Default for FiringConfig {
    fn default() -> Self {
        Self {
            // Clients of a drain beyond its rate come back within its window.
            drain_allowance: Duration::from_secs(60),
            give_up: Duration::from_secs(5 * 60),
        }
    }
}
