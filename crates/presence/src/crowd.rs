//! Everybody in a channel: the union of what all gateways say, and how it changed
//! since that was last told.
//!
//! A session that two gateways name is there once, so one that goes on at another
//! gateway neither leaves nor joins, whichever of the two speaks first.

use foldhash::{HashMap, HashMapExt};
use wire::{SessionId, UserId};

use crate::member::Member;

/// Changes kept until they are told; with more, everybody is told anew.
const MAX_CHANGES: usize = 1_000;

/// Named sessions, and how many gateways name them.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    sessions: HashMap<SessionId, Named>,
    users: HashMap<UserId, Vec<SessionId>>,
    changes: HashMap<SessionId, (Member, Change)>,
    /// Changes were let go.
    lost: bool,
}

#[derive(Debug)]
struct Named {
    member: Member,
    by: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Joined,
    Left,
}

/// What changed.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Changes {
    pub(crate) joined: Vec<Member>,
    pub(crate) left: Vec<Member>,
    /// There were more.
    pub(crate) lost: bool,
}

// === impl Crowd ===

impl Crowd {
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn users(&self) -> usize {
        self.users.len()
    }

    /// One gateway more names the session.
    pub(crate) fn add(&mut self, member: Member) {
        if let Some(named) = self.sessions.get_mut(&member.session) {
            named.by += 1;
            named.move_to(member);
            return;
        }
        let (session, user) = (member.session, member.user.clone());
        self.users.entry(user).or_default().push(session);
        match self.changes.get(&session) {
            Some((_, Change::Left)) => drop(self.changes.remove(&session)),
            _ => self.note(member.clone(), Change::Joined),
        }
        self.sessions.insert(session, Named { member, by: 1 });
    }

    /// A gateway that names the session says that it is at another connection.
    pub(crate) fn update(&mut self, member: Member) {
        if let Some(named) = self.sessions.get_mut(&member.session) {
            named.move_to(member);
        }
    }

    /// One gateway less names the session.
    pub(crate) fn remove(&mut self, session: SessionId) {
        let Some(named) = self.sessions.get_mut(&session) else {
            return;
        };
        named.by -= 1;
        if named.by > 0 {
            return;
        }
        let Some(Named { member, .. }) = self.sessions.remove(&session) else {
            return;
        };
        if let Some(sessions) = self.users.get_mut(&member.user) {
            sessions.retain(|it| *it != session);
            if sessions.is_empty() {
                self.users.remove(&member.user);
            }
        }
        match self.changes.get(&session) {
            Some((_, Change::Joined)) => drop(self.changes.remove(&session)),
            _ => self.note(member, Change::Left),
        }
    }

    /// What changed since this was last asked.
    pub(crate) fn take_changes(&mut self) -> Changes {
        let mut taken = Changes {
            lost: std::mem::take(&mut self.lost),
            ..Changes::default()
        };
        for (_, (member, change)) in std::mem::take(&mut self.changes) {
            match change {
                Change::Joined => taken.joined.push(member),
                Change::Left => taken.left.push(member),
            }
        }
        taken
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.sessions.values().map(|named| &named.member)
    }

    pub(crate) fn session(&self, session: SessionId) -> Option<&Member> {
        self.sessions.get(&session).map(|named| &named.member)
    }

    pub(crate) fn of_user(&self, user: &UserId) -> impl Iterator<Item = &Member> {
        let sessions = self.users.get(user).map(Vec::as_slice);
        let sessions = sessions.unwrap_or_default().iter();
        sessions.filter_map(|session| self.session(*session))
    }

    fn note(&mut self, member: Member, change: Change) {
        if self.lost || self.changes.len() >= MAX_CHANGES {
            self.lost = true;
            self.changes = HashMap::new();
        } else {
            self.changes.insert(member.session, (member, change));
        }
    }
}

// === impl Named ===

impl Named {
    /// It is at this connection. A session stays its user's, whoever says otherwise.
    fn move_to(&mut self, member: Member) {
        if self.member.user == member.user {
            self.member.connection = member.connection;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::member;

    fn changes(crowd: &mut Crowd) -> (Vec<u128>, Vec<u128>) {
        let taken = crowd.take_changes();
        let sorted = |members: Vec<Member>| {
            let mut sessions: Vec<_> = members.iter().map(|it| it.session.0).collect();
            sessions.sort_unstable();
            sessions
        };
        (sorted(taken.joined), sorted(taken.left))
    }

    #[test]
    fn a_session_that_goes_on_elsewhere_neither_leaves_nor_joins() {
        let mut crowd = Crowd::default();
        crowd.add(member("alice", 1, "gw1"));
        assert_eq!(changes(&mut crowd), (vec![1], vec![]));
        crowd.add(member("alice", 1, "gw2"));
        crowd.remove(SessionId(1));
        assert_eq!(changes(&mut crowd), (vec![], vec![]));
        let now = crowd.session(SessionId(1)).expect("it is there");
        assert_eq!(now.connection.gateway.as_str(), "gw2");
        crowd.remove(SessionId(1));
        assert_eq!(changes(&mut crowd), (vec![], vec![1]));
        assert_eq!((crowd.sessions(), crowd.users()), (0, 0));
    }

    #[test]
    fn who_comes_and_goes_between_two_tellings_is_not_told() {
        let mut crowd = Crowd::default();
        crowd.add(member("alice", 1, "gw1"));
        crowd.remove(SessionId(1));
        crowd.add(member("bob", 2, "gw1"));
        assert_eq!(changes(&mut crowd), (vec![2], vec![]));
        crowd.remove(SessionId(2));
        crowd.add(member("bob", 2, "gw3"));
        assert_eq!(changes(&mut crowd), (vec![], vec![]));
    }

    #[test]
    fn users_are_counted_once_however_many_sessions_they_have() {
        let mut crowd = Crowd::default();
        crowd.add(member("alice", 1, "gw1"));
        crowd.add(member("alice", 2, "gw2"));
        assert_eq!((crowd.sessions(), crowd.users()), (2, 1));
        let alice = UserId::new("alice").expect("valid");
        assert_eq!(crowd.of_user(&alice).count(), 2);
        crowd.remove(SessionId(1));
        assert_eq!((crowd.sessions(), crowd.users()), (1, 1));
    }

    #[test]
    fn more_changes_than_are_kept_are_told_as_lost() {
        let mut crowd = Crowd::default();
        for session in 0..=MAX_CHANGES as u128 {
            crowd.add(member("alice", session, "gw1"));
        }
        let taken = crowd.take_changes();
        assert!(taken.lost && taken.joined.is_empty());
        crowd.remove(SessionId(0));
        assert_eq!(changes(&mut crowd), (vec![], vec![0]));
    }
}
