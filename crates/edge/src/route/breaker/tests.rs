//! The breaker against a clock of the test's own.

use std::time::Duration;

use super::*;

const PAUSE: Duration = Duration::from_secs(2);
const FAILED: Signal = Signal::Failure(Trip::NoWorker);

struct Bench {
    breaker: Breaker,
    now: Instant,
}

impl Bench {
    fn new(failures: u32) -> Self {
        let policy = BreakerPolicy {
            failures,
            pause: PAUSE,
        };
        Self {
            breaker: Breaker::new(policy),
            now: Instant::now(),
        }
    }

    /// A breaker that has just opened after one failure.
    fn opened() -> Self {
        let mut bench = Self::new(1);
        bench.ask(FAILED);
        assert_eq!(bench.refused(), Trip::NoWorker);
        bench
    }

    fn admit(&mut self) -> Admitted {
        self.breaker.admit(self.now).expect("it is let through")
    }

    fn refused(&mut self) -> Trip {
        self.breaker.admit(self.now).expect_err("it is refused")
    }

    fn report(&mut self, admitted: Admitted, signal: Signal) {
        self.breaker.report(admitted, signal, self.now);
    }

    /// A request that ends before the next one is made.
    fn ask(&mut self, signal: Signal) {
        let admitted = self.admit();
        self.report(admitted, signal);
    }
}

#[test]
fn only_failures_in_a_row_open_it() {
    let mut bench = Bench::new(3);
    for _ in 0..5 {
        bench.ask(FAILED);
        bench.ask(FAILED);
        bench.ask(Signal::Success);
    }
    bench.ask(FAILED);
    bench.ask(Signal::Nothing);
    bench.ask(FAILED);
    assert!(!bench.breaker.is_broken());
    bench.ask(Signal::Failure(Trip::TooSlow));
    assert!(bench.breaker.is_broken());
    assert_eq!(bench.refused(), Trip::TooSlow);
}

#[test]
fn one_request_probes_when_the_pause_is_over() {
    let mut bench = Bench::opened();
    bench.now += PAUSE - Duration::from_nanos(1);
    bench.refused();
    bench.now += Duration::from_nanos(1);
    let probe = bench.admit();
    bench.refused();
    bench.now += 10 * PAUSE;
    bench.refused();
    bench.report(probe, Signal::Success);
    bench.admit();
    assert!(!bench.breaker.is_broken());
}

#[test]
fn a_probe_that_fails_begins_another_pause() {
    let mut bench = Bench::opened();
    bench.now += PAUSE;
    bench.ask(Signal::Failure(Trip::Unavailable));
    assert_eq!(bench.refused(), Trip::Unavailable);
    bench.now += PAUSE;
    bench.ask(Signal::Success);
    assert!(!bench.breaker.is_broken());
}

#[test]
fn a_probe_that_says_nothing_lets_the_next_request_probe() {
    let mut bench = Bench::opened();
    bench.now += PAUSE;
    bench.ask(Signal::Nothing);
    assert!(bench.breaker.is_broken());
    let probe = bench.admit();
    bench.refused();
    bench.report(probe, Signal::Success);
    assert!(!bench.breaker.is_broken());
}

#[test]
fn what_was_asked_before_it_opened_says_nothing_afterwards() {
    let mut bench = Bench::new(1);
    let (slow, late) = (bench.admit(), bench.admit());
    bench.ask(FAILED);
    bench.report(slow, Signal::Success);
    assert!(bench.breaker.is_broken());
    bench.now += PAUSE;
    let probe = bench.admit();
    bench.report(late, FAILED);
    bench.report(probe, Signal::Success);
    assert!(!bench.breaker.is_broken());
    // Nor does it when the breaker is closed again.
    bench.report(late, FAILED);
    assert!(!bench.breaker.is_broken());
}
