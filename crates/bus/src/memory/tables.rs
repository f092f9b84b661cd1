//! Tables: entries by key, with revisions.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    time::Duration,
};

use bytes::Bytes;
use foldhash::{HashMap, HashMapExt};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::port::{BusError, Entry, Expect, Put, Remove, Revision, Table, TableSpec};
use crate::subject::{Pattern, Subject};

/// All tables of a bus.
pub(super) struct Tables(
    // A lock: held for one operation on one table; nothing on the path of a
    // publication comes here.
    Mutex<HashMap<Table, Contents>>,
);

struct Contents {
    max_age: Option<Duration>,
    revision: u64,
    entries: BTreeMap<Subject, Kept>,
    /// Every write of a table whose entries vanish, oldest first: nobody looks
    /// through all of a table for what is too old.
    ages: VecDeque<(Instant, Subject, Revision)>,
}

struct Kept {
    value: Bytes,
    revision: Revision,
}

// === impl Tables ===

impl Tables {
    pub(super) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    pub(super) fn declare(&self, spec: TableSpec) {
        let mut tables = self.0.lock();
        let new = || Contents {
            max_age: None,
            revision: 0,
            entries: BTreeMap::new(),
            ages: VecDeque::new(),
        };
        tables.entry(spec.table).or_insert_with(new).max_age = spec.max_age;
    }

    pub(super) fn put(&self, put: Put) -> Result<Revision, BusError> {
        let mut tables = self.0.lock();
        let contents = tables.get_mut(&put.table).ok_or(BusError::NoTable)?;
        contents.check(&put.key, put.expect)?;
        contents.revision += 1;
        let revision = Revision(contents.revision);
        if contents.max_age.is_some() {
            let age = (Instant::now(), put.key.clone(), revision);
            contents.ages.push_back(age);
        }
        let kept = Kept {
            value: put.value,
            revision,
        };
        contents.entries.insert(put.key, kept);
        Ok(revision)
    }

    pub(super) fn remove(&self, remove: &Remove) -> Result<(), BusError> {
        let mut tables = self.0.lock();
        let contents = tables.get_mut(&remove.table).ok_or(BusError::NoTable)?;
        contents.check(&remove.key, remove.expect)?;
        contents.revision += 1;
        contents.entries.remove(&remove.key);
        Ok(())
    }

    pub(super) fn entries(&self, table: Table, keys: &[Pattern]) -> Result<Vec<Entry>, BusError> {
        let mut tables = self.0.lock();
        let contents = tables.get_mut(&table).ok_or(BusError::NoTable)?;
        contents.sweep();
        // By key, as patterns may overlap.
        let mut found = BTreeMap::new();
        for pattern in keys {
            let prefix = pattern.literal_prefix();
            let from = (Bound::Included(prefix), Bound::Unbounded);
            let near = contents.entries.range::<str, _>(from);
            let near = near.take_while(|(key, _)| key.as_str().starts_with(prefix));
            let entries = near.filter(|(key, _)| pattern.matches(key));
            found.extend(entries);
        }
        Ok(found
            .into_iter()
            .map(|(key, kept)| kept.entry(key))
            .collect())
    }
}

// === impl Contents ===

impl Contents {
    fn check(&mut self, key: &Subject, expect: Expect) -> Result<(), BusError> {
        self.sweep();
        let found = self.entries.get(key).map(|kept| kept.revision);
        let holds = match expect {
            Expect::Anything => true,
            Expect::Absent => found.is_none(),
            Expect::At(revision) => found == Some(revision),
        };
        if holds {
            Ok(())
        } else {
            Err(BusError::Conflict)
        }
    }

    fn sweep(&mut self) {
        let Some(max_age) = self.max_age else { return };
        let is_old = |(written, ..): &mut (Instant, _, _)| written.elapsed() >= max_age;
        while let Some((_, key, revision)) = self.ages.pop_front_if(is_old) {
            // Written again or removed meanwhile: another's age, or nobody's.
            if self.entries.get(&key).map(|kept| kept.revision) == Some(revision) {
                self.entries.remove(&key);
            }
        }
    }
}

// === impl Kept ===

impl Kept {
    fn entry(&self, key: &Subject) -> Entry {
        Entry {
            key: key.clone(),
            value: self.value.clone(),
            revision: self.revision,
        }
    }
}
