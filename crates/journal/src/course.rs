//! The course of one request: from a claim to an answer, or to the certainty
//! that there is none.
//!
//! Two phases, again and again until something final is known:
//!
//! 1. *Claiming*: write a claim where nothing is; where something is, tell it if
//!    it is final, wait if somebody else asks a worker, and take over (or give
//!    up for good) where nobody listens any more.
//! 2. *Asking*, with a claim: ask a worker and write what it says.
//!
//! The caller is told at its deadline at the latest. A request that holds a
//! claim goes on after that for `Settings::late`, whether its client is there or
//! not; one that does not ends then.

mod asking;
mod call;
mod claiming;

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use bus::{BusError, Expect, Revision};
use tokio::time::{Instant, sleep, timeout_at};

use self::call::Teller;
pub use self::call::{Admit, Call, NotDone, Outcome, Redelivery, Refusal, Report, Tell};
use crate::{
    desk::Shared,
    entry::{Claim, Entry, State},
    key,
    ledger::Ledger,
};

/// How long writing an outcome may take, beyond the time for the answer.
const WRITING: Duration = Duration::from_secs(5);

/// Between two looks, or two tries: doubled each time, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_millis(320);

/// See the module.
pub(crate) struct Course {
    shared: Arc<Shared>,
    ledger: Ledger,
    call: Call,
    /// What an entry of this request looks like, but for attempt and state.
    blank: Entry,
    /// When the caller is told, whatever is known.
    deadline: Instant,
    /// When a worker's answer is no longer waited for.
    deaf_at: Instant,
    pause: Duration,
    /// Tells the claims of this round from all others.
    nonce: u64,
    /// A claim of this round may be there, or may yet arrive.
    in_doubt: bool,
    /// Somebody else asks a worker.
    in_progress: bool,
}

/// The right to ask a worker.
#[derive(Clone, Copy, Debug)]
struct Held {
    revision: Revision,
    attempt: u32,
}

/// What became of a change to a claim that was held.
enum Changed {
    Done,
    /// It is not this request's claim any more, or the change had been made.
    Gone,
    /// The bus took it in no time.
    Failed(BusError),
}

// === impl Course ===

impl Course {
    pub(crate) fn new(shared: Arc<Shared>, call: Call, at: Instant) -> Self {
        let ledger = Ledger {
            bus: shared.bus.clone(),
            key: key::of(&call.user, &call.idempotency_key),
            metrics: shared.metrics.clone(),
        };
        let blank = Entry {
            fingerprint: key::fingerprint(&call.route, &call.payload),
            attempt: 1,
            state: State::Unknown,
        };
        let deadline = at + call.deadline;
        Self {
            deadline,
            deaf_at: deadline + shared.settings.late,
            shared,
            ledger,
            call,
            blank,
            pause: FIRST_PAUSE,
            nonce: 0,
            in_doubt: false,
            in_progress: false,
        }
    }

    /// Tells the caller, once, and ends when nothing is left to be known.
    pub(crate) async fn run(mut self) {
        let deadline = self.deadline;
        let mut teller = Teller::new(self.call.tell.take(), self.shared.metrics.clone());
        while teller.has_a_caller() {
            let held = match timeout_at(deadline, self.claim()).await {
                Ok(Ok(held)) => held,
                Ok(Err(outcome)) => return teller.tell(outcome, "repeated"),
                Err(_elapsed) => {
                    teller.tell(Err(self.why_not_claimed()), "repeated");
                    return self.withdraw().await;
                }
            };
            let mut asked = std::pin::pin!(self.ask(held));
            let outcome = match timeout_at(deadline, &mut asked).await {
                Ok(outcome) => outcome,
                Err(_elapsed) => {
                    teller.tell(Err(NotDone::DeadlineExceeded), "executed");
                    asked.await
                }
            };
            // Without one the claim is gone, and what is there now is looked at.
            if let Some(outcome) = outcome {
                teller.tell(outcome, "executed");
            }
        }
    }

    fn entry(&self, attempt: u32, state: State) -> Entry {
        Entry {
            attempt,
            state,
            ..self.blank.clone()
        }
    }

    /// A claim of this round that lapses after `lasts`; at once: anybody may
    /// take it over.
    fn claim_for(&self, attempt: u32, lasts: Option<Duration>) -> Entry {
        let until_ms = lasts.map_or(0, |lasts| self.now_ms().saturating_add(millis(lasts)));
        let claim = Claim {
            gateway: self.shared.gateway.as_str().into(),
            nonce: self.nonce,
            until_ms,
        };
        self.entry(attempt, State::Claim(claim))
    }

    /// Changes a claim that is held into `to`, or into nothing. Tries until
    /// nobody relies on the claim any more.
    async fn change(&mut self, held: Held, to: Option<&Entry>) -> Changed {
        loop {
            let changed = match to {
                Some(entry) => {
                    let expect = Expect::At(held.revision);
                    self.ledger.write(entry, expect).await.map(drop)
                }
                None => self.ledger.erase(held.revision).await,
            };
            match changed {
                Ok(()) => return Changed::Done,
                Err(BusError::Conflict) => return Changed::Gone,
                Err(BusError::TooLarge) => return Changed::Failed(BusError::TooLarge),
                Err(error) if Instant::now() >= self.deaf_at + WRITING => {
                    return Changed::Failed(error);
                }
                Err(_) => self.rest().await,
            }
        }
    }

    /// Waits a little, and longer next time.
    async fn rest(&mut self) {
        sleep(self.pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        self.pause = (self.pause * 2).min(LAST_PAUSE);
    }

    fn now_ms(&self) -> i64 {
        let now = (self.shared.settings.clock)().duration_since(UNIX_EPOCH);
        millis(now.unwrap_or_default())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
