//! Which connections of this shard belong to whom.

use std::{collections::BTreeSet, hash::BuildHasher};

use auth::Identity;
use foldhash::{HashMap, HashSet, quality::FixedState};
use smallvec::SmallVec;
use wire::{SessionId, UserId};

/// Slots of the established connections, by what commands may name.
#[derive(Default)]
pub(super) struct Directory {
    users: HashMap<UserId, SmallVec<[u32; 2]>>,
    /// Fingerprint of a session, and slot: every connection has an entry, and
    /// whole ids in a hash table would take twice the memory.
    sessions: BTreeSet<(u64, u32)>,
    /// By name, then by value. Sets, because one label may name everybody.
    labels: HashMap<Box<str>, HashMap<Box<str>, HashSet<u32>>>,
}

// === impl Directory ===

impl Directory {
    pub(super) fn insert(&mut self, identity: &Identity, session: SessionId, slot: u32) {
        let user = identity.user.clone();
        self.users.entry(user).or_default().push(slot);
        self.sessions.insert((fold(session), slot));
        for (name, value) in identity.labels.iter() {
            let values = self.labels.entry(name.into()).or_default();
            values.entry(value.into()).or_default().insert(slot);
        }
    }

    /// Takes out what [`Self::insert`] put in.
    pub(super) fn remove(&mut self, identity: &Identity, session: SessionId, slot: u32) {
        if let Some(slots) = self.users.get_mut(&identity.user) {
            slots.retain(|held| *held != slot);
            if slots.is_empty() {
                self.users.remove(&identity.user);
            }
        }
        self.sessions.remove(&(fold(session), slot));
        for (name, value) in identity.labels.iter() {
            self.unlabel(name, value, slot);
        }
    }

    fn unlabel(&mut self, name: &str, value: &str, slot: u32) {
        let Some(values) = self.labels.get_mut(name) else {
            return;
        };
        if let Some(slots) = values.get_mut(value) {
            slots.remove(&slot);
            if slots.is_empty() {
                values.remove(value);
            }
        }
        if values.is_empty() {
            self.labels.remove(name);
        }
    }

    pub(super) fn of_user(&self, user: &UserId) -> impl Iterator<Item = u32> {
        self.users.get(user).into_iter().flatten().copied()
    }

    /// Slots that may hold the session: others may have the same fingerprint.
    pub(super) fn of_session(&self, session: SessionId) -> impl Iterator<Item = u32> {
        let fingerprint = fold(session);
        let range = (fingerprint, 0)..=(fingerprint, u32::MAX);
        self.sessions.range(range).map(|&(_, slot)| slot)
    }

    pub(super) fn of_label(&self, name: &str, value: &str) -> impl Iterator<Item = u32> {
        let slots = self.labels.get(name).and_then(|values| values.get(value));
        slots.into_iter().flatten().copied()
    }

    /// Every user's fingerprint.
    pub(super) fn users(&self) -> impl Iterator<Item = u64> {
        self.users.keys().map(fingerprint)
    }
}

/// The same on every shard, so that users with connections on several can be
/// counted once.
pub(super) fn fingerprint(user: &UserId) -> u64 {
    FixedState::default().hash_one(user)
}

fn fold(SessionId(id): SessionId) -> u64 {
    id as u64 ^ (id >> 64) as u64
}

#[cfg(test)]
mod tests {
    use auth::{Labels, Permissions, TokenLimits};

    use super::*;

    fn identity(user: &str, labels: &[(&str, &str)]) -> Identity {
        Identity {
            user: UserId::new(user).expect("valid"),
            expires_at: None,
            issued_at: None,
            token_id: None,
            permissions: Permissions::default(),
            labels: Labels::new(labels.iter().copied()).expect("valid"),
            limits: TokenLimits::default(),
            anonymous: false,
        }
    }

    #[test]
    fn connections_are_found_by_all_their_names_until_they_leave() {
        let mut directory = Directory::default();
        let alice = identity("alice", &[("tier", "gold"), ("region", "eu")]);
        let bob = identity("bob", &[("tier", "gold")]);
        directory.insert(&alice, SessionId(1 << 64), 4);
        directory.insert(&alice, SessionId(7), 5);
        directory.insert(&bob, SessionId(7), 6);
        assert_eq!(directory.of_user(&alice.user).collect::<Vec<_>>(), [4, 5]);
        let of_session =
            |directory: &Directory| directory.of_session(SessionId(7)).collect::<Vec<_>>();
        assert_eq!(of_session(&directory), vec![5, 6]);
        let mut gold: Vec<_> = directory.of_label("tier", "gold").collect();
        gold.sort_unstable();
        assert_eq!(gold, [4, 5, 6]);
        assert_eq!(directory.of_label("region", "eu").count(), 2);
        assert_eq!(directory.of_label("region", "gold").count(), 0);
        directory.remove(&alice, SessionId(7), 5);
        assert_eq!(of_session(&directory), vec![6]);
        directory.remove(&alice, SessionId(1 << 64), 4);
        directory.remove(&bob, SessionId(7), 6);
        assert_eq!(directory.users().count(), 0);
        assert!(directory.sessions.is_empty() && directory.labels.is_empty());
    }
}
