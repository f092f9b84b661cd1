//! Which message ids the logs have seen, for two minutes.
//!
//! The table has a lock of its own, so claiming an id and storing its message
//! are two steps. Between them the id is *claimed*: a second message with the
//! same id waits for the outcome of the first and shares it.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;
use wire::Offset;

use crate::port::{BusError, Done, Published};
use crate::subject::Subject;

/// How long an id is remembered, unless [`CAPACITY`] newer ones came.
const WINDOW: Duration = Duration::from_secs(120);

/// Ids remembered on one bus. At about 200 bytes each this is 20 MB.
const CAPACITY: usize = 100_000;

/// The ids of one bus.
#[derive(Default)]
pub(super) struct Dedup {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    ids: HashMap<Arc<Key>, State, foldhash::fast::RandomState>,
    stored: VecDeque<(Instant, Arc<Key>)>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    subject: Subject,
    message_id: Box<str>,
}

enum State {
    /// Being stored on another thread; who else wants to know.
    Claimed(Vec<Done<Published>>),
    /// Stored at this offset.
    Stored(Offset),
}

// === impl Dedup ===

impl Dedup {
    /// Claims an id. The first to do so gets a `done` to publish with; others
    /// are answered as duplicates, now or when the first one is stored.
    pub(super) fn claim(
        self: &Arc<Self>,
        subject: Subject,
        message_id: Box<str>,
        done: Done<Published>,
    ) -> Option<Done<Published>> {
        let key = Arc::new(Key {
            subject,
            message_id,
        });
        let mut table = self.table.lock();
        table.forget_old(Instant::now());
        match table.ids.get_mut(&key) {
            None => drop(
                table
                    .ids
                    .insert(Arc::clone(&key), State::Claimed(Vec::new())),
            ),
            Some(State::Claimed(waiting)) => {
                waiting.push(done);
                return None;
            }
            Some(State::Stored(offset)) => {
                let offset = *offset;
                drop(table);
                done(Ok(Published {
                    offset,
                    duplicate: true,
                }));
                return None;
            }
        }
        drop(table);
        let dedup = Arc::clone(self);
        Some(Box::new(move |outcome| {
            let waiting = dedup.settle(key, &outcome);
            done(outcome.clone());
            for done in waiting {
                done(outcome.clone().map(|first| Published {
                    duplicate: true,
                    ..first
                }));
            }
        }))
    }

    /// Forgets what is old though nobody claims anything.
    pub(super) fn sweep(&self) {
        let mut table = self.table.lock();
        table.forget_old(Instant::now());
        if table.ids.is_empty() {
            *table = Table::default();
        }
    }

    fn settle(&self, key: Arc<Key>, outcome: &Result<Published, BusError>) -> Vec<Done<Published>> {
        let mut table = self.table.lock();
        let before = match outcome {
            Ok(published) => {
                let stored = State::Stored(published.offset);
                let before = table.ids.insert(Arc::clone(&key), stored);
                table.stored.push_back((Instant::now(), key));
                before
            }
            // It was not stored: the next attempt is a first one again.
            Err(_) => table.ids.remove(&key),
        };
        match before {
            Some(State::Claimed(waiting)) => waiting,
            Some(State::Stored(_)) | None => Vec::new(),
        }
    }
}

// === impl Table ===

impl Table {
    fn forget_old(&mut self, now: Instant) {
        while let Some((at, key)) = self.stored.front() {
            let outdated = now.saturating_duration_since(*at) > WINDOW;
            if !outdated && self.stored.len() < CAPACITY {
                break;
            }
            self.ids.remove(key);
            self.stored.pop_front();
        }
    }
}
