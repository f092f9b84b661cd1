//! Which connections of this shard belong to whom.

use std::hash::BuildHasher;

use foldhash::{HashMap, HashMapExt, quality::FixedState};
use smallvec::SmallVec;
use wire::UserId;

/// Connection slots by user.
pub(crate) struct Users {
    slots: HashMap<UserId, SmallVec<[u32; 2]>>,
}

// === impl Users ===

impl Users {
    pub(crate) fn new() -> Self {
        Self {
            slots: HashMap::new(),
        }
    }

    pub(crate) fn insert(&mut self, user: UserId, slot: u32) {
        self.slots.entry(user).or_default().push(slot);
    }

    pub(crate) fn remove(&mut self, user: &UserId, slot: u32) {
        let Some(slots) = self.slots.get_mut(user) else {
            return;
        };
        slots.retain(|held| *held != slot);
        if slots.is_empty() {
            self.slots.remove(user);
        }
    }

    /// The user's slots.
    pub(crate) fn slots(&self, user: &UserId) -> &[u32] {
        self.slots.get(user).map_or(&[], SmallVec::as_slice)
    }

    /// A fingerprint of each user, the same on every shard, so that users with
    /// connections on several can be counted once.
    pub(crate) fn fingerprints(&self) -> Vec<u64> {
        let state = FixedState::default();
        self.slots.keys().map(|user| state.hash_one(user)).collect()
    }
}
