//! Fires a will: claims it, asks a worker, and writes down how that ended.
//!
//! The claim is written before the worker is asked, on the revision that said that
//! the session is gone. From then on whoever finds it must take the request for
//! made: it is made again only where workers know repetitions, or where it is
//! certain that none took it.

use std::time::Duration;

use bus::{BusError, BusExt, Request, RequestContext, Subject};
use tokio::time::sleep;
use wire::{
    control::WillOutcome,
    gateway::{FiredWill, FiringWill, LostSession, will::State},
};

use super::{JITTER, Keeper, agenda::Next, jitter};
use crate::{
    event::Step,
    will::{Kept, lost},
};

/// Waits between tries, doubled each time: while no worker is there, and while the
/// bus does not take what must be written.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// How a worker was asked.
enum Answer {
    /// It was told, one way or the other.
    Ended(WillOutcome, String),
    /// Certainly not executed.
    NotExecuted(String),
    /// Executed, or not.
    Unknown(String),
}

/// What became of the requests for this will before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// None was executed.
    NotExecuted,
    /// One may have been, or may be yet: a worker that is slow to answer has it.
    Unknown,
}

/// Somebody else writes the entry now.
struct TakenOver;

// === impl Keeper ===

impl Keeper {
    /// Fires the will of a session that is gone.
    pub(super) async fn fire(&self, kept: Kept, mut loss: LostSession) -> Next {
        if loss.tried_since_ms == 0 {
            loss.tried_since_ms = self.clock.now_ms();
        }
        match self.claim(kept, loss).await {
            Ok(kept) => self.make(kept, Before::NotExecuted).await,
            Err(TakenOver) => Next::Again(JITTER),
        }
    }

    /// Ends a firing that somebody else began.
    pub(super) async fn take_over(&self, kept: Kept) -> Next {
        let loss = lost(&kept.will).cloned().unwrap_or_default();
        let Ok(kept) = self.claim(kept, loss).await else {
            return Next::Again(JITTER);
        };
        if kept.will.redelivers {
            return self.make(kept, Before::Unknown).await;
        }
        let message = "the control plane that asked a worker ended before it had the answer";
        self.fired(kept, WillOutcome::Unknown, message.to_owned())
            .await
    }

    /// Asks until the outcome is known, or must stay unknown.
    async fn make(&self, mut kept: Kept, mut before: Before) -> Next {
        loop {
            let answer = self.ask(&kept).await;
            match answer.after(before) {
                Answer::Ended(outcome, message) => return self.fired(kept, outcome, message).await,
                Answer::NotExecuted(message) => return self.postpone(kept, message).await,
                Answer::Unknown(_) if kept.will.redelivers && !self.is_overdue(&kept) => {
                    before = Before::Unknown;
                    let loss = lost(&kept.will).cloned().unwrap_or_default();
                    sleep(back_off(loss.attempts)).await;
                    match self.claim(kept, loss).await {
                        Ok(claimed) => kept = claimed,
                        Err(TakenOver) => return Next::Again(JITTER),
                    }
                }
                Answer::Unknown(message) => {
                    return self.fired(kept, WillOutcome::Unknown, message).await;
                }
            }
        }
    }

    /// Makes the will this control plane's to fire, or shows that it still is.
    async fn claim(&self, mut kept: Kept, mut loss: LostSession) -> Result<Kept, TakenOver> {
        loss.attempts += 1;
        kept.will.state = Some(State::Firing(FiringWill {
            lost: Some(loss),
            keeper: self.name.clone(),
        }));
        let now_ms = self.clock.now_ms();
        kept.will.written_at_ms = now_ms;
        let mut tries = 0;
        loop {
            match kept.write(&*self.bus, now_ms).await {
                Ok(()) => return Ok(kept),
                // Perhaps it is what was just written, and its answer was lost.
                Err(BusError::Conflict) => match Kept::find(&*self.bus, &kept.key).await {
                    Ok(Some(found)) if found.will == kept.will => return Ok(found),
                    Ok(_) => return Err(TakenOver),
                    Err(_) => {}
                },
                Err(_) => {}
            }
            sleep(brief(tries)).await;
            tries += 1;
        }
    }

    async fn ask(&self, kept: &Kept) -> Answer {
        let will = &kept.will;
        let Ok(subject) = Subject::new(&will.subject) else {
            return Answer::NotExecuted("its subject is none".to_owned());
        };
        let request = Request {
            subject,
            payload: will.payload.clone(),
            deadline: kept.deadline(),
            context: RequestContext {
                user: Some(kept.user.clone()),
                session: Some(kept.session),
                connection: will.connection_id.parse().ok(),
                idempotency_key: format!("will-{}", will.will_id).into(),
                attempt: kept.lost().map_or(0, |lost| lost.attempts),
                ..RequestContext::default()
            },
        };
        match self.bus.ask(request).await {
            Ok(_) => Answer::Ended(WillOutcome::Executed, String::new()),
            Err(error) => Answer::of(&error),
        }
    }

