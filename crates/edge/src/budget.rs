//! What all outboxes of a gateway may hold together.
//!
//! Each shard says what its own hold, and acts for itself when all of them are near
//! the limit: it lowers the level down to which its outboxes are let run empty
//! (`hub/src/pressure.rs`), turn by turn, until there is room again. Before that,
//! new connections are put off, and a little later those that come back.

use std::sync::atomic::{AtomicU64, Ordering};

/// At which part of the limit new connections are put off, in percent.
const REFUSE: u64 = 80;

/// At which part those that come back to a session are, too.
const REFUSE_RETURNING: u64 = 95;

/// At which part outboxes are let run empty.
const TIGHTEN: u64 = 90;

/// Below which part they may fill again.
const RELAX: u64 = 70;

/// A bound in bytes, and what is used of it. What one publication for many takes
/// is counted once for each shard.
pub(crate) struct Budget {
    /// Zero: there is none.
    limit: u64,
    /// By shard.
    held: Box<[AtomicU64]>,
}

/// What a shard is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// Let outboxes hold less.
    Tighten,
    /// Nothing.
    Keep,
    /// They may hold more again.
    Relax,
}

// === impl Budget ===

impl Budget {
    pub(crate) fn new(limit: u64, shards: usize) -> Self {
        Self {
            limit,
            held: (0..shards).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The limit in bytes; zero: there is none.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Notes what a shard's outboxes hold now, in bytes.
    pub(crate) fn note(&self, shard: usize, held: u64) -> Advice {
        self.held[shard].store(held, Ordering::Relaxed);
        match () {
            () if self.reaches(TIGHTEN) => Advice::Tighten,
            () if self.reaches(RELAX) => Advice::Keep,
            () => Advice::Relax,
        }
    }

    /// Whether there is no room for another connection. `returns`: to a session.
    pub(crate) fn is_short(&self, returns: bool) -> bool {
        self.reaches(if returns { REFUSE_RETURNING } else { REFUSE })
    }

    fn reaches(&self, percent: u64) -> bool {
        let held = || -> u64 { self.held.iter().map(|it| it.load(Ordering::Relaxed)).sum() };
        self.limit > 0 && held() >= self.limit / 100 * percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_shards_hold_counts_together() {
        let budget = Budget::new(1_000, 2);
        assert_eq!(budget.note(0, 400), Advice::Relax);
        assert_eq!(budget.note(1, 399), Advice::Keep);
        assert!(!budget.is_short(false));
        assert_eq!(budget.note(1, 400), Advice::Keep);
        assert!(budget.is_short(false) && !budget.is_short(true));
        assert_eq!(budget.note(0, 550), Advice::Tighten);
        assert!(budget.is_short(true));
        assert_eq!(budget.note(0, 0), Advice::Relax);
    }

    #[test]
    fn no_limit_is_never_reached() {
        let budget = Budget::new(0, 1);
        assert_eq!(budget.note(0, u64::MAX), Advice::Relax);
        assert!(!budget.is_short(false));
    }
}
