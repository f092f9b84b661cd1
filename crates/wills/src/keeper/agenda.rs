//! Which wills to look at, and when. No I/O.
//!
//! Bounded by [`MOST`]: what is beyond is dropped, and found by the next scan.

use std::{collections::BTreeSet, time::Duration};

use bus::{Revision, Subject};
use foldhash::HashMap;
use tokio::time::Instant;
use wire::gateway::LostSession;

use super::{LOOK_AFTER, ear::Ended};

/// Wills watched at once: some 50 MiB.
const MOST: usize = 100_000;

/// Connections of one session whose ends are remembered.
const CONNECTIONS: usize = 8;

/// Lost sessions with wills.
#[derive(Default)]
pub(super) struct Agenda {
    watched: HashMap<Subject, Watch>,
    order: BTreeSet<(Instant, Subject)>,
}

/// What was heard and seen of a will, beside what the table says.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// How its session's newest connection ended.
    pub(super) loss: Option<LostSession>,
    /// Connections that have ended, whatever the registry says.
    pub(super) closed: Vec<String>,
    /// When its session was last looked for, and was not there.
    pub(super) absent_at: Option<Instant>,
    /// Since when it is being fired, as the table says at this revision.
    pub(super) claim: Option<(Revision, Instant)>,
}

/// What comes of a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There is nothing to wait for.
    Forget,
    /// Look again after so long.
    Again(Duration),
    /// Its session is not there: look again after so long.
    Absent(Duration),
    /// Somebody fires it, as the table says at this revision: look again after so
    /// long, whether he still does.
    Claimed(Revision, Duration),
}

struct Watch {
    place: Place,
    /// Something was heard while somebody looked.
    news: bool,
    known: Known,
}

/// Where a watched will is.
#[derive(Clone, Copy)]
enum Place {
    /// Nowhere yet.
    New,
    /// In the order, at this time.
    Waiting(Instant),
    /// Somebody looks at it.
    Taken,
}

// === impl Agenda ===

impl Agenda {
    pub(super) fn len(&self) -> usize {
        self.watched.len()
    }

    /// When the next look is due.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// A connection has ended: look at its session's will at `at`.
    pub(super) fn hear(&mut self, ended: Ended, at: Instant) {
        let Some(watch) = self.watch(&ended.key) else {
            return;
        };
        let known = &mut watch.known;
        if known.closed.len() == CONNECTIONS {
            known.closed.remove(0);
        }
        known.closed.push(ended.connection);
        let newer = |known: &LostSession| ended.loss.session_epoch > known.session_epoch;
        if known.loss.as_ref().is_none_or(newer) {
            known.loss = Some(ended.loss);
        }
        watch.news = true;
        self.schedule(&ended.key, at);
    }

    /// Look at a will at `at`, unless it is watched.
    pub(super) fn look(&mut self, key: Subject, at: Instant) {
        if !self.watched.contains_key(&key) && self.watch(&key).is_some() {
            self.schedule(&key, at);
        }
    }

    /// Takes a will whose look is due; [`Self::settle`] gives it back.
    pub(super) fn take(&mut self, now: Instant) -> Option<(Subject, Known)> {
        let (at, _) = self.order.first()?;
        if *at > now {
            return None;
        }
        let (_, key) = self.order.pop_first()?;
        let watch = self.watched.get_mut(&key)?;
        watch.place = Place::Taken;
        watch.news = false;
        Some((key, watch.known.clone()))
    }

    /// A look is over.
    pub(super) fn settle(&mut self, key: &Subject, next: Next, now: Instant) {
        let Some(watch) = self.watched.get_mut(key) else {
            return;
        };
        watch.place = Place::New;
        let wait = match next {
            Next::Forget if watch.news => LOOK_AFTER,
            Next::Forget => {
                self.watched.remove(key);
                return;
            }
            Next::Again(wait) if watch.news => wait.min(LOOK_AFTER),
            Next::Again(wait) => wait,
            Next::Absent(wait) => {
                watch.known.absent_at = Some(now);
                if watch.news {
                    wait.min(LOOK_AFTER)
                } else {
                    wait
                }
            }
            Next::Claimed(revision, wait) => {
                if watch.known.claim.is_none_or(|(seen, _)| seen != revision) {
                    watch.known.claim = Some((revision, now));
                }
                wait
            }
        };
        self.schedule(key, now + wait);
    }

    fn watch(&mut self, key: &Subject) -> Option<&mut Watch> {
        if self.watched.len() >= MOST && !self.watched.contains_key(key) {
            return None;
        }
        let fresh = || Watch {
            place: Place::New,
            news: false,
            known: Known::default(),
        };
        Some(self.watched.entry(key.clone()).or_insert_with(fresh))
    }

    /// Puts a will into the order, or further ahead. One that somebody looks at
    /// gets its time afterwards.
    fn schedule(&mut self, key: &Subject, at: Instant) {
        let Some(watch) = self.watched.get_mut(key) else {
            return;
        };
        match watch.place {
            Place::Taken => return,
            Place::Waiting(earlier) if earlier <= at => return,
            Place::Waiting(later) => {
                self.order.remove(&(later, key.clone()));
            }
            Place::New => {}
        }
        watch.place = Place::Waiting(at);
        self.order.insert((at, key.clone()));
    }
}