    /// Tells that it was fired, and keeps it for the client to ask.
    async fn fired(&self, mut kept: Kept, outcome: WillOutcome, message: String) -> Next {
        match outcome {
            WillOutcome::Executed => self.metrics.executed.increment(1),
            WillOutcome::Refused => self.metrics.refused.increment(1),
            WillOutcome::Unknown | WillOutcome::Unspecified => self.metrics.unknown.increment(1),
        }
        let now_ms = self.clock.now_ms();
        if let Some(loss) = kept.lost() {
            self.metrics.delayed(now_ms - self.due_ms(&kept, loss));
        }
        tracing::info!(will = %kept.will.will_id, outcome = outcome.as_str_name(), "a will was fired");
        let step = Step::Fired { outcome, message };
        self.tell_in_the_end(&kept, &step, now_ms).await;
        kept.will.state = Some(State::Fired(FiredWill { at_ms: now_ms }));
        self.settle_entry(&mut kept).await;
        Next::Forget
    }

    /// No worker took it: later, or never.
    async fn postpone(&self, mut kept: Kept, message: String) -> Next {
        if self.is_overdue(&kept) {
            self.metrics.failed.increment(1);
            tracing::warn!(will = %kept.will.will_id, %message, "a will was given up");
            let now_ms = self.clock.now_ms();
            let step = Step::Failed { message };
            self.tell_in_the_end(&kept, &step, now_ms).await;
            self.cancel_in_the_end(&mut kept).await;
            return Next::Forget;
        }
        self.metrics.postponed.increment(1);
        let loss = lost(&kept.will).cloned().unwrap_or_default();
        let wait = back_off(loss.attempts);
        kept.will.state = Some(State::Lost(loss));
        self.settle_entry(&mut kept).await;
        Next::Again(wait)
    }

    /// Writes what became of a claimed will. Who has taken it over meanwhile
    /// decides for himself.
    async fn settle_entry(&self, kept: &mut Kept) {
        let mut tries = 0;
        while let Err(error) = kept.write(&*self.bus, self.clock.now_ms()).await {
            if error == BusError::Conflict {
                return;
            }
            sleep(brief(tries)).await;
            tries += 1;
        }
    }

    /// Tells a step, again until the bus takes it.
    async fn tell_in_the_end(&self, kept: &Kept, step: &Step, now_ms: i64) {
        let mut tries = 0;
        while let Err(error) = kept.tell(&*self.bus, step.clone(), now_ms).await {
            tracing::debug!(%error, "the end of a will is told again");
            sleep(brief(tries)).await;
            tries += 1;
        }
    }

    /// Ends a claimed will, likewise, unless somebody has taken it over.
    async fn cancel_in_the_end(&self, kept: &mut Kept) {
        let mut tries = 0;
        while let Err(error) = kept.cancel(&*self.bus, self.clock.now_ms()).await {
            if error == BusError::Conflict {
                return;
            }
            sleep(brief(tries)).await;
            tries += 1;
        }
    }

    /// Whether it has been tried for long enough.
    fn is_overdue(&self, kept: &Kept) -> bool {
        let since = kept.lost().map_or(0, |lost| lost.tried_since_ms);
        let tried = self.clock.now_ms().saturating_sub(since);
        Duration::from_millis(tried.try_into().unwrap_or_default()) >= self.config.give_up
    }
}

// === impl Answer ===

impl Answer {
    /// What it says of the will: that a repetition was not executed says nothing
    /// of the request that it repeats.
    fn after(self, before: Before) -> Self {
        match self {
            Self::NotExecuted(message) if before == Before::Unknown => Self::Unknown(message),
            answer => answer,
        }
    }

    fn of(error: &BusError) -> Self {
        let message = error.to_string();
        match error {
            BusError::Worker(failure) if !failure.retryable => {
                Self::Ended(WillOutcome::Refused, message)
            }
            BusError::Worker(_)
            | BusError::NoResponders
            | BusError::Overloaded
            | BusError::TooLarge => Self::NotExecuted(message),
            BusError::DeadlineExceeded
            | BusError::Cancelled
            | BusError::HandlerGone
            | BusError::Unavailable
            | BusError::NoLog
            | BusError::NoTable
            | BusError::Conflict => Self::Unknown(message),
        }
    }
}

/// The same while a claim stands, which others take over when it stands for long.
fn brief(tries: u32) -> Duration {
    back_off(tries.min(2))
}

fn back_off(tries: u32) -> Duration {
    let wait = BACK_OFF.0.saturating_mul(1 << tries.min(10));
    let wait = wait.min(BACK_OFF.1);
    wait / 2 + jitter(wait / 2)
}
