//! Which labels the connections of this gateway have, and what of it is still
//! to be written. No I/O.

use std::collections::HashMap;

use bus::Subject;
use wire::GatewayId;

use crate::key;

/// Labels by key.
pub(crate) struct Labels {
    gateway: GatewayId,
    held: HashMap<Subject, Held, foldhash::fast::RandomState>,
    /// Keys whose entry is not as it should be, and that nobody works on.
    waiting: Vec<Subject>,
    busy: usize,
}

#[derive(Default)]
struct Held {
    connections: usize,
    /// What the registry has been told.
    written: bool,
    /// Somebody works on it, or it waits.
    pending: bool,
}

/// An entry to write or to remove.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) key: Subject,
    pub(crate) held: bool,
}

// === impl Labels ===

impl Labels {
    pub(crate) fn new(gateway: GatewayId) -> Self {
        Self {
            gateway,
            held: HashMap::default(),
            waiting: Vec::new(),
            busy: 0,
        }
    }

    /// A connection has these.
    pub(crate) fn add<'a>(&mut self, labels: impl IntoIterator<Item = (&'a String, &'a String)>) {
        for (name, value) in labels {
            let key = key::of_label(name, value, &self.gateway);
            self.held.entry(key.clone()).or_default().connections += 1;
            self.check(key);
        }
    }

    /// A connection that had these is gone.
    pub(crate) fn remove<'a>(
        &mut self,
        labels: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) {
        for (name, value) in labels {
            let key = key::of_label(name, value, &self.gateway);
            if let Some(held) = self.held.get_mut(&key) {
                held.connections = held.connections.saturating_sub(1);
                self.check(key);
            }
        }
    }

    /// The registry has forgotten all of them.
    pub(crate) fn renew(&mut self) {
        let keys: Vec<_> = self.held.keys().cloned().collect();
        for key in keys {
            if let Some(held) = self.held.get_mut(&key) {
                held.written = false;
            }
            self.check(key);
        }
    }

    /// Changes that are not made yet.
    pub(crate) fn pending(&self) -> usize {
        self.waiting.len() + self.busy
    }

    /// A change to make; [`Labels::done`] when it is.
    pub(crate) fn take(&mut self) -> Option<Change> {
        let key = self.waiting.pop()?;
        let held = self.held.get(&key).is_some_and(|held| held.connections > 0);
        self.busy += 1;
        Some(Change { key, held })
    }

    /// The change is made; meanwhile another may have become due.
    pub(crate) fn done(&mut self, change: Change) {
        self.busy -= 1;
        if let Some(held) = self.held.get_mut(&change.key) {
            held.written = change.held;
            held.pending = false;
            self.check(change.key);
        }
    }

    fn check(&mut self, key: Subject) {
        let Some(held) = self.held.get_mut(&key) else {
            return;
        };
        if held.pending {
            return;
        }
        if held.written != (held.connections > 0) {
            held.pending = true;
            self.waiting.push(key);
        } else if held.connections == 0 {
            self.held.remove(&key);
        }
    }
}
