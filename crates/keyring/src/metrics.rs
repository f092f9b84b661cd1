//! The keyring's metrics.
//!
//! | metric | labels | meaning |
//! |---|---|---|
//! | `tidegate_keyring_fetches_total` | `issuer`, `result` | times that an issuer's keys were fetched or its file read anew: `updated`, `unchanged`, or why not: `connection`, `status`, `too_large`, `malformed`, `timeout`, `file` |
//! | `tidegate_keyring_fetched_timestamp_seconds` | `issuer` | Unix time of the last one that succeeded: the age of the set |
//! | `tidegate_keyring_keys` | `issuer` | keys in the set |
//! | `tidegate_keyring_unknown_keys_total` | `issuer`, `result` | tokens of an unknown key: `fetched` for, `remembered` as unknown, or come `too_soon` after a fetch |

use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge, counter, gauge};

use crate::{demand::Ruling, fetch::FetchError};

/// Of one issuer.
pub(crate) struct SourceMetrics {
    issuer: String,
    fetched_at: Gauge,
    keys: Gauge,
    updated: Counter,
    unchanged: Counter,
    looked_for: Counter,
    remembered: Counter,
    too_soon: Counter,
}

// === impl SourceMetrics ===

impl SourceMetrics {
    pub(crate) fn new(issuer: &str) -> Self {
        let label = || issuer.to_owned();
        let unknown = |result| counter!("tidegate_keyring_unknown_keys_total", "issuer" => label(), "result" => result);
        let fetches = |result| fetches(label(), result);
        Self {
            fetched_at: gauge!("tidegate_keyring_fetched_timestamp_seconds", "issuer" => label()),
            keys: gauge!("tidegate_keyring_keys", "issuer" => label()),
            updated: fetches("updated"),
            unchanged: fetches("unchanged"),
            looked_for: unknown("fetched"),
            remembered: unknown("remembered"),
            too_soon: unknown("too_soon"),
            issuer: label(),
        }
    }

    pub(crate) fn updated(&self, keys: usize) {
        self.updated.increment(1);
        self.keys.set(keys as f64);
        self.fresh();
    }

    pub(crate) fn unchanged(&self) {
        self.unchanged.increment(1);
        self.fresh();
    }

    pub(crate) fn failed(&self, error: &FetchError) {
        // Rare, and one of a few: looked up by name.
        fetches(self.issuer.clone(), error.label()).increment(1);
    }

    pub(crate) fn ruled(&self, ruling: Ruling) {
        match ruling {
            Ruling::Fetch | Ruling::Wait => self.looked_for.increment(1),
            Ruling::Unknown => self.remembered.increment(1),
            Ruling::TooSoon => self.too_soon.increment(1),
        }
    }

    fn fresh(&self) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        self.fetched_at.set(since.unwrap_or_default().as_secs_f64());
    }
}

fn fetches(issuer: String, result: &'static str) -> Counter {
    counter!("tidegate_keyring_fetches_total", "issuer" => issuer, "result" => result)
}
