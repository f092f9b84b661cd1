//! A bus that can be away.

use std::sync::Arc;

use bus::{
    Bus, BusError, BusState, Done, Entry, Log, MemoryBus, Outgoing, Pattern, Published, Put,
    Remove, Revision, Table, TableSpec,
};
use tokio::sync::watch;

/// Refuses everything that needs an answer while it is away.
#[derive(Debug)]
pub(crate) struct FaultyBus {
    inner: Arc<MemoryBus>,
    state: watch::Sender<BusState>,
}

// === impl FaultyBus ===

impl FaultyBus {
    pub(crate) fn over(inner: Arc<MemoryBus>) -> Self {
        Self {
            inner,
            state: watch::Sender::new(BusState::Up),
        }
    }

    pub(crate) fn go_away(&self) {
        self.state.send_replace(BusState::Down("a test".into()));
    }

    pub(crate) fn come_back(&self) {
        self.state.send_replace(BusState::Up);
    }

    /// Gives `done` back if the bus is there.
    fn pass<T>(&self, done: Done<T>) -> Option<Done<T>> {
        if *self.state.borrow() == BusState::Up {
            return Some(done);
        }
        done(Err(BusError::Unavailable));
        None
    }
}

impl Bus for FaultyBus {
    fn publish(&self, outgoing: Outgoing, done: Done<Published>) {
        if let Some(done) = self.pass(done) {
            self.inner.publish(outgoing, done);
        }
    }
    fn declare_log(&self, log: Log, done: Done<()>) {
        if let Some(done) = self.pass(done) {
            self.inner.declare_log(log, done);
        }
    }
    fn declare_table(&self, table: TableSpec, done: Done<()>) {
        if let Some(done) = self.pass(done) {
            self.inner.declare_table(table, done);
        }
    }

    fn put(&self, put: Put, done: Done<Revision>) {
        if let Some(done) = self.pass(done) {
            self.inner.put(put, done);
        }
    }

    fn remove(&self, remove: Remove, done: Done<()>) {
        if let Some(done) = self.pass(done) {
            self.inner.remove(remove, done);
        }
    }

    fn entries(&self, table: Table, keys: Vec<Pattern>, done: Done<Vec<Entry>>) {
        if let Some(done) = self.pass(done) {
            self.inner.entries(table, keys, done);
        }
    }

    fn state(&self) -> watch::Receiver<BusState> {
        self.state.subscribe()
    }

    bus::contract::passes_on!(inner: subscribe unsubscribe request cancel serve announce history);
}
