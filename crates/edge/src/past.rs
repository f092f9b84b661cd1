//! How users' connections ended lately, for people who ask.

use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use wire::{CloseCause, UserId, control::PastClose};

use crate::table::Table;

/// Users remembered; of more, those whose last connection ended first are
/// forgotten. Some 250 bytes each, and the name.
const MAX_USERS: usize = 4096;

/// Closes remembered of each.
const MAX_CLOSES: usize = 8;

/// A user is forgotten this long after the last close, or later.
const AGE: Duration = Duration::from_secs(3600);

/// The last closes of the last users.
///
/// A lock: all shards write here, when a connection ends, and commands read.
pub(crate) struct PastCloses {
    users: Mutex<Table<UserId, [Option<Past>; MAX_CLOSES]>>,
    began: SystemTime,
}

#[derive(Clone, Copy)]
struct Past {
    at: SystemTime,
    cause: CloseCause,
    lived_ms: u64,
}

// === impl PastCloses ===

impl PastCloses {
    pub(crate) fn new() -> Self {
        Self {
            users: Mutex::new(Table::new(MAX_USERS, AGE)),
            began: SystemTime::now(),
        }
    }

    /// Notes that a connection of `user` that had lived for so long has ended now.
    pub(crate) fn note(&self, user: &UserId, cause: CloseCause, lived: Duration) {
        let at = SystemTime::now();
        let now = at.duration_since(self.began).unwrap_or_default();
        let lived_ms = u64::try_from(lived.as_millis()).unwrap_or(u64::MAX);
        let mut users = self.users.lock();
        let closes = users.entry(now, user.clone());
        closes.rotate_right(1);
        closes[0] = Some(Past {
            at,
            cause,
            lived_ms,
        });
    }

    /// How connections of `user` ended, the last first.
    pub(crate) fn of(&self, user: &UserId) -> Vec<PastClose> {
        let closes = self.users.lock().get(user).unwrap_or_default();
        let closes = closes.into_iter().flatten();
        let described = closes.map(|past| PastClose {
            at: Some(past.at.into()),
            cause: past.cause.label().to_owned(),
            lived_ms: past.lived_ms,
        });
        described.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).expect("valid")
    }

    #[test]
    fn the_last_closes_of_a_user_come_newest_first() {
        let past = PastCloses::new();
        let alice = user("alice");
        for lived in 0..10 {
            past.note(
                &alice,
                CloseCause::ConnectionLost,
                Duration::from_millis(lived),
            );
        }
        past.note(&alice, CloseCause::SlowConsumer, Duration::from_secs(1));
        let closes = past.of(&alice);
        assert_eq!(closes.len(), MAX_CLOSES);
        assert_eq!(closes[0].cause, "slow_consumer");
        let lived: Vec<_> = closes.iter().map(|close| close.lived_ms).collect();
        assert_eq!(lived, [1000, 9, 8, 7, 6, 5, 4, 3]);
        assert_eq!(past.of(&user("bob")), []);
    }

    #[test]
    fn it_is_bounded_and_forgets_the_oldest_users() {
        let past = PastCloses::new();
        for number in 0..3 * MAX_USERS {
            let user = user(&format!("user-{number}"));
            past.note(&user, CloseCause::ClosedByPeer, Duration::ZERO);
        }
        assert!(past.users.lock().len() <= MAX_USERS);
        assert_eq!(past.of(&user("user-0")), []);
        let last = user(&format!("user-{}", 3 * MAX_USERS - 1));
        assert_eq!(past.of(&last).len(), 1);
    }
}
