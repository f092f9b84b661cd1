//! Routes: what clients may ask of workers.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Redelivery;

/// A name that clients may call.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// What clients call it, e.g. `orders.place`.
    pub name: String,
    /// The bus subject its workers serve; absent: `tg.rq.` and the name.
    pub subject: Option<String>,
    /// Clients without a token may call it as well.
    #[serde(default)]
    pub anonymous: bool,
    /// Deadline of requests that name none.
    #[serde(with = "humantime_serde", default = "five_seconds")]
    #[schemars(with = "String")]
    pub deadline: Duration,
    /// Requests under way from one gateway; more are refused as overloaded.
    /// 0: no limit.
    #[serde(default)]
    pub max_in_flight: u32,
    /// When a gateway stops asking workers that do not answer; absent: never.
    #[serde(default)]
    pub breaker: Option<BreakerConfig>,
    /// What a gateway does where nobody knows whether a worker has executed a
    /// request with an idempotency key.
    #[serde(default)]
    pub redelivery: Redelivery,
}

/// A circuit breaker: after so many failures in a row requests fail at once,
/// until one that is let through after the pause succeeds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BreakerConfig {
    /// Failures in a row: no worker, no answer in time, a worker that ended.
    /// What workers refuse themselves is no failure.
    pub failures: u32,
    /// How long requests fail at once.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub pause: Duration,
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}
