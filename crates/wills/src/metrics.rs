//! The metrics of wills.
//!
//! | metric | labels | meaning |
//! |---|---|---|
//! | `tidegate_wills_orders_total` | `order`, `result` | what clients asked a gateway for: `arm`, `disarm`; `ok`, `in_progress`, `fired`, `failed` |
//! | `tidegate_wills_fired_total` | `outcome` | wills that this control plane fired: `executed`, `refused`, `unknown`; `failed`: given up, never executed |
//! | `tidegate_wills_postponed_total` | | firings that found no worker, or none willing, and are tried again |
//! | `tidegate_wills_returned_total` | | sessions found back before their will was fired |
//! | `tidegate_wills_delay_seconds` | | from the time a will was due until its request was answered |
//! | `tidegate_wills_kept` | | entries of the table when this control plane last read it |
//! | `tidegate_wills_watched` | | wills of lost sessions that this control plane waits for |
//! | `tidegate_wills_malformed_total` | | entries that nobody of ours can have written |

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::armory::WillError;

/// A gateway's.
pub(crate) struct Orders {
    arm: [Counter; RESULTS.len()],
    disarm: [Counter; RESULTS.len()],
}

/// A control plane's.
pub(crate) struct Firings {
    pub(crate) executed: Counter,
    pub(crate) refused: Counter,
    pub(crate) unknown: Counter,
    pub(crate) failed: Counter,
    pub(crate) postponed: Counter,
    pub(crate) returned: Counter,
    pub(crate) kept: Gauge,
    pub(crate) watched: Gauge,
    delay: Histogram,
}

/// In the order of [`result_index`].
const RESULTS: [&str; 4] = ["ok", "in_progress", "fired", "failed"];

// === impl Orders ===

impl Orders {
    pub(crate) fn new() -> Self {
        let order = |order: &'static str| {
            RESULTS.map(|result| counter!("tidegate_wills_orders_total", "order" => order, "result" => result))
        };
        Self {
            arm: order("arm"),
            disarm: order("disarm"),
        }
    }

    pub(crate) fn armed(&self, outcome: &Result<(), WillError>) {
        self.arm[result_index(outcome)].increment(1);
    }

    pub(crate) fn disarmed(&self, outcome: &Result<(), WillError>) {
        self.disarm[result_index(outcome)].increment(1);
    }
}

fn result_index(outcome: &Result<(), WillError>) -> usize {
    match outcome {
        Ok(()) => 0,
        Err(WillError::InProgress) => 1,
        Err(WillError::Fired) => 2,
        Err(WillError::Bus(_)) => 3,
    }
}

// === impl Firings ===

impl Firings {
    pub(crate) fn new() -> Self {
        let fired = |outcome| counter!("tidegate_wills_fired_total", "outcome" => outcome);
        Self {
            executed: fired("executed"),
            refused: fired("refused"),
            unknown: fired("unknown"),
            failed: fired("failed"),
            postponed: counter!("tidegate_wills_postponed_total"),
            returned: counter!("tidegate_wills_returned_total"),
            kept: gauge!("tidegate_wills_kept"),
            watched: gauge!("tidegate_wills_watched"),
            delay: histogram!("tidegate_wills_delay_seconds"),
        }
    }

    pub(crate) fn delayed(&self, by_ms: i64) {
        let delay = Duration::from_millis(by_ms.try_into().unwrap_or_default());
        self.delay.record(delay);
    }
}

/// Entries that can't be read.
pub(crate) fn malformed() -> Counter {
    counter!("tidegate_wills_malformed_total")
}
