//! Where a channel without a log is with each of its publishers: what is
//! missing is told, and what comes late, behind newer ones of the same
//! publisher, is let go; it was told as missing.

use std::time::{Duration, Instant};

use bus::Origin;

/// Publishers of a channel that are followed; the one that was silent for longest
/// makes room.
const MAX_PUBLISHERS: usize = 32;

/// A feed that is older has heard every publisher since its first message, or
/// missed that: one goes on as another when it has been quiet for half of this.
const SETTLED: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub(super) struct Origins {
    /// The newest message of each; who spoke last is last.
    last: Vec<Origin>,
    began: Instant,
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

    /// Takes in a message.
    pub(super) fn pass(&mut self, origin: Origin, now: impl FnOnce() -> Instant) -> Standing {
        if origin == Origin::UNKNOWN {
            return Standing::Next;
        }
        match self.advance(origin, now) {
            Step::Nowhere => Standing::Late,
            Step::By(1) => Standing::Next,
            Step::By(messages) => Standing::Behind(messages - 1),
            Step::New { late: true } if origin.sequence > 1 => Standing::Behind(0),
            Step::New { .. } => Standing::Next,
        }
    }

    /// Takes in a publisher's word that it had come as far. Gives how many are
    /// missing up to there, at least, if any may be.
    pub(super) fn reach(&mut self, origin: Origin, now: impl FnOnce() -> Instant) -> Option<u64> {
        match self.advance(origin, now) {
            Step::Nowhere | Step::New { late: false } => None,
            Step::By(messages) => Some(messages),
            Step::New { late: true } => Some(0),
        }
    }

    fn advance(&mut self, origin: Origin, now: impl FnOnce() -> Instant) -> Step {
        let mut known = self.last.iter();
        // The usual channel has one publisher, or the same one speaks again.
        let Some(at) = known.rposition(|last| last.publisher == origin.publisher) else {
            return self.meet(origin, now);
        };
        let last = self.last[at].sequence;
        if origin.sequence <= last {
            return Step::Nowhere;
        }
        self.last[at..].rotate_left(1);
        *self.last.last_mut().expect("one was found") = origin;
        Step::By(origin.sequence - last)
    }

    fn meet(&mut self, origin: Origin, now: impl FnOnce() -> Instant) -> Step {
        // What was heard of those that made room is not known any more.
        let is_full = self.last.len() >= MAX_PUBLISHERS;
        if is_full {
            self.last.remove(0);
        }
        self.last.push(origin);
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
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let now = Instant::now();
            Self {
                origins: Origins::new(now),
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
            self.origins.pass(origin, || self.now)
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
}
