//! Numbers for messages to subjects without a log, so that whoever gets them
//! knows what is missing and what comes late.
//!
//! A server that dies takes with it what it had not passed on yet; one that
//! stands still and goes on passes it on behind what came by another one
//! meanwhile. So each process numbers its messages to each subject, from one, as
//! a publisher with an identity of its own. Where a subject has been quiet for a
//! while its publisher says how far it has come, so that a loss at the end is
//! noticed as well. Then the subject is forgotten: its next message is the first
//! of another publisher.

use std::{
    array,
    hash::BuildHasher,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use foldhash::{HashMap, quality::RandomState};
use parking_lot::Mutex;

use super::lane::Offered;
use crate::{origin::Origin, subject::Subject};

/// Between sweeps.
pub(super) const SWEEP: Duration = Duration::from_secs(1);

/// After so many sweeps without a message it is said how far a subject has
/// come. Twice, because the first word may be lost like any other.
const QUIET: [u32; 2] = [2, 15];

/// Subjects of a part; messages to more are not numbered. Some 100 bytes each.
const MAX_SUBJECTS: usize = 8_192;

/// Parts of the table, so that publishers seldom meet and a sweep holds none of
/// them for long.
const PARTS: usize = 16;

/// See the module.
pub(super) struct Origins {
    // Locks: held while a message goes onto its lane, so that numbers are in
    // the lane's order.
    parts: [Mutex<HashMap<Subject, Course>>; PARTS],
    hasher: RandomState,
    sweeps: AtomicU32,
    /// Of every identity the upper half.
    process: u32,
}

/// A subject that messages were published to.
struct Course {
    last: Origin,
    /// The number of sweeps when that went out.
    at: u32,
    /// How often it was said since.
    told: usize,
}

// === impl Origins ===

impl Origins {
    pub(super) fn new() -> Self {
        Self {
            parts: array::from_fn(|_| Mutex::default()),
            hasher: RandomState::default(),
            sweeps: AtomicU32::new(0),
            process: fastrand::u32(1..),
        }
    }

    /// Has a message to `subject` offered to its lane, with a number that counts
    /// only if the lane takes it.
    pub(super) fn number(&self, subject: &Subject, offer: impl FnOnce(Origin) -> Offered) {
        let mut part = self.part(subject).lock();
        if !part.contains_key(subject) {
            if part.len() >= MAX_SUBJECTS {
                drop(part);
                return offer(Origin::UNKNOWN).tell();
            }
            part.insert(subject.clone(), Course::new(self.process));
        }
        let course = part
            .get_mut(subject)
            .expect("it is there, or was put there");
        let origin = course.last.next();
        let offered = offer(origin);
        if offered.is_taken() {
            course.last = origin;
            course.at = self.sweeps.load(Ordering::Relaxed);
            course.told = 0;
        }
        drop(part);
        offered.tell();
    }

    /// Has it said how far quiet subjects have come, and forgets those of which
    /// that was said. To be called every [`SWEEP`]; `say` gives whether it was.
    pub(super) fn sweep(&self, say: impl Fn(&Subject, Origin) -> bool) {
        let now = self.sweeps.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        for part in &self.parts {
            part.lock().retain(|subject, course| {
                let quiet = now.wrapping_sub(course.at);
                if QUIET.get(course.told).is_some_and(|limit| quiet >= *limit)
                    && (course.last.sequence == 0 || say(subject, course.last))
                {
                    course.told += 1;
                }
                course.told < QUIET.len()
            });
        }
    }

    fn part(&self, subject: &Subject) -> &Mutex<HashMap<Subject, Course>> {
        let part = self.hasher.hash_one(subject.as_str()) % PARTS as u64;
        &self.parts[usize::try_from(part).expect("below a length")]
    }
}

// === impl Course ===

impl Course {
    fn new(process: u32) -> Self {
        let publisher = u64::from(process) << 32 | u64::from(fastrand::u32(..));
        let last = Origin {
            publisher,
            sequence: 0,
        };
        Self {
            last,
            at: 0,
            told: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::port::BusError;

    fn subject(name: &str) -> Subject {
        Subject::new(name).expect("a subject")
    }

    /// Publishes; gives the number, and whether the lane took it as `taken`.
    fn publish(origins: &Origins, name: &str, taken: bool) -> Origin {
        let mut given = Origin::UNKNOWN;
        origins.number(&subject(name), |origin| {
            given = origin;
            match taken {
                true => Offered::Queued,
                false => Offered::Ended((None, Err(BusError::Overloaded))),
            }
        });
        given
    }

    fn said(origins: &Origins, heard: bool) -> Vec<(String, u64)> {
        let said = RefCell::new(Vec::new());
        origins.sweep(|subject, origin| {
            let entry = (subject.as_str().to_owned(), origin.sequence);
            said.borrow_mut().push(entry);
            heard
        });
        said.into_inner()
    }

    #[test]
    fn each_subject_is_numbered_by_itself_and_without_holes() {
        let origins = Origins::new();
        let first = publish(&origins, "a", true);
        let second = publish(&origins, "a", true);
        let other = publish(&origins, "b", true);
        assert_eq!((first.sequence, second.sequence, other.sequence), (1, 2, 1));
        assert_eq!(first.publisher, second.publisher);
        assert_ne!(first.publisher, other.publisher);
        assert_eq!(publish(&origins, "a", false).sequence, 3);
        assert_eq!(publish(&origins, "a", true).sequence, 3);
    }

    #[test]
    fn a_quiet_subject_is_told_of_twice_and_forgotten() {
        let origins = Origins::new();
        let first = publish(&origins, "a", true);
        let told: Vec<_> = (1..=20).map(|_| said(&origins, true).len()).collect();
        let expected: Vec<_> = (1..=20)
            .map(|sweep| usize::from(QUIET.contains(&sweep)))
            .collect();
        assert_eq!(told, expected);
        let again = publish(&origins, "a", true);
        assert_ne!(again.publisher, first.publisher);
        assert_eq!(again.sequence, 1);
    }

    #[test]
    fn what_could_not_be_said_is_said_later() {
        let origins = Origins::new();
        publish(&origins, "a", true);
        let last = publish(&origins, "a", true).sequence;
        for _ in 0..100 {
            said(&origins, false);
        }
        assert_eq!(said(&origins, true), [("a".to_owned(), last)]);
        assert_eq!(publish(&origins, "a", true).sequence, last + 1);
    }

    #[test]
    fn what_no_lane_took_is_not_told_of() {
        let origins = Origins::new();
        publish(&origins, "a", false);
        for _ in 0..100 {
            assert_eq!(said(&origins, true), []);
        }
    }

    #[test]
    fn the_table_is_bounded() {
        let origins = Origins::new();
        let numbered = (0..2 * PARTS * MAX_SUBJECTS)
            .filter(|number| publish(&origins, &format!("s.{number}"), true) != Origin::UNKNOWN);
        assert!(numbered.count() <= PARTS * MAX_SUBJECTS);
    }
}
