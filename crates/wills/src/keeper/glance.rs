//! One look at a will: is its session gone, for how long, and what follows.

use std::time::Duration;

use bus::{BusError, Subject};
use tokio::time::Instant;
use wire::{
    CloseCause,
    gateway::{LostSession, will::State},
};

use super::{
    JITTER, Keeper, RETRY,
    agenda::{Known, Next},
    jitter,
    witnesses::Sight,
};
use crate::{event::Step, will::Kept};

/// A firing is nobody's any more when it stands unchanged for longer than its
/// worker may take, and so much.
const CLAIM_MARGIN: Duration = Duration::from_secs(10);

/// So long before a will is due its session is looked for a last time before that,
/// or for an eighth of the grace.
const LAST_LOOK: Duration = Duration::from_secs(5);

/// Ends after which the client is on its way elsewhere, because we said so.
const SENT_AWAY: [CloseCause; 3] = [
    CloseCause::Draining,
    CloseCause::ReconnectRequested,
    CloseCause::SessionReplaced,
];

// === impl Keeper ===

impl Keeper {
    /// Looks at a will and does what is due.
    pub(super) async fn glance(&self, key: &Subject, known: Known) -> Next {
        match self.try_glance(key, known).await {
            Ok(next) => next,
            // Somebody was faster: see what he made of it.
            Err(BusError::Conflict) => Next::Again(JITTER),
            Err(error) => {
                tracing::debug!(%error, "a will can't be looked at now");
                Next::Again(RETRY + jitter(RETRY))
            }
        }
    }

    async fn try_glance(&self, key: &Subject, known: Known) -> Result<Next, BusError> {
        let Some(kept) = Kept::find(&*self.bus, key).await? else {
            return Ok(Next::Forget);
        };
        match kept.will.state {
            Some(State::Fired(_) | State::Cancelled(_)) => Ok(Next::Forget),
            Some(State::Firing(_)) => Ok(self.look_at_firing(kept, &known).await),
            Some(State::Lost(_)) | None => self.look_for_session(kept, &known).await,
        }
    }

    /// Takes a firing over whose control plane is gone. By no clock but this one:
    /// the entry stood still while it was watched.
    async fn look_at_firing(&self, kept: Kept, known: &Known) -> Next {
        let patience = kept.deadline() + CLAIM_MARGIN;
        let since = match known.claim {
            Some((revision, since)) if revision == kept.revision => since,
            _ => return Next::Claimed(kept.revision, patience),
        };
        match patience.checked_sub(Instant::now().duration_since(since)) {
            Some(rest) if !rest.is_zero() => Next::Claimed(kept.revision, rest),
            _ => self.take_over(kept).await,
        }
    }

    async fn look_for_session(&self, kept: Kept, known: &Known) -> Result<Next, BusError> {
        let connections = self
            .reader
            .of_sessions(&[(kept.user.clone(), kept.session)])
            .await?;
        let lives = |id: &String| !known.closed.contains(id);
        if connections.iter().any(|one| lives(&one.connection_id)) {
            return self.found(kept).await;
        }
        let loss = self.loss(&kept, known);
        let due_ms = self.due_ms(&kept, &loss);
        let now_ms = self.clock.now_ms();
        let step = (kept.grace() / 8).min(LAST_LOOK);
        if now_ms < due_ms {
            if kept.lost() != Some(&loss) {
                self.note(kept, loss).await?;
            }
            let rest = Duration::from_millis(due_ms.abs_diff(now_ms));
            let wait = if rest > step { rest - step } else { rest };
            return Ok(Next::Absent(wait + jitter(JITTER)));
        }
        // It may have returned since, and be on its way to another gateway now:
        // what was written down then says nothing of that.
        let was_absent = |at: Instant| at.elapsed() <= 2 * step + RETRY + JITTER;
        if !known.absent_at.is_some_and(was_absent) {
            return Ok(Next::Absent(step));
        }
        match self.witnesses.see(kept.session).await? {
            Sight::Absent => Ok(self.fire(kept, loss).await),
            Sight::Unsure => Ok(Next::Absent(RETRY)),
            // The registry is behind: its next connection's end will be heard.
            Sight::Present => self.found(kept).await,
        }
    }

    /// The session has a connection.
    async fn found(&self, mut kept: Kept) -> Result<Next, BusError> {
        if kept.will.state.take().is_some() {
            kept.write(&*self.bus, self.clock.now_ms()).await?;
            self.metrics.returned.increment(1);
            kept.tell(&*self.bus, Step::Returned, self.clock.now_ms())
                .await?;
        }
        Ok(Next::Forget)
    }

    /// Writes down since when the session is gone, so that the grace is the same
    /// for every control plane, and for those that start later.
    async fn note(&self, mut kept: Kept, loss: LostSession) -> Result<(), BusError> {
        kept.will.state = Some(State::Lost(loss));
        let now_ms = self.clock.now_ms();
        kept.write(&*self.bus, now_ms).await?;
        kept.tell(&*self.bus, Step::Lost, now_ms).await
    }

    /// How the session was lost: as the end of its newest connection says, and as
    /// it was first written down.
    fn loss(&self, kept: &Kept, known: &Known) -> LostSession {
        let heard = known.loss.as_ref();
        let written = kept.lost();
        let newest = match (heard, written) {
            (Some(heard), Some(written)) if heard.session_epoch <= written.session_epoch => {
                Some(written)
            }
            (heard, written) => heard.or(written),
        };
        newest.cloned().unwrap_or_else(|| LostSession {
            at_ms: self.clock.now_ms(),
            ..LostSession::default()
        })
    }

    /// When the will is due, Unix time in milliseconds.
    pub(super) fn due_ms(&self, kept: &Kept, loss: &LostSession) -> i64 {
        let sent_away = SENT_AWAY.iter().any(|cause| cause.label() == loss.cause);
        let allowance = match sent_away {
            true => self.config.drain_allowance,
            false => Duration::ZERO,
        };
        let wait = kept.grace() + allowance;
        let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        loss.at_ms.saturating_add(wait_ms)
    }
}
