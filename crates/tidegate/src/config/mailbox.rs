//! Mailboxes: durable messages to users.

use std::time::Duration;

use bus::LogLimits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is kept for users who are away. The same at all gateways and control
/// planes.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MailboxConfig {
    /// Keep durable messages. Every connection then costs one read of its user's
    /// mailbox.
    pub enabled: bool,
    /// Messages per user; of more the oldest go, confirmed or not.
    pub messages: usize,
    /// Age of the oldest.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub age: Duration,
}

// === impl MailboxConfig ===

impl MailboxConfig {
    pub(super) fn limits(&self) -> LogLimits {
        LogLimits {
            messages: self.messages,
            age: self.age,
        }
    }
}

impl Default for MailboxConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            messages: 1000,
            // A user who is away for a week comes back to the application's own
            // state rather than to its messages.
            age: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}
