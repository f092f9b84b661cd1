//! What members were not given: kept for those alone who lost something.

use foldhash::{HashMap, HashMapExt};

use crate::member::MemberId;

/// Of members that lost something, until they leave.
#[derive(Debug)]
pub(crate) struct Losses(HashMap<MemberId, Loss>);

/// Publications that a member was not given so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Withheld because it was slow.
    pub dropped: u64,
    /// Replaced by newer ones of the same key.
    pub conflated: u64,
}

// === impl Losses ===

impl Losses {
    pub(crate) fn new() -> Self {
        Self(HashMap::new())
    }

    pub(crate) fn add(&mut self, id: MemberId, dropped: u64, conflated: u64) {
        if dropped + conflated > 0 {
            let loss = self.0.entry(id).or_default();
            loss.dropped += dropped;
            loss.conflated += conflated;
        }
    }

    pub(crate) fn of(&self, id: MemberId) -> Loss {
        self.0.get(&id).copied().unwrap_or_default()
    }

    pub(crate) fn forget(&mut self, id: MemberId) {
        self.0.remove(&id);
    }
}
