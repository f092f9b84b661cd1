//! Who serves which subject, taken in turn.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::RwLock;

use crate::port::{Handler, SubscriptionToken};
use crate::subject::Subject;

#[derive(Default)]
pub(super) struct Services {
    /// Read by every request, written when workers come and go.
    table: RwLock<Table>,
}

#[derive(Default)]
struct Table {
    groups: HashMap<Subject, Group, foldhash::fast::RandomState>,
    subjects: HashMap<SubscriptionToken, Subject, foldhash::fast::RandomState>,
}

/// The handlers of one subject; never empty, the last takes it along.
#[derive(Default)]
struct Group {
    handlers: Vec<(SubscriptionToken, Arc<dyn Handler>)>,
    turn: AtomicUsize,
}

// === impl Services ===

impl Services {
    pub(super) fn add(
        &self,
        token: SubscriptionToken,
        subject: Subject,
        handler: Arc<dyn Handler>,
    ) {
        let mut table = self.table.write();
        table.subjects.insert(token, subject.clone());
        let group = table.groups.entry(subject).or_default();
        group.handlers.push((token, handler));
    }

    /// The handler whose turn it is.
    pub(super) fn next_handler(&self, subject: &Subject) -> Option<Arc<dyn Handler>> {
        let table = self.table.read();
        let group = table.groups.get(subject)?;
        let turn = group.turn.fetch_add(1, Ordering::Relaxed) % group.handlers.len();
        Some(Arc::clone(&group.handlers[turn].1))
    }

    pub(super) fn remove(&self, token: SubscriptionToken) {
        // Dropped after the lock: a handler's end may call the bus.
        let _handler = self.table.write().remove(token);
    }
}

// === impl Table ===

impl Table {
    fn remove(&mut self, token: SubscriptionToken) -> Option<Arc<dyn Handler>> {
        let subject = self.subjects.remove(&token)?;
        let group = self.groups.get_mut(&subject)?;
        let index = group
            .handlers
            .iter()
            .position(|(known, _)| *known == token)?;
        let (_, handler) = group.handlers.remove(index);
        if group.handlers.is_empty() {
            self.groups.remove(&subject);
        }
        Some(handler)
    }
}
