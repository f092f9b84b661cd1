//! Tables: entries by key, with revisions.

use std::{collections::BTreeMap, time::Duration};

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
}

struct Kept {
    value: Bytes,
    revision: Revision,
    written: Instant,
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
        };
        tables.entry(spec.table).or_insert_with(new).max_age = spec.max_age;
    }

    pub(super) fn put(&self, put: Put) -> Result<Revision, BusError> {
        let mut tables = self.0.lock();
        let contents = tables.get_mut(&put.table).ok_or(BusError::NoTable)?;
        contents.check(&put.key, put.expect)?;
        contents.revision += 1;
        let revision = Revision(contents.revision);
        let kept = Kept {
            value: put.value,
            revision,
            written: Instant::now(),
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
        let wanted = |key: &Subject| keys.iter().any(|pattern| pattern.matches(key));
        let entries = contents.entries.iter().filter(|(key, _)| wanted(key));
        Ok(entries.map(|(key, kept)| kept.entry(key)).collect())
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
        self.entries
            .retain(|_, kept| kept.written.elapsed() < max_age);
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
