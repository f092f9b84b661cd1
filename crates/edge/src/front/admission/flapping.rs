//! Users who come and go all the time: each short connection costs them, and who
//! owes too much stays away until enough of it has lapsed.

use std::time::Duration;

use super::FlappingLimits;
use crate::table::Table;

/// Users remembered; some 20 bytes each.
const MAX_USERS: usize = 1 << 16;

/// What users owe, by a hash of their names.
#[derive(Debug)]
pub(super) struct Flapping {
    limits: FlappingLimits,
    /// The longest time that anybody stays away.
    longest: Duration,
    debts: Table<u64, Debt>,
}

/// What is owed, as the instant at which all of it will have lapsed.
#[derive(Clone, Copy, Debug, Default)]
struct Debt {
    until: Duration,
}

// === impl Flapping ===

impl Flapping {
    pub(super) fn new(limits: FlappingLimits, longest: Duration) -> Self {
        let most = limits.penalty.saturating_mul(limits.forgiven) + longest;
        Self {
            limits,
            longest,
            debts: Table::new(MAX_USERS, most),
        }
    }

    /// How long this user must stay away, if at all. Coming too early costs as
    /// much as a short connection.
    pub(super) fn greet(&mut self, now: Duration, user: u64) -> Result<(), Duration> {
        let forgiven = self.forgiven();
        match self.debts.get(&user) {
            Some(debt) if debt.until > now + forgiven => {
                let until = self.charge(now, user);
                Err(until - now - forgiven)
            }
            _ => Ok(()),
        }
    }

    /// A connection of this user ended.
    pub(super) fn left(&mut self, now: Duration, user: u64, lived: Duration) {
        if self.limits.forgiven > 0 && lived < self.limits.shorter_than {
            self.charge(now, user);
        }
    }

    fn charge(&mut self, now: Duration, user: u64) -> Duration {
        let most = now + self.forgiven() + self.longest;
        let penalty = self.limits.penalty;
        let debt = self.debts.entry(now, user);
        debt.until = (debt.until.max(now) + penalty).min(most);
        debt.until
    }

    fn forgiven(&self) -> Duration {
        self.limits.penalty.saturating_mul(self.limits.forgiven)
    }
}
