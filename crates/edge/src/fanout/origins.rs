//! Where a channel without a log is with each of its publishers: what is
//! missing is told, and what comes late is let go. Behind newer ones of the same
//! publisher it was told as missing; behind those of others it is told now.

use std::time::{Duration, Instant};

use bus::Origin;

use super::clocks::Clocks;

/// Publishers of a channel that are followed; the one that was silent for longest
/// makes room.
const MAX_PUBLISHERS: usize = 32;

/// A feed that is older has heard every publisher since its first message, or
/// missed that: one goes on as another when it has been quiet for half of this.
const SETTLED: Duration = Duration::from_secs(30);

/// What was published so much earlier than what another publisher's newest is late:
/// servers on its way stood still. Within that, two publishers have no order.
const TOGETHER_US: i64 = 100_000;

/// One in so many messages of a channel with one publisher tells of its clock.
const SAMPLED: u64 = 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Origins {
    /// The newest message of each; who spoke last is last.
    last: Vec<Heard>,
    began: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    origin: Origin,
    /// When it was published, by its publisher's clock; zero: not known.
    at_us: i64,
}

/// How a message stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is missing before it, as far as can be known.
    Next,
    /// So many are missing before it, at least.
    Behind(u64),
    /// A newer one of its publisher has come already.
    Late,
    /// Others have published, and that has come, long before: it is let go, with
    /// those that are missing before it so many.
    Overtaken(u64),
}

/// How far a publisher has got since it was last heard.
enum Step {
    Nowhere,
    By(u64),
    /// It had not been heard. `late`: it should have been, had it spoken before.
    New {
        late: bool,
    },
}

// === impl Origins ===

