//! The journal's metrics.
//!
//! | metric | labels | meaning |
//! |---|---|---|
//! | `tidegate_journal_requests_total` | `outcome` | requests with an idempotency key by what their caller was told: `executed` a worker answered it, `repeated` an answer from the journal, `failed` the worker refused for good, `not_executed`, `refused` for now, `in_progress`, `key_reused`, `outcome_unknown`, `deadline_exceeded`, `unavailable` |
//! | `tidegate_journal_steps_total` | `step`, `result` | the journal's operations on its table: `read`, `write`, `erase`; `ok`, `conflict`, `failed` |
//! | `tidegate_journal_attempts_total` | `attempt` | questions put to workers: `first`, `repeated` |
//! | `tidegate_journal_late_answers_total` | | answers that came after their caller's deadline and were kept for a repetition |
//! | `tidegate_journal_under_way` | | requests that the journal works on |

use bus::BusError;
use metrics::{Counter, Gauge, counter, gauge};

/// What callers are told, by label.
pub(crate) const OUTCOMES: [&str; 10] = [
    "executed",
    "repeated",
    "failed",
    "not_executed",
    "refused",
    "in_progress",
    "key_reused",
    "outcome_unknown",
    "deadline_exceeded",
    "unavailable",
];

const RESULTS: [&str; 3] = ["ok", "conflict", "failed"];

/// Counters, resolved once.
pub(crate) struct Metrics {
    outcomes: [Counter; OUTCOMES.len()],
    steps: [[Counter; RESULTS.len()]; 3],
    attempts: [Counter; 2],
    pub(crate) late: Counter,
    pub(crate) under_way: Gauge,
}

/// An operation on the table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Read,
    Write,
    Erase,
}

// === impl Metrics ===

impl Metrics {
    pub(crate) fn new() -> Self {
        let outcome = |outcome| counter!("tidegate_journal_requests_total", "outcome" => outcome);
        let step = |step: &'static str| {
            RESULTS.map(|result| counter!("tidegate_journal_steps_total", "step" => step, "result" => result))
        };
        let attempt = |attempt| counter!("tidegate_journal_attempts_total", "attempt" => attempt);
        Self {
            outcomes: OUTCOMES.map(outcome),
            steps: ["read", "write", "erase"].map(step),
            attempts: ["first", "repeated"].map(attempt),
            late: counter!("tidegate_journal_late_answers_total"),
            under_way: gauge!("tidegate_journal_under_way"),
        }
    }

    pub(crate) fn told(&self, label: &str) {
        if let Some(at) = OUTCOMES.iter().position(|outcome| *outcome == label) {
            self.outcomes[at].increment(1);
        }
    }

    pub(crate) fn step(&self, step: Step, error: Option<&BusError>) {
        let result = match error {
            None => 0,
            Some(BusError::Conflict) => 1,
            Some(_) => 2,
        };
        self.steps[step as usize][result].increment(1);
    }

    pub(crate) fn asks(&self, attempt: u32) {
        self.attempts[usize::from(attempt > 1)].increment(1);
    }
}
