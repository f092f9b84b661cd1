//! Who serves which subject: queue groups, taken in turn.

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
    groups: HashMap<Subject, Vec<Group>, foldhash::fast::RandomState>,
    subjects: HashMap<SubscriptionToken, Subject, foldhash::fast::RandomState>,
}

/// Never empty: the last handler takes its group with it.
struct Group {
    name: Box<str>,
    handlers: Vec<(SubscriptionToken, Arc<dyn Handler>)>,
    turn: AtomicUsize,
}

// === impl Services ===

impl Services {
    pub(super) fn add(
        &self,
        token: SubscriptionToken,
        subject: Subject,
        group: &str,
        handler: Arc<dyn Handler>,
    ) {
        let mut table = self.table.write();
        table.subjects.insert(token, subject.clone());
        let groups = table.groups.entry(subject).or_default();
        match groups.iter_mut().find(|known| &*known.name == group) {
            Some(group) => group.handlers.push((token, handler)),
            None => groups.push(Group {
                name: group.into(),
                handlers: vec![(token, handler)],
                turn: AtomicUsize::new(0),
            }),
        }
    }

    /// The handler whose turn it is, of the group that was there first.
    pub(super) fn next_handler(&self, subject: &Subject) -> Option<Arc<dyn Handler>> {
        let table = self.table.read();
        let group = table.groups.get(subject)?.first()?;
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
        let groups = self.groups.get_mut(&subject)?;
        let place = |group: &Group| group.handlers.iter().position(|(known, _)| *known == token);
        let (group, index) = groups
            .iter()
            .enumerate()
            .find_map(|(n, group)| Some((n, place(group)?)))?;
        let (_, handler) = groups[group].handlers.remove(index);
        if groups[group].handlers.is_empty() {
            groups.remove(group);
        }
        if groups.is_empty() {
            self.groups.remove(&subject);
        }
        Some(handler)
    }
}