impl Origins {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            last: Vec::new(),
            began: now,
        }
    }

    /// Takes in a message that was published at `at_us`, by its publisher's clock.
    pub(super) fn pass(
        &mut self,
        origin: Origin,
        at_us: i64,
        clocks: &Clocks,
        now: impl Fn() -> Instant,
    ) -> Standing {
        if origin == Origin::UNKNOWN {
            return Standing::Next;
        }
        let heard = Heard { origin, at_us };
        let (missing, is_torn) = match self.advance(heard, &now) {
            Step::Nowhere => return Standing::Late,
            Step::By(messages) => (messages - 1, false),
            Step::New { late } => (0, late && origin.sequence > 1),
        };
        let is_alone = self.last.len() == 1;
        if !is_alone || origin.sequence % SAMPLED == 1 {
            clocks.hear(origin.process(), at_us, now());
        }
        if !is_alone && self.is_overtaken(clocks) {
            return Standing::Overtaken(missing + 1);
        }
        match missing {
            0 if !is_torn => Standing::Next,
            _ => Standing::Behind(missing),
        }
    }

    /// Whether the one that was heard last is late behind another publisher's.
    fn is_overtaken(&self, clocks: &Clocks) -> bool {
        let time_of = |heard: &Heard| clocks.translate(heard.origin.process(), heard.at_us);
        let Some((last, others)) = self.last.split_last() else {
            return false;
        };
        let Some(late) = time_of(last) else {
            return false;
        };
        let newest = others.iter().filter_map(time_of).max();
        newest.is_some_and(|newest| late.saturating_add(TOGETHER_US) < newest)
    }

    /// Takes in a publisher's word that it had come as far. Gives how many are
    /// missing up to there, at least, if any may be.
    pub(super) fn reach(&mut self, origin: Origin, now: impl Fn() -> Instant) -> Option<u64> {
        let heard = Heard { origin, at_us: 0 };
        match self.advance(heard, &now) {
            Step::Nowhere | Step::New { late: false } => None,
            Step::By(messages) => Some(messages),
            Step::New { late: true } => Some(0),
        }
    }

    fn advance(&mut self, heard: Heard, now: &impl Fn() -> Instant) -> Step {
        let origin = heard.origin;
        let mut known = self.last.iter();
        // The usual channel has one publisher, or the same one speaks again.
        let Some(at) = known.rposition(|last| last.origin.publisher == origin.publisher) else {
            return self.meet(heard, now);
        };
        let Heard {
            origin: last,
            at_us,
        } = self.last[at];
        if origin.sequence <= last.sequence {
            return Step::Nowhere;
        }
        self.last[at..].rotate_left(1);
        *self.last.last_mut().expect("one was found") = Heard {
            at_us: heard.at_us.max(at_us),
            ..heard
        };
        Step::By(origin.sequence - last.sequence)
    }

    fn meet(&mut self, heard: Heard, now: &impl Fn() -> Instant) -> Step {
        // What was heard of those that made room is not known any more.
        let is_full = self.last.len() >= MAX_PUBLISHERS;
        if is_full {
            self.last.remove(0);
        }
        self.last.push(heard);
        let age = || now().saturating_duration_since(self.began);
        Step::New {
            late: !is_full && age() >= SETTLED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Standing::*, *};

    struct Bench {
        origins: Origins,
        clocks: Clocks,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let now = Instant::now();
            Self {
                origins: Origins::new(now),
                clocks: Clocks::new(now),
                now,
            }
        }

        fn settled() -> Self {
            let mut bench = Self::new();
            bench.now += SETTLED;
            bench
        }

        fn pass(&mut self, publisher: u64, sequence: u64) -> Standing {
            let origin = Origin {
                publisher,
                sequence,
            };
            self.origins.pass(origin, 0, &self.clocks, || self.now)
        }

        fn reach(&mut self, publisher: u64, sequence: u64) -> Option<u64> {
            let origin = Origin {
                publisher,
                sequence,
            };
            self.origins.reach(origin, || self.now)
        }
    }

    #[test]
    fn publishers_are_followed_one_by_one() {
        let mut bench = Bench::new();
        assert_eq!(bench.pass(7, 41), Next);
        assert_eq!(bench.pass(8, 1), Next);
        assert_eq!(bench.pass(7, 42), Next);
        assert_eq!(bench.pass(8, 4), Behind(2));
        assert_eq!(bench.pass(8, 3), Late);
        assert_eq!(bench.pass(7, 42), Late);
        assert_eq!(bench.pass(7, 43), Next);
    }

    #[test]
    fn who_does_not_number_is_never_late() {
        let mut bench = Bench::settled();
        for _ in 0..3 {
            assert_eq!(bench.pass(0, 0), Next);
        }
    }

    #[test]
    fn a_word_tells_what_is_missing_at_the_end_once() {
        let mut bench = Bench::new();
        assert_eq!(bench.pass(7, 1), Next);
        assert_eq!(bench.reach(7, 1), None);
        assert_eq!(bench.reach(7, 3), Some(2));
        assert_eq!(bench.reach(7, 3), None);
        assert_eq!(bench.pass(7, 3), Late);
        assert_eq!(bench.pass(7, 4), Next);
    }

    #[test]
    fn one_that_should_have_been_heard_before_may_have_lost_something() {
        assert_eq!(Bench::new().pass(7, 2), Next);
        assert_eq!(Bench::settled().pass(7, 1), Next);
        assert_eq!(Bench::settled().pass(7, 2), Behind(0));
        assert_eq!(Bench::new().reach(7, 1), None);
        assert_eq!(Bench::settled().reach(7, 1), Some(0));
    }

    #[test]
    fn the_silent_make_room_and_nothing_is_made_up_of_that() {
        let mut bench = Bench::settled();
        for publisher in 1..=2 * MAX_PUBLISHERS as u64 {
            assert_eq!(bench.pass(publisher, 1), Next);
        }
        assert_eq!(bench.origins.last.len(), MAX_PUBLISHERS);
        assert_eq!(bench.pass(1, 5), Next);
    }

    #[test]
    fn what_others_have_overtaken_by_long_is_let_go_and_counted() {
        let mut bench = Bench::new();
        let began = bench.now;
        // The second one's clock is an hour ahead, and that tells nothing.
        const HOUR_US: i64 = 3_600_000_000;
        let mut pass = |publisher: u64, sequence: u64, at_ms: u64, takes_ms: u64| {
            let ahead = if publisher == 8 { HOUR_US } else { 0 };
            let at_us = 1_700_000_000_000_000 + ahead + 1000 * at_ms as i64;
            let origin = Origin {
                publisher: (publisher << 32) | (sequence / 8),
                sequence,
            };
            bench.now = began + Duration::from_millis(at_ms + takes_ms);
            let now = bench.now;
            bench.origins.pass(origin, at_us, &bench.clocks, || now)
        };
        assert_eq!(pass(7, 1, 0, 1), Next);
        assert_eq!(pass(8, 1, 10, 1), Next);
        assert_eq!(pass(7, 2, 20, 1), Next);
        assert_eq!(pass(8, 2, 4000, 1), Next);
        assert_eq!(pass(7, 3, 1000, 3100), Overtaken(1));
        assert_eq!(pass(7, 6, 1300, 2900), Overtaken(3));
        assert_eq!(pass(7, 7, 3950, 260), Next, "about as late as the other");
        assert_eq!(pass(8, 3, 8000, 1), Next);
        assert_eq!(pass(7, 8, 4300, 3800), Overtaken(1), "as another identity");
    }
}
