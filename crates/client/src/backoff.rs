//! When to try again: exponential back-off with full jitter, so that the clients
//! of a gateway that died do not come back all at once.

use std::time::Duration;

use wire::CloseVerdict;

use crate::state::Ending;

const BASE: Duration = Duration::from_millis(200);
const CAP: Duration = Duration::from_secs(20);

/// A connection that lived so long was a good one: the next failure is the first.
const STABLE_AFTER: Duration = Duration::from_secs(5);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

// === impl Backoff ===

impl Backoff {
    /// How long to wait after a connection that lived for `lived` (zero: it was
    /// never made). The gateway's own word is a minimum.
    /// Where it names this client's own place in a line, it is the wait: any other
    /// would be somebody else's place.
    pub(crate) fn after(&mut self, ending: &Ending, lived: Duration) -> Duration {
        if lived >= STABLE_AFTER {
            self.failures = 0;
        }
        if ending.is_scheduled() {
            return ending.retry_after();
        }
        // A second "now" in a row is not believed, or two draining gateways would
        // throw a client to and fro at full speed.
        let now = ending.verdict() == CloseVerdict::Resume && self.failures == 0;
        let most = if now { Duration::ZERO } else { self.most() };
        self.failures += 1;
        most.mul_f64(fastrand::f64()).max(ending.retry_after())
    }

    fn most(&self) -> Duration {
        BASE.saturating_mul(1 << self.failures.min(16)).min(CAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_cap_and_starts_over_after_a_stable_connection() {
        let mut backoff = Backoff::default();
        let lost = Ending::lost("gone");
        let mut bounds = Vec::new();
        for _ in 0..9 {
            let bound = backoff.most();
            assert!(backoff.after(&lost, Duration::ZERO) <= bound);
            bounds.push(bound.as_millis());
        }
        assert_eq!(bounds[..4], [200, 400, 800, 1600]);
        assert_eq!(bounds[8], CAP.as_millis());
        assert!(backoff.after(&lost, STABLE_AFTER) <= BASE);
    }

    #[test]
    fn a_place_in_line_is_kept_and_is_no_failure() {
        let mut backoff = Backoff::default();
        let wait = Duration::from_millis(1_234);
        let busy = Ending::refused(503, wait).scheduled();
        for _ in 0..20 {
            assert_eq!(backoff.after(&busy, Duration::ZERO), wait);
        }
        assert_eq!(backoff.most(), BASE);
    }

    #[test]
    fn a_gateway_that_says_now_is_believed_once() {
        let mut backoff = Backoff::default();
        let drained = Ending::of_close_frame(4200, "");
        assert_eq!(backoff.after(&drained, Duration::ZERO), Duration::ZERO);
        let later: Duration = (0..50)
            .map(|_| backoff.after(&drained, Duration::ZERO))
            .sum();
        assert!(later > Duration::ZERO);
    }
}
