//! Verdicts on tokens that are kept for a while; no clock, no locks.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use foldhash::HashMap;

/// Names a token without holding it.
pub(super) type Digest = [u8; 32];

/// Verdicts of one kind. At most so many; the oldest goes for a new one.
#[derive(Debug)]
pub(super) struct Verdicts<V> {
    most: usize,
    kept_for: Duration,
    entries: HashMap<Digest, Kept<V>>,
    /// In order of age; what is not in `entries` any more, or newer there, is
    /// passed over.
    order: VecDeque<(Digest, Instant)>,
}

#[derive(Debug)]
struct Kept<V> {
    verdict: V,
    since: Instant,
    until: Instant,
}

// === impl Verdicts ===

impl<V: Clone> Verdicts<V> {
    pub(super) fn new(most: usize, kept_for: Duration) -> Self {
        Self {
            most,
            kept_for,
            entries: HashMap::default(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn get(&self, token: &Digest, now: Instant) -> Option<V> {
        let kept = self.entries.get(token)?;
        (now < kept.until).then(|| kept.verdict.clone())
    }

    /// Keeps a verdict, for `at_most` where that is shorter.
    pub(super) fn keep(&mut self, token: Digest, verdict: V, at_most: Duration, now: Instant) {
        let until = now + self.kept_for.min(at_most);
        if self.most == 0 || until <= now {
            return;
        }
        let since = now;
        let kept = Kept {
            verdict,
            since,
            until,
        };
        self.entries.insert(token, kept);
        self.order.push_back((token, now));
        while self.order.len() > self.most {
            let Some((oldest, since)) = self.order.pop_front() else {
                return;
            };
            if self
                .entries
                .get(&oldest)
                .is_some_and(|kept| kept.since == since)
            {
                self.entries.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn digest(number: u8) -> Digest {
        [number; 32]
    }

    #[test]
    fn a_verdict_is_kept_until_its_time_is_over() {
        let now = Instant::now();
        let mut verdicts = Verdicts::new(8, HOUR);
        verdicts.keep(digest(1), "yes", 2 * HOUR, now);
        verdicts.keep(digest(2), "yes", HOUR / 2, now);
        verdicts.keep(digest(3), "yes", Duration::ZERO, now);
        assert_eq!(verdicts.get(&digest(1), now), Some("yes"));
        assert_eq!(verdicts.get(&digest(1), now + HOUR), None);
        assert_eq!(verdicts.get(&digest(2), now + HOUR / 2), None);
        assert_eq!(verdicts.get(&digest(3), now), None);
    }

    #[test]
    fn the_oldest_goes_and_a_newer_verdict_on_the_same_token_stays() {
        let now = Instant::now();
        let later = |seconds| now + Duration::from_secs(seconds);
        let mut verdicts = Verdicts::new(2, HOUR);
        verdicts.keep(digest(1), "old", HOUR, now);
        verdicts.keep(digest(1), "new", HOUR, later(1));
        verdicts.keep(digest(2), "two", HOUR, later(2));
        assert_eq!(verdicts.get(&digest(1), later(3)), Some("new"));
        verdicts.keep(digest(3), "three", HOUR, later(3));
        assert_eq!(verdicts.get(&digest(1), later(3)), None);
        assert_eq!(verdicts.get(&digest(2), later(3)), Some("two"));
        for number in 0..100 {
            verdicts.keep(digest(number), "many", HOUR, later(4));
        }
        assert!(verdicts.entries.len() <= 2 && verdicts.order.len() <= 2);
    }
}
