//! A circuit breaker, as a state machine without clock or locks.
//!
//! ```text
//!            failures in a row               the pause is over
//! Closed ----------------------> Open ------------------------> Probing
//!   ^                             ^                                |
//!   |                             +---------- it failed -----------+
//!   +------------------------------ it succeeded ------------------+
//! ```
//!
//! While probing exactly one request is let through. If it ends without saying
//! anything about the workers, the next request is the probe. Each change of
//! state begins a new era, and what was admitted in an earlier era says nothing
//! any more: requests that come back late neither close a breaker nor keep it
//! open.

use std::time::Instant;

use crate::namespace::BreakerPolicy;

/// Decides whether asking makes sense.
#[derive(Debug)]
pub(super) struct Breaker {
    policy: BreakerPolicy,
    state: State,
    era: u64,
}

/// A request was let through; shown again with its outcome.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admitted {
    era: u64,
}

/// What an outcome says about the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// They work.
    Success,
    /// They don't.
    Failure(Trip),
    /// Nothing.
    Nothing,
}

/// The failure that opened a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trip {
    /// Nobody serves the route, or whoever does ends without answering.
    NoWorker,
    /// No reply within the route's deadline.
    TooSlow,
    /// The bus can't be reached.
    Unavailable,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant, trip: Trip },
    Probing { trip: Trip },
}

// === impl Breaker ===

impl Breaker {
    /// A closed one.
    pub(super) fn new(policy: BreakerPolicy) -> Self {
        Self {
            policy,
            state: State::Closed { failures: 0 },
            era: 0,
        }
    }

    /// Lets a request through, or says why not.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Admitted, Trip> {
        match self.state {
            State::Closed { .. } => {}
            State::Open { until, trip } if now >= until => self.change(State::Probing { trip }),
            State::Open { trip, .. } | State::Probing { trip } => return Err(trip),
        }
        Ok(Admitted { era: self.era })
    }

    /// Takes the outcome of a request that was let through.
    pub(super) fn report(&mut self, admitted: Admitted, signal: Signal, now: Instant) {
        if admitted.era != self.era {
            return;
        }
        let open = |trip, until| State::Open { until, trip };
        match (self.state, signal) {
            (State::Closed { .. }, Signal::Success) => self.state = State::Closed { failures: 0 },
            (State::Closed { failures }, Signal::Failure(trip)) => {
                let failures = failures + 1;
                if failures >= self.policy.failures {
                    self.change(open(trip, now + self.policy.pause));
                } else {
                    self.state = State::Closed { failures };
                }
            }
            (State::Probing { .. }, Signal::Success) => self.change(State::Closed { failures: 0 }),
            (State::Probing { .. }, Signal::Failure(trip)) => {
                self.change(open(trip, now + self.policy.pause));
            }
            (State::Probing { trip }, Signal::Nothing) => self.change(open(trip, now)),
            // Nothing is admitted in the era of an open breaker.
            (State::Closed { .. }, Signal::Nothing) | (State::Open { .. }, _) => {}
        }
    }

    /// Whether requests fail at once, but for a probe.
    pub(super) fn is_broken(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }

    fn change(&mut self, to: State) {
        self.state = to;
        self.era += 1;
    }
}

#[cfg(test)]
mod tests;
