//! The bus's metrics, on NATS.
//!
//! | metric | labels | meaning |
//! |---|---|---|
//! | `tidegate_bus_up` | `connection` | 1 while messages to itself come back, by connection: `control`, `fanout`, `publish` |
//! | `tidegate_bus_disconnects_total` | `connection` | connections that ended |
//! | `tidegate_bus_slow_consumers_total` | `connection` | messages that the client library dropped because this process was too slow |
//! | `tidegate_bus_probe_seconds` | `connection` | how long messages to itself took |
//! | `tidegate_bus_probes_failed_total` | `connection` | those that did not come back |
//! | `tidegate_bus_waiting_requests` | `connection` | requests that wait for their reply |
//! | `tidegate_bus_queued_bytes` | `connection` | bytes on their way out |
//! | `tidegate_bus_publications_total` | `outcome` | publications: `ok`, `refused` |
//! | `tidegate_bus_losses_told_total` | | times that subscriptions without a log were told of a possible loss |

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// One connection's.
pub(crate) struct LinkMetrics {
    pub(crate) up: Gauge,
    pub(crate) disconnects: Counter,
    pub(crate) slow_consumers: Counter,
    pub(crate) probe_seconds: Histogram,
    pub(crate) probes_failed: Counter,
    pub(crate) waiting: Gauge,
    pub(crate) queued_bytes: Gauge,
}

/// The whole bus's.
pub(crate) struct BusMetrics {
    pub(crate) published: Counter,
    pub(crate) refused: Counter,
    pub(crate) losses_told: Counter,
}

// === impl LinkMetrics ===

impl LinkMetrics {
    pub(crate) fn new(kind: &'static str) -> Self {
        Self {
            up: gauge!("tidegate_bus_up", "connection" => kind),
            disconnects: counter!("tidegate_bus_disconnects_total", "connection" => kind),
            slow_consumers: counter!("tidegate_bus_slow_consumers_total", "connection" => kind),
            probe_seconds: histogram!("tidegate_bus_probe_seconds", "connection" => kind),
            probes_failed: counter!("tidegate_bus_probes_failed_total", "connection" => kind),
            waiting: gauge!("tidegate_bus_waiting_requests", "connection" => kind),
            queued_bytes: gauge!("tidegate_bus_queued_bytes", "connection" => kind),
        }
    }
}

// === impl BusMetrics ===

impl BusMetrics {
    pub(crate) fn new() -> Self {
        let outcome = |outcome| counter!("tidegate_bus_publications_total", "outcome" => outcome);
        Self {
            published: outcome("ok"),
            refused: outcome("refused"),
            losses_told: counter!("tidegate_bus_losses_told_total"),
        }
    }
}
