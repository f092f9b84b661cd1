//! Looks through the whole table for what nobody heard.

use std::time::Duration;

use bus::{BusError, BusExt, Subject};
use foldhash::HashSet;
use wire::gateway::will::State;

use super::Keeper;
use crate::{WILLS, key, will::Kept};

/// How long a fired will is kept for its client to ask.
const FIRED_KEPT: Duration = Duration::from_secs(60 * 60);

/// Sessions looked up together.
const TOGETHER: usize = 512;

// === impl Keeper ===

impl Keeper {
    /// The wills to look at: those whose session the registry does not know, those
    /// that are being fired, and those whose session was lost. Removes what was
    /// fired long ago.
    pub(super) async fn scan(&self) -> Result<Vec<Subject>, BusError> {
        // Gateways that are there now are asked later, whatever the tables say.
        self.witnesses.refresh().await?;
        let entries = self.bus.look_up(WILLS, vec![key::all()]).await?;
        self.metrics.kept.set(entries.len() as f64);
        let (mut suspects, mut armed) = (Vec::new(), Vec::new());
        for mut kept in entries.into_iter().filter_map(Kept::read) {
            match &kept.will.state {
                Some(State::Fired(fired)) if self.is_old(fired.at_ms) => {
                    self.clear(&kept).await?;
                }
                Some(State::Fired(_)) => {}
                Some(State::Firing(_) | State::Lost(_)) => suspects.push(kept.key),
                None => {
                    // What it says is not needed now.
                    kept.will.payload.clear();
                    armed.push(kept);
                }
            }
        }
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

    /// Forgets a will that was fired long ago, unless another was armed.
    async fn clear(&self, kept: &Kept) -> Result<(), BusError> {
        match kept.erase(&*self.bus).await {
            Err(BusError::Conflict) => Ok(()),
            outcome => outcome,
        }
    }

    fn is_old(&self, at_ms: i64) -> bool {
        let age_ms = self.clock.now_ms().saturating_sub(at_ms);
        Duration::from_millis(age_ms.try_into().unwrap_or_default()) >= FIRED_KEPT
    }
}
