//! Presence: who is in channels.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Members named in one event at most.
const MAX_NAMED: usize = 1_000;

/// How presence is kept in namespaces with `presence = true`. The same at all
/// gateways.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PresenceConfig {
    /// Who comes and goes is gathered for so long before it is told.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub tick: Duration,
    /// How long a member whose connection was lost may take to come back, at any
    /// gateway, before it counts as gone.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub linger: Duration,
    /// How long a gateway may be silent before its members count as gone.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub lease: Duration,
    /// Up to so many members of a channel clients are told who comes and goes by name;
    /// of more only how many there are.
    pub named: usize,
}

// === impl PresenceConfig ===

impl PresenceConfig {
    pub(super) fn settings(&self) -> presence::Settings {
        presence::Settings {
            tick: self.tick,
            linger: self.linger,
            lease: self.lease,
            named: self.named,
        }
    }

    /// What of it makes no sense: the key, and why.
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let within = |time, low, high| {
            Duration::from_millis(low) <= time && time <= Duration::from_millis(high)
        };
        if !within(self.tick, 50, 5_000) {
            return Some(("presence.tick", "must be 50ms to 5s"));
        }
        if !within(self.linger, 0, 600_000) {
            return Some(("presence.linger", "must be 10m at most"));
        }
        if !within(self.lease, 2_000, 600_000) {
            return Some((
                "presence.lease",
                "must be 2s to 10m: gateways speak every second",
            ));
        }
        if !(1..=MAX_NAMED).contains(&self.named) {
            return Some(("presence.named", "must be 1 to 1000"));
        }
        None
    }
}

impl Default for PresenceConfig {
    fn default() -> Self {
        let presence::Settings {
            tick,
            linger,
            lease,
            named,
        } = presence::Settings::default();
        Self {
            tick,
            linger,
            lease,
            named,
        }
    }
}
