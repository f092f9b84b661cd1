//! How far each subject of a subscription has been delivered. Pure.
//!
//! One number for a subscription to one subject. For a wildcard 16 bytes for
//! each subject seen of late (by a 64-bit hash of its name: a collision makes
//! a missing message go unnoticed until the next check of the tail), and a
//! floor for the others. Subjects that were silent fall back to the floor when
//! there are many, so memory follows the subjects in use.

use std::hash::BuildHasher;

use foldhash::{HashMap, HashMapExt};

use crate::subject::Subject;

/// Subjects known before those that were silent are let go of.
const MANY: usize = 1 << 14;

/// Offsets of what was delivered last.
#[derive(Debug)]
pub(super) enum Heads {
    /// Of one subject.
    One(u64),
    /// Of all that a wildcard matches.
    Each(Box<Each>),
}

/// Offsets by subject; all are in the log of one stream, so that they compare.
#[derive(Debug)]
pub(super) struct Each {
    hasher: foldhash::fast::RandomState,
    by_subject: HashMap<u64, u64>,
    /// Every other subject was delivered up to here, or has nothing later.
    floor: u64,
    newest: u64,
    /// Nothing is missing up to here, as far as a check has told.
    verified: u64,
    /// How many subjects make the silent ones go.
    crowd: usize,
}

// === impl Heads ===

impl Heads {
    pub(super) fn one(offset: u64) -> Self {
        Self::One(offset)
    }

    pub(super) fn each(offset: u64) -> Self {
        Self::Each(Box::new(Each::new(offset)))
    }

    /// Everything up to `offset` is delivered, and nothing after it.
    pub(super) fn reset(&mut self, offset: u64) {
        match self {
            Self::One(head) => *head = offset,
            Self::Each(each) => **each = Each::new(offset),
        }
    }

    pub(super) fn of(&self, subject: &Subject) -> u64 {
        match self {
            Self::One(head) => *head,
            Self::Each(each) => each.of(subject),
        }
    }

    pub(super) fn set(&mut self, subject: &Subject, offset: u64) {
        match self {
            Self::One(head) => *head = offset,
            Self::Each(each) => each.set(subject, offset),
        }
    }

    /// From where on the log may hold what was not delivered.
    pub(super) fn verified(&self) -> u64 {
        match self {
            Self::One(head) => *head,
            Self::Each(each) => each.verified,
        }
    }

    /// The log was compared up to `offset`.
    pub(super) fn verify(&mut self, offset: u64) {
        if let Self::Each(each) = self {
            each.verified = each.verified.max(offset);
        }
    }

    /// The newest offset delivered, of any subject.
    pub(super) fn newest(&self) -> u64 {
        match self {
            Self::One(head) => *head,
            Self::Each(each) => each.newest,
        }
    }
}

// === impl Each ===

impl Each {
    fn new(offset: u64) -> Self {
        Self {
            hasher: foldhash::fast::RandomState::default(),
            by_subject: HashMap::new(),
            floor: offset,
            newest: offset,
            verified: offset,
            crowd: MANY,
        }
    }

    fn of(&self, subject: &Subject) -> u64 {
        let hash = self.hasher.hash_one(subject.as_str());
        let known = self.by_subject.get(&hash).copied();
        known.unwrap_or(0).max(self.floor)
    }

    fn set(&mut self, subject: &Subject, offset: u64) {
        let hash = self.hasher.hash_one(subject.as_str());
        self.by_subject.insert(hash, offset);
        self.newest = self.newest.max(offset);
        if self.by_subject.len() > self.crowd {
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        let floor = self.verified.max(self.floor);
        self.floor = floor;
        self.by_subject.retain(|_, offset| *offset > floor);
        self.crowd = MANY.max(2 * self.by_subject.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(number: usize) -> Subject {
        Subject::new(&format!("a.{number}")).expect("valid")
    }

    #[test]
    fn each_subject_has_its_own_head_above_the_floor() {
        let mut heads = Heads::each(10);
        assert_eq!(heads.of(&subject(1)), 10);
        heads.set(&subject(1), 12);
        heads.set(&subject(2), 11);
        let all = [1, 2, 3].map(|number| heads.of(&subject(number)));
        assert_eq!(all, [12, 11, 10]);
        assert_eq!((heads.newest(), heads.verified()), (12, 10));
    }

    #[test]
    fn silent_subjects_fall_to_what_was_verified() {
        let mut heads = Heads::each(0);
        for number in 0..MANY {
            heads.set(&subject(number), number as u64 + 1);
        }
        heads.verify(MANY as u64);
        heads.set(&subject(MANY), MANY as u64 + 1);
        let Heads::Each(each) = &heads else {
            unreachable!("made so")
        };
        assert_eq!(each.by_subject.len(), 1);
        assert_eq!(heads.of(&subject(0)), MANY as u64);
        assert_eq!(heads.of(&subject(MANY)), MANY as u64 + 1);
    }

    #[test]
    fn subjects_not_verified_are_kept() {
        let mut heads = Heads::each(0);
        for number in 0..=MANY {
            heads.set(&subject(number), number as u64 + 1);
        }
        assert_eq!(heads.of(&subject(0)), 1);
        assert_eq!(heads.of(&subject(MANY)), MANY as u64 + 1);
    }

    #[test]
    fn a_reset_forgets_every_subject() {
        let mut heads = Heads::each(0);
        heads.set(&subject(1), 500);
        heads.reset(0);
        assert_eq!((heads.of(&subject(1)), heads.newest()), (0, 0));
    }
}
