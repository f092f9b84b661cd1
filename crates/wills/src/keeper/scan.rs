//! Looks through the whole table for what nobody heard.

use std::time::Duration;

use super::Keeper;
use crate::{WILLS, key, will::Kept};
use bus::{BusError, BusExt, Subject};
use foldhash::HashSet;

/// An entry that still counts is written again when it is so old: long before the
/// table would let it go.
const REFRESHED: Duration = Duration::from_secs(6 * 60 * 60);

/// Sessions looked up together.
const TOGETHER: usize = 512;

// === impl Keeper ===

impl Keeper {
    /// The wills to look at: those whose session the registry does not know, those
    /// that are being fired, and those whose session was lost. Writes again what
    /// the table would let go.
    pub(super) async fn scan(&self) -> Result<Vec<Subject>, BusError> {
        // Gateways that are there now are asked later, whatever the tables say.
        self.witnesses.refresh().await?;
        let entries = self.bus.look_up(WILLS, vec![key::all()]).await?;
        let (mut suspects, mut armed) = (Vec::new(), Vec::new());
        let entries = entries.into_iter().filter_map(Kept::read);
        let mut counted = 0;
        for mut kept in entries.filter(|kept| !kept.has_ended()) {
            counted += 1;
            if self.is_old(kept.will.written_at_ms) {
                self.refresh(&mut kept).await?;
            }
            match &kept.will.state {
                Some(_) => suspects.push(kept.key),
                None => {
                    // What it says is not needed now.
                    kept.will.payload.clear();
                    armed.push(kept);
                }
            }
        }
        self.metrics.kept.set(f64::from(counted));
        for some in armed.chunks(TOGETHER) {
            self.add_absent(some, &mut suspects).await?;
        }
        Ok(suspects)
    }

    async fn add_absent(
        &self,
        armed: &[Kept],
        suspects: &mut Vec<Subject>,
    ) -> Result<(), BusError> {
        let sessions: Vec<_> = armed
            .iter()
            .map(|kept| (kept.user.clone(), kept.session))
            .collect();
        let connections = self.reader.of_sessions(&sessions).await?;
        let present: HashSet<_> = connections
            .iter()
            .map(|connection| &connection.session_id)
            .collect();
        let absent = armed
            .iter()
            .filter(|kept| !present.contains(&kept.will.session_id));
        suspects.extend(absent.map(|kept| kept.key.clone()));
        Ok(())
    }

    /// Writes a will again, unless somebody else has changed it.
    async fn refresh(&self, kept: &mut Kept) -> Result<(), BusError> {
        match kept.write(&*self.bus, self.clock.now_ms()).await {
            Err(BusError::Conflict) => Ok(()),
            outcome => outcome,
        }
    }

    fn is_old(&self, written_at_ms: i64) -> bool {
        let age_ms = self.clock.now_ms().saturating_sub(written_at_ms);
        Duration::from_millis(age_ms.try_into().unwrap_or_default()) >= REFRESHED
    }
}
