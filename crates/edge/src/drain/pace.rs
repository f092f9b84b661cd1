//! How fast connections are sent away; sans-I/O, no clock.
//!
//! Time is cut into steps of [`STEP`]. Each has its share of the rate, and what is
//! not used in it lapses: a shard that was late does not make up for it by a burst.
//! So in any second, counted from the begin of any step, at most `rate` are sent.

use std::time::Duration;

/// Steps in a second.
const STEPS: u64 = 8;

/// How long a step is: at least two turns of an idle shard, so that each step is
/// used; connections sent away together are told to start within it.
pub(crate) const STEP: Duration = Duration::from_millis(1000 / STEPS);

/// The state of the pacing, shared by all shards of a gateway.
#[derive(Debug)]
pub(super) struct Pace {
    rate: u64,
    step: u64,
    /// What may still be sent in this step.
    left: u64,
    /// Connections that were told when to return.
    returns: u64,
}

// === impl Pace ===

impl Pace {
    /// `rate` connections a second; zero counts as one.
    pub(super) fn new(rate: u32) -> Self {
        let rate = u64::from(rate.max(1));
        Self {
            rate,
            step: 0,
            left: share(rate, 0),
            returns: 0,
        }
    }

    /// How many of `wanted` may be sent, so long after the first might have been.
    pub(super) fn grant(&mut self, elapsed: Duration, wanted: usize) -> usize {
        let step = u64::try_from(elapsed.as_millis() / STEP.as_millis()).unwrap_or(u64::MAX);
        // Shards read their clocks before they ask, so one may be a step behind.
        if step > self.step {
            self.step = step;
            self.left = share(self.rate, step);
        }
        let granted = self.left.min(wanted as u64);
        self.left -= granted;
        usize::try_from(granted).expect("no more than wanted")
    }

    /// How long the next connection that was not sent stays away: each a slot
    /// later than the one before.
    pub(super) fn next_return(&mut self) -> Duration {
        self.returns += 1;
        Duration::from_millis(self.returns.saturating_mul(1000) / self.rate)
    }
}

/// The share of one step; those of a second in a row add up to the rate.
fn share(rate: u64, step: u64) -> u64 {
    let within = step % STEPS;
    rate * (within + 1) / STEPS - rate * within / STEPS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends as fast as it may for some seconds of virtual time, asking at the
    /// instants that `ask_every` makes; gives what was sent in each step.
    fn run(rate: u32, seconds: u64, ask_every: Duration, wanted: usize) -> Vec<u64> {
        let mut pace = Pace::new(rate);
        let mut sent = vec![0; (seconds * STEPS) as usize];
        let mut now = Duration::ZERO;
        while now < Duration::from_secs(seconds) {
            let step = (now.as_millis() / STEP.as_millis()) as usize;
            sent[step] += pace.grant(now, wanted) as u64;
            now += ask_every;
        }
        sent
    }

    #[test]
    fn no_second_ever_sees_more_than_the_rate() {
        for rate in [1, 3, 7, 8, 100, 500, 4999] {
            // Regularly, several shards at once, and seldom.
            for ask_every in [1, 20, 62, 124, 125, 126, 400, 1700] {
                let every = Duration::from_millis(ask_every);
                for wanted in [1, 40, 100_000] {
                    let sent = run(rate, 10, every, wanted);
                    for second in sent.windows(STEPS as usize) {
                        let count: u64 = second.iter().sum();
                        assert!(count <= rate.into(), "{count} > {rate}, every {every:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_rate_is_reached_when_shards_ask_as_they_do() {
        for rate in [1, 3, 8, 100, 500, 4999] {
            let sent = run(rate, 10, Duration::from_millis(63), 100_000);
            assert_eq!(sent.iter().sum::<u64>(), u64::from(rate) * 10);
        }
    }

    #[test]
    fn a_shard_that_is_a_step_behind_gets_what_is_left_of_the_newest() {
        let mut pace = Pace::new(80);
        assert_eq!(pace.grant(STEP, 6), 6);
        assert_eq!(pace.grant(Duration::ZERO, 6), 4);
        assert_eq!(pace.grant(STEP, 6), 0);
    }

    #[test]
    fn those_left_over_return_at_the_rate() {
        let mut pace = Pace::new(500);
        let returns: Vec<_> = (0..2000).map(|_| pace.next_return().as_millis()).collect();
        assert!(returns.is_sorted());
        for second in 0..4 {
            let range = second * 1000 + 1..=(second + 1) * 1000_u128;
            assert_eq!(returns.iter().filter(|at| range.contains(*at)).count(), 500);
        }
        assert_eq!(Pace::new(0).next_return(), Duration::from_secs(1));
    }
}
