//! Requests that wait for their outcome.
//!
//! Reply, cancellation, deadline and a lost handler race for one entry; who
//! takes it out of the table calls its `done`, so it is called exactly once.

use std::time::Duration;

use parking_lot::Mutex;
use slab::Slab;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::port::{BusError, Done, Reply, RequestToken};

/// How late a deadline may be noticed.
const TICK: Duration = Duration::from_millis(10);

/// The longest deadline that is told apart from a longer one.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct Pending {
    /// Shared by all threads that ask and answer; held for a slab operation.
    table: Mutex<Table>,
    wake: Notify,
    capacity: usize,
}

struct Table {
    entries: Slab<Entry>,
    generation: u32,
    /// No entry expires before this; `None` while there is none.
    soonest: Option<Instant>,
    /// The reaper ticks; when it does not, the next request wakes it.
    reaping: bool,
}

struct Entry {
    generation: u32,
    deadline: Instant,
    /// Tells the handler that nobody waits for it any more.
    cancelled: CancellationToken,
    done: Done<Reply>,
}

// === impl Pending ===

impl Pending {
    /// Names no request: generations start at 1.
    pub(super) const NO_REQUEST: RequestToken = RequestToken(0);

    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.min(u32::MAX as usize);
        let table = Table {
            entries: Slab::new(),
            generation: 0,
            soonest: None,
            reaping: false,
        };
        Self {
            table: Mutex::new(table),
            wake: Notify::new(),
            capacity,
        }
    }

    /// Keeps `done` for an outcome; gives it back if there is no room.
    pub(super) fn insert(
        &self,
        deadline: Duration,
        cancelled: CancellationToken,
        done: Done<Reply>,
    ) -> Result<RequestToken, Done<Reply>> {
        let deadline = Instant::now() + deadline.min(LONGEST);
        let mut table = self.table.lock();
        if table.entries.len() >= self.capacity {
            drop(table);
            return Err(done);
        }
        let token = table.insert(deadline, cancelled, done);
        let asleep = !std::mem::replace(&mut table.reaping, true);
        drop(table);
        if asleep {
            self.wake.notify_one();
        }
        Ok(token)
    }

    /// Gives a request its outcome, unless it has had one.
    pub(super) fn finish(&self, token: RequestToken, outcome: Result<Reply, BusError>) {
        let entry = self.table.lock().take(token);
        if let Some(entry) = entry {
            if outcome == Err(BusError::Cancelled) {
                entry.cancelled.cancel();
            }
            (entry.done)(outcome);
        }
    }

    /// Ends requests whose deadline has passed; sleeps while none waits.
    pub(super) async fn expire_forever(&self) {
        loop {
            if self.table.lock().rest() {
                self.wake.notified().await;
            }
            tokio::time::sleep(TICK).await;
            let expired = self.table.lock().take_expired(Instant::now());
            for entry in expired {
                entry.cancelled.cancel();
                (entry.done)(Err(BusError::DeadlineExceeded));
            }
        }
    }
}

// === impl Table ===

impl Table {
    fn insert(
        &mut self,
        deadline: Instant,
        cancelled: CancellationToken,
        done: Done<Reply>,
    ) -> RequestToken {
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.soonest = Some(
            self.soonest
                .map_or(deadline, |soonest| soonest.min(deadline)),
        );
        let generation = self.generation;
        let slot = self.entries.insert(Entry {
            generation,
            deadline,
            cancelled,
            done,
        });
        RequestToken(u64::from(generation) << 32 | slot as u64)
    }

    fn take(&mut self, token: RequestToken) -> Option<Entry> {
        let slot = (token.0 & u64::from(u32::MAX)) as usize;
        let generation = (token.0 >> 32) as u32;
        let current = self
            .entries
            .get(slot)
            .is_some_and(|entry| entry.generation == generation);
        current.then(|| self.entries.remove(slot))
    }

    fn rest(&mut self) -> bool {
        self.reaping = !self.entries.is_empty();
        !self.reaping
    }

    /// Looks at the entries only when one may have expired: answered requests
    /// leave `soonest` behind, so a look may be for nothing.
    fn take_expired(&mut self, now: Instant) -> Vec<Entry> {
        if self.soonest.is_none_or(|soonest| now < soonest) {
            return Vec::new();
        }
        let is_due = |entry: &Entry| entry.deadline <= now;
        let due = self.entries.iter().filter(|(_, entry)| is_due(entry));
        let slots: Vec<usize> = due.map(|(slot, _)| slot).collect();
        let expired = slots
            .into_iter()
            .map(|slot| self.entries.remove(slot))
            .collect();
        self.soonest = self.entries.iter().map(|(_, entry)| entry.deadline).min();
        expired
    }
}
