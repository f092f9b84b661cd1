//! Keeps in mind what was revoked, and has the shards act on it.
//!
//! The control plane tells every gateway of each revocation. What a gateway could not
//! be told it finds in the table: at its start, before it takes clients; when the bus
//! is back; and now and then, as one that began just then is on nobody's list yet.

use std::{sync::Arc, time::Duration};

use bus::{BusError, BusState};
use revocations::Revocation;
use tokio::time::{sleep, timeout};

use crate::{gateway::Gateway, shard::Mail};

/// From one look at the whole table to the next.
const PERIOD: Duration = Duration::from_secs(30);

/// After a look that failed.
const RETRY: Duration = Duration::from_millis(500);

// === impl Gateway ===

impl Gateway {
    /// Reads what is revoked; returns once it has succeeded.
    pub(crate) async fn learn_revocations(&self) {
        while let Err(error) = self.read_revocations().await {
            tracing::warn!(%error, "what was revoked can't be read");
            sleep(RETRY).await;
        }
    }

    /// Reads it again whenever there may be more, until it is dropped.
    pub(crate) async fn follow_revocations(&self) {
        let mut state = self.bus.state();
        loop {
            // Either way it is time to look, if the bus is there.
            let changed = timeout(PERIOD, state.changed()).await;
            if let Ok(Err(_)) = changed {
                return;
            }
            if *state.borrow_and_update() == BusState::Up {
                self.learn_revocations().await;
            }
        }
    }

    async fn read_revocations(&self) -> Result<(), BusError> {
        revocations::declare(&*self.bus).await?;
        for revocation in revocations::all(&*self.bus).await? {
            self.revoke(revocation);
        }
        self.revoked.forget(crate::clock::now_ms());
        self.metrics.revocations(self.revoked.len());
        Ok(())
    }

    /// Takes note of a revocation and tells the shards, unless it is known.
    pub(crate) fn revoke(&self, revocation: Revocation) {
        if !self.revoked.add(revocation.clone()) {
            return;
        }
        let revocation = Arc::new(revocation);
        for shard in &self.shards {
            shard.mailbox.push(Mail::Revoked(revocation.clone()));
        }
    }
}
