//! What becomes of publications, by namespace, of those that are to be counted.

use hub::{Account, Hub};
use metrics::{Counter, counter};

use crate::namespace::Policies;

/// Where one shard's counts go.
pub(crate) struct Accounts(Vec<(Account, Handles)>);

struct Handles {
    delivered: Counter,
    bytes: Counter,
    dropped: Counter,
    conflated: Counter,
}

// === impl Accounts ===

impl Accounts {
    pub(crate) fn new(shard: &str, policies: &Policies) -> Self {
        let counted = policies.namespaces.iter().filter_map(|(name, policy)| {
            let account = policy.delivery.account?;
            let labels = || [("shard", shard.to_owned()), ("namespace", name.to_string())];
            let handles = Handles {
                delivered: counter!("tidegate_edge_namespace_deliveries_total", &labels()),
                bytes: counter!("tidegate_edge_namespace_delivered_bytes_total", &labels()),
                dropped: counter!("tidegate_edge_namespace_dropped_total", &labels()),
                conflated: counter!("tidegate_edge_namespace_conflated_total", &labels()),
            };
            Some((account, handles))
        });
        Self(counted.collect())
    }

    pub(crate) fn publish(&self, hub: &Hub) {
        for (account, handles) in &self.0 {
            let share = hub.share(*account);
            handles.delivered.absolute(share.delivered);
            handles.bytes.absolute(share.bytes);
            handles.dropped.absolute(share.dropped);
            handles.conflated.absolute(share.conflated);
        }
    }
}
