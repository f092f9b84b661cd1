//! Whether a set is to be fetched for an unknown key: a state machine without clock
//! or locks.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Ids that are remembered as unknown; the oldest is forgotten for a new one.
const MAX_REMEMBERED: usize = 64;

/// For how long. A key that appears meanwhile is found all the same, by the next
/// fetch for whatever reason.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Longer ids are never looked for: no set has such.
const MAX_ID_BYTES: usize = 255;

/// What is known of unknown keys of one issuer.
#[derive(Debug)]
pub(crate) struct Demand {
    /// From the end of a fetch until the next one on demand.
    gap: Duration,
    next: Option<Instant>,
    fetching: bool,
    unknown: VecDeque<(Box<str>, Instant)>,
}

/// What to do about an unknown key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// Begin a fetch, and wait for its end.
    Fetch,
    /// One is under way: wait for its end.
    Wait,
    /// Its issuer did not have it a moment ago.
    Unknown,
    /// The set was fetched a moment ago; later it may be again.
    TooSoon,
}

// === impl Demand ===

impl Demand {
    /// Fetches at most once in `gap` for unknown keys.
    pub(crate) fn new(gap: Duration) -> Self {
        Self {
            gap,
            next: None,
            fetching: false,
            unknown: VecDeque::new(),
        }
    }

    /// Rules on a token of a key with this id, which is not in the set.
    pub(crate) fn rule(&mut self, id: &str, now: Instant) -> Ruling {
        let gone = |(_, since): &(_, Instant)| now.duration_since(*since) >= REMEMBERED;
        while self.unknown.front().is_some_and(gone) {
            self.unknown.pop_front();
        }
        let remembered = self.unknown.iter().any(|(known, _)| **known == *id);
        if remembered || id.len() > MAX_ID_BYTES {
            return Ruling::Unknown;
        }
        if self.fetching {
            return Ruling::Wait;
        }
        if self.next.is_some_and(|next| now < next) {
            return Ruling::TooSoon;
        }
        self.fetching = true;
        Ruling::Fetch
    }

    /// A fetch begins, for whatever reason.
    pub(crate) fn fetch_begins(&mut self) {
        self.fetching = true;
    }

    /// The fetch has ended.
    pub(crate) fn fetch_ended(&mut self, now: Instant) {
        self.fetching = false;
        self.next = Some(now + self.gap);
    }

    /// The issuer was asked and has no such key.
    pub(crate) fn remember(&mut self, id: &str, now: Instant) {
        if id.is_empty() || self.unknown.iter().any(|(known, _)| **known == *id) {
            return;
        }
        if self.unknown.len() == MAX_REMEMBERED {
            self.unknown.pop_front();
        }
        self.unknown.push_back((id.into(), now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Duration = Duration::from_secs(10);

    #[test]
    fn one_fetch_serves_all_who_ask_meanwhile_and_then_there_is_a_gap() {
        let now = Instant::now();
        let mut demand = Demand::new(GAP);
        assert_eq!(demand.rule("a", now), Ruling::Fetch);
        assert_eq!(demand.rule("b", now), Ruling::Wait);
        demand.fetch_ended(now);
        assert_eq!(demand.rule("c", now), Ruling::TooSoon);
        assert_eq!(demand.rule("c", now + GAP), Ruling::Fetch);
    }

    #[test]
    fn what_the_issuer_has_not_is_not_looked_for_again_for_a_while() {
        let now = Instant::now();
        let mut demand = Demand::new(Duration::ZERO);
        demand.remember("a", now);
        assert_eq!(demand.rule("a", now), Ruling::Unknown);
        assert_eq!(demand.rule("a", now + REMEMBERED), Ruling::Fetch);
        let long = "a".repeat(MAX_ID_BYTES + 1);
        assert_eq!(demand.rule(&long, now + REMEMBERED), Ruling::Unknown);
    }

    #[test]
    fn a_flood_of_ids_takes_no_more_memory_than_a_few() {
        let now = Instant::now();
        let mut demand = Demand::new(GAP);
        for id in 0..10_000 {
            demand.remember(&id.to_string(), now);
        }
        assert_eq!(demand.unknown.len(), MAX_REMEMBERED);
        assert_eq!(demand.rule("9999", now), Ruling::Unknown);
        assert_eq!(demand.rule("0", now), Ruling::Fetch);
    }
}
