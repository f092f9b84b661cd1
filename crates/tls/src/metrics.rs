//! Metrics of the gateway's TLS:
//!
//! | metric | labels | meaning |
//! |---|---|---|
//! | `tidegate_tls_certificate_expiry_seconds` | | until the first of the certificates in force expires; 0: one has |
//! | `tidegate_tls_reloads_total` | `result` | looks at the certificates' files that found others (`changed`), or could not use them (`failed`) |

use std::time::Duration;

use metrics::{Counter, Gauge, counter, gauge};

/// See the module.
pub(crate) struct Metrics {
    expiry: Gauge,
    changed: Counter,
    failed: Counter,
}

// === impl Metrics ===

impl Metrics {
    pub(crate) fn new() -> Self {
        let reload =
            |result: &'static str| counter!("tidegate_tls_reloads_total", "result" => result);
        Self {
            expiry: gauge!("tidegate_tls_certificate_expiry_seconds"),
            changed: reload("changed"),
            failed: reload("failed"),
        }
    }

    /// Counts a look, by whether it found other certificates.
    pub(crate) fn looked<E>(&self, outcome: &Result<bool, E>) {
        match outcome {
            Ok(true) => self.changed.increment(1),
            Ok(false) => {}
            Err(_) => self.failed.increment(1),
        }
    }

    pub(crate) fn expires_in(&self, left: Duration) {
        self.expiry.set(left.as_secs_f64());
    }
}
