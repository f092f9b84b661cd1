//! A bounded map that forgets what has not been used for long.

use std::{hash::Hash, time::Duration};

use foldhash::HashMap;

/// Two generations: what is used moves to the young one, and when that is full
/// or old, the old one is dropped. So the oldest go, without a scan.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// Entries of a generation.
    capacity: usize,
    /// How long a generation is young.
    age: Duration,
    /// When the young one began.
    since: Duration,
}

// === impl Table ===

impl<K: Eq + Hash, V: Copy + Default> Table<K, V> {
    /// Holds `capacity` entries at most; each for `age` after its last use, and no
    /// longer than twice that, unless it must make room.
    pub(crate) fn new(capacity: usize, age: Duration) -> Self {
        Self {
            young: HashMap::default(),
            old: HashMap::default(),
            capacity: capacity / 2,
            age,
            since: Duration::ZERO,
        }
    }

    /// The entry of `key`; a default one if there was none.
    pub(crate) fn entry(&mut self, now: Duration, key: K) -> &mut V {
        let is_old = now.saturating_sub(self.since) > self.age;
        if is_old || (self.young.len() >= self.capacity && !self.young.contains_key(&key)) {
            self.old = std::mem::take(&mut self.young);
            self.since = now;
        }
        let earlier = self.old.remove(&key);
        self.young.entry(key).or_insert(earlier.unwrap_or_default())
    }

    /// What is known of `key`.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}
