//! Getting the right to ask a worker, or learning what became of the request.

use bus::{BusError, Expect, Revision};
use tokio::time::Instant;

use super::{Course, Held, NotDone, Outcome, Redelivery, Refusal, WRITING};
use crate::entry::{Found, State};

impl Course {
    /// Claims the key, or ends with what the journal has to tell. Never ends
    /// while somebody else is at it. Dropped at any await it leaves
    /// [`Course::in_doubt`] truthful.
    pub(super) async fn claim(&mut self) -> Result<Held, Outcome> {
        // Anew in each round: a claim that led to a question once, seen again
        // by a read that is behind, must not be taken for a fresh one.
        self.nonce = fastrand::u64(..);
        let mut is_absent = true;
        loop {
            if is_absent {
                match self.write_claim(Expect::Absent, 1).await {
                    Ok(held) => return Ok(held),
                    Err(BusError::Conflict) => {}
                    Err(BusError::NoTable | BusError::TooLarge) => {
                        return Err(Err(NotDone::Unavailable));
                    }
                    // It may be there all the same.
                    Err(_) => self.rest().await,
                }
            }
            let found = self.ledger.look().await;
            is_absent = matches!(found, Ok(None));
            if let Ok(Some(found)) = found
                && let Some(end) = self.judge(found).await
            {
                return end;
            }
            self.rest().await;
        }
    }

    /// Makes sure that no claim of this round stays behind; no worker was asked.
    pub(super) async fn withdraw(&mut self) {
        while self.in_doubt && Instant::now() < self.deaf_at {
            self.rest().await;
            let Ok(found) = self.ledger.look().await else {
                continue;
            };
            let held = found.and_then(|found| self.held(&found));
            if let Some(held) = held {
                // The caller has been told already.
                let why = Refusal::Bus(BusError::DeadlineExceeded);
                let _outcome = self.give_back(held, why).await;
            }
            return;
        }
    }

    /// What to tell a caller whose deadline has passed meanwhile.
    pub(super) fn why_not_claimed(&self) -> NotDone {
        if self.in_progress {
            NotDone::InProgress
        } else {
            NotDone::Unavailable
        }
    }

    /// What an entry comes to; `None`: look again later.
    async fn judge(&mut self, found: Found) -> Option<Result<Held, Outcome>> {
        if found.entry.fingerprint != self.blank.fingerprint {
            return Some(Err(Err(NotDone::KeyReused)));
        }
        if let Some(held) = self.held(&found) {
            self.in_doubt = false;
            return Some(Ok(held));
        }
        let (attempt, revision) = (found.entry.attempt, found.revision);
        match found.entry.state {
            State::Answer(answer) => Some(Err(answer.map_err(NotDone::Failed))),
            State::Unknown => Some(Err(Err(NotDone::OutcomeUnknown))),
            State::Claim(claim) if claim.until_ms > self.now_ms() => {
                self.in_progress = true;
                None
            }
            State::Claim(_lapsed) => self.take_over(attempt, revision).await,
        }
    }

    /// The entry, if it is this round's claim.
    fn held(&self, found: &Found) -> Option<Held> {
        let is_mine =
            matches!(&found.entry.state, State::Claim(claim) if claim.nonce == self.nonce);
        is_mine.then_some(Held {
            revision: found.revision,
            attempt: found.entry.attempt,
        })
    }

    /// Nobody listens for the answer to attempt number `attempt` any more.
    async fn take_over(
        &mut self,
        attempt: u32,
        revision: Revision,
    ) -> Option<Result<Held, Outcome>> {
        let expect = Expect::At(revision);
        match self.call.redelivery {
            Redelivery::Never => {
                // Written before it is told, so that no answer comes after it.
                let unknown = self.entry(attempt, State::Unknown);
                let written = self.ledger.write(&unknown, expect).await;
                written.ok().map(|_| Err(Err(NotDone::OutcomeUnknown)))
            }
            Redelivery::WorkerDeduplicates => {
                let attempt = attempt.saturating_add(1);
                let claimed = self.write_claim(expect, attempt).await;
                claimed.ok().map(Ok)
            }
        }
    }

    async fn write_claim(&mut self, expect: Expect, attempt: u32) -> Result<Held, BusError> {
        let until = match self.call.redelivery {
            Redelivery::Never => self.deaf_at + WRITING,
            // Asking once more does no harm: nobody has to wait for a gateway
            // that may be dead.
            Redelivery::WorkerDeduplicates => self.deadline,
        };
        let lasts = until.saturating_duration_since(Instant::now());
        let entry = self.claim_for(attempt, Some(lasts));
        let was_in_doubt = std::mem::replace(&mut self.in_doubt, true);
        let written = self.ledger.write(&entry, expect).await;
        match &written {
            Ok(_) => self.in_doubt = false,
            Err(BusError::Conflict) => self.in_doubt = was_in_doubt,
            Err(_) => {}
        }
        written.map(|revision| Held { revision, attempt })
    }
}
