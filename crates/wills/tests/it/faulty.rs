//! A bus that fails at random, before or after the effect.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bus::{
    Bus, BusError, Done, Entry, MemoryBus, Outgoing, Pattern, Published, Put, Remove, Revision,
    Table,
};
use parking_lot::Mutex;

/// Passes everything on; writes, reads and publications fail in so many of a
/// thousand cases, half of them after they took effect.
#[derive(Debug)]
pub(crate) struct FaultyBus {
    inner: Arc<MemoryBus>,
    per_mille: AtomicU32,
    // A lock: one generator for all callers, so that a seed means one course.
    random: Mutex<fastrand::Rng>,
}

/// What becomes of an operation.
enum Fate {
    Passes,
    Refused,
    AnswerLost,
}

// === impl FaultyBus ===

impl FaultyBus {
    pub(crate) fn over(inner: Arc<MemoryBus>, seed: u64) -> Self {
        Self {
            inner,
            per_mille: AtomicU32::new(0),
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
        }
    }

    /// Fails so often from now on.
    pub(crate) fn fail(&self, per_mille: u32) {
        self.per_mille.store(per_mille, Ordering::SeqCst);
    }

    fn fate(&self) -> Fate {
        let mut random = self.random.lock();
        if random.u32(..1_000) >= self.per_mille.load(Ordering::SeqCst) {
            Fate::Passes
        } else if random.bool() {
            Fate::Refused
        } else {
            Fate::AnswerLost
        }
    }

    fn pass<T: 'static>(&self, done: Done<T>, operation: impl FnOnce(Done<T>)) {
        match self.fate() {
            Fate::Passes => operation(done),
            Fate::Refused => done(Err(BusError::Unavailable)),
            Fate::AnswerLost => {
                operation(Box::new(|_| done(Err(BusError::DeadlineExceeded))));
            }
        }
    }
}

impl Bus for FaultyBus {
    fn publish(&self, outgoing: Outgoing, done: Done<Published>) {
        self.pass(done, |done| self.inner.publish(outgoing, done));
    }
    fn put(&self, put: Put, done: Done<Revision>) {
        self.pass(done, |done| self.inner.put(put, done));
    }

    fn remove(&self, remove: Remove, done: Done<()>) {
        self.pass(done, |done| self.inner.remove(remove, done));
    }

    fn entries(&self, table: Table, keys: Vec<Pattern>, done: Done<Vec<Entry>>) {
        self.pass(done, |done| self.inner.entries(table, keys, done));
    }

    bus::contract::passes_on!(inner: subscribe unsubscribe request cancel serve announce declare_log history declare_table state);
}
