//! All revocations, in a gateway's memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::HashMap;
use parking_lot::RwLock;
use wire::{SessionId, UserId};

use crate::{Revocation, Whom};

/// What has been revoked. Shared by all threads; as long as nothing is, looking it up
/// takes no lock.
///
/// As large as what control planes have stored within [`crate::KEPT`]: some hundred
/// bytes for each.
#[derive(Debug, Default)]
pub struct Revoked {
    by_whom: RwLock<HashMap<Whom, Revocation>>,
    count: AtomicUsize,
}

/// Who wants access.
#[derive(Clone, Copy, Debug)]
pub struct Bearer<'a> {
    /// The token's user.
    pub user: &'a UserId,
    /// The token's id, if it has one.
    pub token_id: Option<&'a str>,
    /// When the token was issued, Unix time in milliseconds; absent: unknown.
    pub issued_at_ms: Option<i64>,
    /// The session that the connection is of; absent: there is none.
    pub session: Option<SessionId>,
}

// === impl Revoked ===

impl Revoked {
    /// Keeps a revocation in mind; whether it says anything new.
    pub fn add(&self, revocation: Revocation) -> bool {
        let mut by_whom = self.by_whom.write();
        let joined = match by_whom.get(&revocation.whom) {
            Some(known) => revocation.and(known),
            None => revocation,
        };
        let known = by_whom.insert(joined.whom.clone(), joined.clone());
        self.count.store(by_whom.len(), Ordering::Release);
        known.is_none_or(|known| {
            (known.issued_before_ms, known.until_ms) != (joined.issued_before_ms, joined.until_ms)
        })
    }

    /// Forgets those that mean nothing any more.
    pub fn forget(&self, now_ms: i64) {
        let mut by_whom = self.by_whom.write();
        by_whom.retain(|_, revocation| now_ms < revocation.until_ms);
        self.count.store(by_whom.len(), Ordering::Release);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether access was taken back from the bearer.
    pub fn covers(&self, bearer: &Bearer<'_>) -> bool {
        if self.is_empty() {
            return false;
        }
        let by_whom = self.by_whom.read();
        let mut names = bearer.names().into_iter().flatten();
        names.any(|name| {
            let revocation = by_whom.get(&name);
            revocation.is_some_and(|revocation| revocation.means(bearer))
        })
    }
}

// === impl Bearer ===

impl Bearer<'_> {
    /// What a revocation may call it.
    pub(crate) fn names(&self) -> [Option<Whom>; 3] {
        [
            Some(Whom::User(self.user.clone())),
            self.session.map(Whom::Session),
            self.token_id.map(|id| Whom::Token(id.into())),
        ]
    }
}

// === impl Revocation ===

impl Revocation {
    /// Whether the bearer's access is meant.
    pub fn means(&self, bearer: &Bearer<'_>) -> bool {
        match &self.whom {
            Whom::User(user) => {
                let is_older = |issued| issued <= self.issued_before_ms;
                user == bearer.user && bearer.issued_at_ms.is_none_or(is_older)
            }
            Whom::Token(id) => bearer.token_id == Some(&**id),
            Whom::Session(session) => bearer.session == Some(*session),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(whom: Whom, issued_before_ms: i64) -> Revocation {
        Revocation {
            whom,
            issued_before_ms,
            until_ms: 100,
            grace_ms: 0,
        }
    }

    #[test]
    fn a_users_newer_tokens_are_not_meant_and_those_of_unknown_age_are() {
        let revoked = Revoked::default();
        let (alice, bob) = (UserId::new("alice"), UserId::new("bob"));
        let (alice, bob) = (alice.expect("valid"), bob.expect("valid"));
        let bearer = |user, issued_at_ms| Bearer {
            user,
            token_id: Some("t1"),
            issued_at_ms,
            session: Some(SessionId(1)),
        };
        assert!(!revoked.covers(&bearer(&alice, None)));
        assert!(revoked.add(of(Whom::User(alice.clone()), 50)));
        assert!(revoked.covers(&bearer(&alice, Some(50))));
        assert!(revoked.covers(&bearer(&alice, None)));
        assert!(!revoked.covers(&bearer(&alice, Some(51))));
        assert!(!revoked.covers(&bearer(&bob, Some(50))));
        assert!(!revoked.add(of(Whom::User(alice.clone()), 40)));
        assert!(revoked.covers(&bearer(&alice, Some(50))));
        revoked.forget(100);
        assert!(!revoked.covers(&bearer(&alice, Some(50))));
    }

    #[test]
    fn tokens_and_sessions_are_meant_by_their_ids_alone() {
        let user = UserId::new("alice").expect("valid");
        let bearer = |token_id, session| Bearer {
            user: &user,
            token_id,
            issued_at_ms: Some(1_000),
            session: Some(SessionId(session)),
        };
        let revoked = Revoked::default();
        revoked.add(of(Whom::Token("t1".into()), 0));
        revoked.add(of(Whom::Session(SessionId(7)), 0));
        assert!(revoked.covers(&bearer(Some("t1"), 1)));
        assert!(revoked.covers(&bearer(Some("t2"), 7)));
        assert!(!revoked.covers(&bearer(Some("t2"), 1)));
        assert!(!revoked.covers(&bearer(None, 1)));
        assert_eq!(revoked.len(), 2);
    }
}
