//! One key's entry: reading it, and changing it if it is as it was read.

use std::sync::Arc;

use bus::{Bus, BusError, BusExt, Expect, Put, Remove, Revision, Subject};

use crate::{
    REPLIES,
    entry::{Entry, Found},
    metrics::{Metrics, Step},
};

/// The entry of one key.
pub(crate) struct Ledger {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) key: Subject,
    pub(crate) metrics: Arc<Metrics>,
}

// === impl Ledger ===

impl Ledger {
    /// What is there. It may be older than the newest, never made up: whoever
    /// acts on it changes the revision that it read, or nothing.
    pub(crate) async fn look(&self) -> Result<Option<Found>, BusError> {
        let pattern = self.key.clone().into();
        let found = self.bus.look_up(REPLIES, vec![pattern]).await;
        self.metrics.step(Step::Read, found.as_ref().err());
        let Some(found) = found?.pop() else {
            return Ok(None);
        };
        // A later version's entry says nothing to this one: as if it could not
        // be read.
        let entry = Entry::decode(found.value).ok_or(BusError::Unavailable)?;
        let revision = found.revision;
        Ok(Some(Found { entry, revision }))
    }

    /// Writes the entry if what is expected is so, else [`BusError::Conflict`].
    /// After any other error it may be written or not.
    pub(crate) async fn write(&self, entry: &Entry, expect: Expect) -> Result<Revision, BusError> {
        let put = Put {
            table: REPLIES,
            key: self.key.clone(),
            value: entry.encode(),
            expect,
        };
        let written = self.bus.write(put).await;
        self.metrics.step(Step::Write, written.as_ref().err());
        written
    }

    /// Removes the entry at this revision; errors as [`Self::write`].
    pub(crate) async fn erase(&self, revision: Revision) -> Result<(), BusError> {
        let remove = Remove {
            table: REPLIES,
            key: self.key.clone(),
            expect: Expect::At(revision),
        };
        let erased = self.bus.erase(remove).await;
        self.metrics.step(Step::Erase, erased.as_ref().err());
        erased
    }
}
