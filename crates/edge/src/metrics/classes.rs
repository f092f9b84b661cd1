//! What becomes of publications, by delivery class.

use hub::{Class, Totals};
use metrics::{Counter, counter};

/// Where one shard's counts go.
pub(super) struct Classes([Handles; Class::LABELS.len()]);

struct Handles {
    delivered: Counter,
    bytes: Counter,
    dropped: Counter,
    conflated: Counter,
}

// === impl Classes ===

impl Classes {
    pub(super) fn new(shard: &str) -> Self {
        let label = || shard.to_owned();
        let handles = |class: &'static str| Handles {
            delivered: counter!("tidegate_edge_deliveries_total", "shard" => label(), "class" => class),
            bytes: counter!("tidegate_edge_delivered_bytes_total", "shard" => label(), "class" => class),
            dropped: counter!("tidegate_edge_dropped_total", "shard" => label(), "reason" => "slow_connection", "class" => class),
            conflated: counter!("tidegate_edge_conflated_total", "shard" => label(), "class" => class),
        };
        Self(Class::LABELS.map(handles))
    }

    pub(super) fn publish(&self, totals: &Totals) {
        for (handles, share) in self.0.iter().zip(&totals.classes) {
            handles.delivered.absolute(share.delivered);
            handles.bytes.absolute(share.bytes);
            handles.dropped.absolute(share.dropped);
            handles.conflated.absolute(share.conflated);
        }
    }
}
