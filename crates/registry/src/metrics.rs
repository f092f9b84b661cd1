//! The registry's metrics.
//!
//! | metric | labels | meaning |
//! |---|---|---|
//! | `tidegate_registry_writes_total` | `operation` | entries written: `put`, `remove` |
//! | `tidegate_registry_coalesced_total` | | connections that ended before they were written, and never were |
//! | `tidegate_registry_events_total` | `kind` | events that the log has: `opened`, `closed` |
//! | `tidegate_registry_retries_total` | | writes and events tried again, because the bus did not take them |
//! | `tidegate_registry_refused_total` | | entries and events given up, because they are larger than the bus takes |
//! | `tidegate_registry_malformed_total` | | entries read that nobody can have written, and were passed over |
//! | `tidegate_registry_dropped_total` | | ends of connections that were never told, because too many waited for the bus |
//! | `tidegate_registry_pending` | | connections with something still to be written or told |
//! | `tidegate_registry_lag_seconds` | | from a connection's opening until its entry is in the registry |
//! | `tidegate_registry_lease_failures_total` | | beats of this gateway that the bus did not take |
//! | `tidegate_registry_announced_total` | | times that this gateway registered everything anew |
//! | `tidegate_registry_buried_gateways_total` | | gateways that this control plane found dead and cleared away |
//! | `tidegate_registry_buried_connections_total` | | their connections |

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// A gateway's.
pub(crate) struct Registered {
    pub(crate) put: Counter,
    pub(crate) removed: Counter,
    pub(crate) coalesced: Counter,
    pub(crate) opened: Counter,
    pub(crate) closed: Counter,
    pub(crate) retries: Counter,
    pub(crate) refused: Counter,
    pub(crate) dropped: Counter,
    pub(crate) pending: Gauge,
    pub(crate) lag_seconds: Histogram,
    pub(crate) lease_failures: Counter,
    pub(crate) announced: Counter,
}

/// A control plane's.
pub(crate) struct Buried {
    pub(crate) gateways: Counter,
    pub(crate) connections: Counter,
}

// === impl Registered ===

impl Registered {
    pub(crate) fn new() -> Self {
        let write =
            |operation| counter!("tidegate_registry_writes_total", "operation" => operation);
        let event = |kind| counter!("tidegate_registry_events_total", "kind" => kind);
        Self {
            put: write("put"),
            removed: write("remove"),
            coalesced: counter!("tidegate_registry_coalesced_total"),
            opened: event("opened"),
            closed: event("closed"),
            retries: counter!("tidegate_registry_retries_total"),
            refused: counter!("tidegate_registry_refused_total"),
            dropped: counter!("tidegate_registry_dropped_total"),
            pending: gauge!("tidegate_registry_pending"),
            lag_seconds: histogram!("tidegate_registry_lag_seconds"),
            lease_failures: counter!("tidegate_registry_lease_failures_total"),
            announced: counter!("tidegate_registry_announced_total"),
        }
    }
}

// === impl Buried ===

impl Buried {
    pub(crate) fn new() -> Self {
        Self {
            gateways: counter!("tidegate_registry_buried_gateways_total"),
            connections: counter!("tidegate_registry_buried_connections_total"),
        }
    }
}

/// Entries that a control plane can't read.
pub(crate) fn malformed() -> Counter {
    counter!("tidegate_registry_malformed_total")
}
