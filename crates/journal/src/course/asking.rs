//! Asking a worker, with a claim, and writing what it says.

use bus::{BusError, BusExt, Reply, Request, RequestContext, WorkerFailure};
use tokio::time::{Instant, timeout_at};

use super::{Changed, Course, Held, NotDone, Outcome, Redelivery, Refusal, Report};
use crate::entry::{Answer, State};

impl Course {
    /// Asks a worker once; `None`: the claim is gone, and what is there now says
    /// what became of the request.
    pub(super) async fn ask(&mut self, held: Held) -> Option<Outcome> {
        if Instant::now() >= self.deadline {
            // The process was stopped for a while, and others may rely on the
            // claim's end.
            let why = Refusal::Bus(BusError::DeadlineExceeded);
            return self.give_back(held, why).await;
        }
        let report = match (self.call.admit)() {
            Ok(report) => report,
            Err(failure) => return self.give_back(held, Refusal::Gateway(failure)).await,
        };
        match self.question(held.attempt, report).await {
            Ok(reply) => self.record(held, Ok(reply.payload)).await,
            Err(BusError::Worker(failure)) if !failure.retryable => {
                self.record(held, Err(failure)).await
            }
            Err(error) if says_not_executed(&error) => {
                self.give_back(held, Refusal::Bus(error)).await
            }
            Err(_) => self.lose(held).await,
        }
    }

    /// No worker has executed this attempt: the key is free again, or, after an
    /// attempt that may have been executed, the claim lapses.
    pub(super) async fn give_back(&mut self, held: Held, refusal: Refusal) -> Option<Outcome> {
        let is_first = held.attempt == 1;
        let lapsed = (!is_first).then(|| self.claim_for(held.attempt, None));
        let not_executed = match self.change(held, lapsed.as_ref()).await {
            Changed::Done => is_first,
            Changed::Gone => return None,
            Changed::Failed(_) => false,
        };
        Some(Err(NotDone::Refused {
            refusal,
            not_executed,
        }))
    }

    /// Waits for a worker's answer until nobody would hear it.
    async fn question(&mut self, attempt: u32, report: Report) -> Result<Reply, BusError> {
        let context = RequestContext {
            idempotency_key: self.call.idempotency_key.clone(),
            attempt,
            ..self.call.context.clone()
        };
        let request = Request {
            subject: self.call.subject.clone(),
            payload: self.call.payload.clone(),
            deadline: self.deaf_at.saturating_duration_since(Instant::now()),
            context,
        };
        self.shared.metrics.asks(attempt);
        let mut asked = std::pin::pin!(self.shared.bus.ask(request));
        if let Ok(outcome) = timeout_at(self.deadline, &mut asked).await {
            report(&outcome);
            return outcome;
        }
        // The route's place is free for others; its breaker is told the truth.
        report(&Err(BusError::DeadlineExceeded));
        asked.await
    }

    /// The worker's last word: kept, then told.
    async fn record(&mut self, held: Held, answer: Answer) -> Option<Outcome> {
        let mut answer = answer;
        loop {
            let entry = self.entry(held.attempt, State::Answer(answer.clone()));
            match self.change(held, Some(&entry)).await {
                Changed::Done => break,
                Changed::Gone => return None,
                Changed::Failed(BusError::TooLarge) if answer.is_ok() => {
                    answer = Err(too_large());
                }
                Changed::Failed(_) => return Some(Err(NotDone::Unavailable)),
            }
        }
        if Instant::now() >= self.deadline {
            self.shared.metrics.late.increment(1);
        }
        Some(answer.map_err(NotDone::Failed))
    }

    /// A worker was asked, and nobody knows what came of it.
    async fn lose(&mut self, held: Held) -> Option<Outcome> {
        let (entry, outcome) = match self.call.redelivery {
            Redelivery::Never => {
                let unknown = self.entry(held.attempt, State::Unknown);
                (unknown, Some(Err(NotDone::OutcomeUnknown)))
            }
            Redelivery::WorkerDeduplicates => (self.claim_for(held.attempt, None), None),
        };
        match self.change(held, Some(&entry)).await {
            Changed::Done if outcome.is_some() => outcome,
            Changed::Done | Changed::Gone => {
                // The next attempt may meet the same worker.
                self.rest().await;
                None
            }
            Changed::Failed(_) => Some(Err(NotDone::Unavailable)),
        }
    }
}

/// Whether the error is a promise that no worker has begun, nor will.
fn says_not_executed(error: &BusError) -> bool {
    match error {
        // Asked for retries, a worker says that nothing is done yet.
        BusError::Worker(failure) => failure.retryable,
        // Nobody was there; a queue before the worker was full; it never left.
        BusError::NoResponders | BusError::Overloaded | BusError::TooLarge => true,
        _ => false,
    }
}

/// What stands for an answer that the journal can't hold: it was executed, so
/// it must not be asked for again.
fn too_large() -> WorkerFailure {
    WorkerFailure {
        code: "answer_too_large".into(),
        message: "it was executed, but its answer is too large to be kept".into(),
        retryable: false,
    }
}
