//! What is still to be written and told, connection by connection. No I/O.
//!
//! Bounded: openings by the connections that live; ends that wait for the bus by
//! [`MAX_ENDS`], beyond which only the entry is removed and nobody is told.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use foldhash::{HashMap, HashMapExt};
use wire::ConnectionId;

use crate::registrar::{ConnectionRecord, Written};

/// Connections that may wait to be told as ended: some 50 MiB.
const MAX_ENDS: usize = 100_000;

/// Connections for which room is kept while there is nothing to do.
const ROOM: usize = 1_024;

/// One thing to do for a connection.
pub(crate) enum Step {
    /// Write the entry, then call.
    Put {
        since: Instant,
        written: Option<Written>,
        /// The entry may be there already.
        renewal: bool,
    },
    /// Tell that it opened.
    Opened,
    /// Tell that it ended, and why.
    Closed { cause: &'static str },
    /// Remove the entry.
    Remove,
}

/// All of it.
pub(crate) struct Book {
    connections: HashMap<ConnectionId, Page>,
    /// Connections that nobody works on.
    waiting: VecDeque<ConnectionId>,
    ends: usize,
}

/// One connection's.
struct Page {
    record: Arc<ConnectionRecord>,
    /// The first one is being done while `busy`.
    steps: VecDeque<Step>,
    busy: bool,
}

/// What came of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It will be told and removed.
    Noted,
    /// It had never been written, and never will be.
    Coalesced,
    /// It will be removed; there is no room to tell it.
    Dropped,
}

// === impl Book ===

impl Book {
    pub(crate) fn new() -> Self {
        Self {
            connections: HashMap::new(),
            waiting: VecDeque::new(),
            ends: 0,
        }
    }

    /// Connections with something to do.
    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    /// A connection lives.
    pub(crate) fn opened(&mut self, record: Arc<ConnectionRecord>, written: Option<Written>) {
        self.put(record, written, false);
    }

    fn put(&mut self, record: Arc<ConnectionRecord>, written: Option<Written>, renewal: bool) {
        let put = Step::Put {
            since: Instant::now(),
            written,
            renewal,
        };
        let page = self.page(record);
        page.steps.push_back(put);
        page.steps.push_back(Step::Opened);
    }

    /// A connection lives, and the registry may not know. One that is ending
    /// stays so; what is still to be written and told of one is not doubled.
    pub(crate) fn renewed(&mut self, record: Arc<ConnectionRecord>) {
        let page = self.page(record.clone());
        if page.is_ending() {
            return;
        }
        page.record = record.clone();
        let mut waiting = page.steps.iter().skip(usize::from(page.busy));
        if !waiting.any(|step| matches!(step, Step::Put { .. })) {
            self.put(record, None, true);
        }
    }

    /// A connection ended.
    pub(crate) fn closed(&mut self, record: Arc<ConnectionRecord>, cause: &'static str) -> Ended {
        let room = self.ends < MAX_ENDS;
        let page = self.page(record);
        let is_new = |step: &Step| matches!(step, Step::Put { renewal: false, .. });
        let unwritten = !page.busy && page.steps.front().is_some_and(is_new);
        if unwritten {
            page.steps.pop_front();
        }
        if room {
            page.steps.push_back(Step::Closed { cause });
        }
        if !unwritten {
            page.steps.push_back(Step::Remove);
        }
        self.ends += usize::from(room);
        match (room, unwritten) {
            (false, _) => Ended::Dropped,
            (true, true) => Ended::Coalesced,
            (true, false) => Ended::Noted,
        }
    }

    /// A connection to work on, until [`Book::next`] has nothing more for it.
    pub(crate) fn take(&mut self) -> Option<ConnectionId> {
        let id = self.waiting.pop_front()?;
        if let Some(page) = self.connections.get_mut(&id) {
            page.busy = true;
        }
        Some(id)
    }

    /// The next step of a connection that was taken; `None`: there is none, and
    /// it is given back.
    pub(crate) fn next(&mut self, id: &ConnectionId) -> Option<(Arc<ConnectionRecord>, &Step)> {
        if self.connections.get(id)?.steps.is_empty() {
            self.connections.remove(id);
            self.shrink();
            return None;
        }
        let page = self.connections.get(id)?;
        Some((page.record.clone(), page.steps.front()?))
    }

    /// The step is done.
    pub(crate) fn done(&mut self, id: &ConnectionId) -> Option<Step> {
        let step = self.connections.get_mut(id)?.steps.pop_front()?;
        self.ends -= usize::from(matches!(step, Step::Closed { .. }));
        Some(step)
    }

    /// Gives back what a storm took.
    fn shrink(&mut self) {
        if self.connections.is_empty() && self.connections.capacity() > ROOM {
            self.connections = HashMap::new();
            self.waiting = VecDeque::new();
        }
    }

    fn page(&mut self, record: Arc<ConnectionRecord>) -> &mut Page {
        let Self {
            connections,
            waiting,
            ..
        } = self;
        connections.entry(record.id.clone()).or_insert_with(|| {
            waiting.push_back(record.id.clone());
            Page {
                record,
                steps: VecDeque::with_capacity(2),
                busy: false,
            }
        })
    }
}

// === impl Page ===

impl Page {
    fn is_ending(&self) -> bool {
        let ends = |step: &Step| matches!(step, Step::Closed { .. } | Step::Remove);
        self.steps.iter().any(ends)
    }
}

#[cfg(test)]
mod tests;
