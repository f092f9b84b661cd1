//! Publishing and subscribing: which subjects exist, and who matches them.
//!
//! A subject has a [`SubjectState`] only while somebody subscribes to it or
//! logs it; publishing to nobody leaves nothing behind. States that exist for
//! a wildcard's or an old log's sake are *retired* when idle: marked under
//! their own lock, then removed from the directory. Who still holds a retired
//! state finds that out when using it, and looks again.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::RwLock;
use wire::{Epoch, Offset};

use super::{
    MemoryLimits,
    dedup::Dedup,
    log::Log,
    subject_state::{Attached, Refusal, Start, SubjectState},
};
use crate::port::{
    BusError, Done, HistoryPage, HistoryRead, LogLimits, Message, Outgoing, Position, Published,
    Sink, Subscribed, SubscriptionToken,
};
use crate::subject::{Pattern, Subject};

/// Below this many states none is looked at for being idle.
const SWEEP_FLOOR: usize = 4_096;

pub(super) struct Subjects {
    /// Read by every publication, written when subscriptions come and go.
    directory: RwLock<Directory>,
    dedup: Arc<Dedup>,
    epoch: Epoch,
    /// The highest offset of any retired log: new logs start after it.
    floor: AtomicU64,
}

struct Directory {
    limits: MemoryLimits,
    states: HashMap<Subject, Arc<SubjectState>, foldhash::fast::RandomState>,
    exact: HashMap<SubscriptionToken, Subject, foldhash::fast::RandomState>,
    wildcards: Vec<Wildcard>,
    logs: Vec<(Pattern, LogLimits)>,
    /// With so many states it is time to look for idle ones.
    sweep_at: usize,
}

struct Wildcard {
    pattern: Pattern,
    attached: Attached,
    /// Not confirmed yet: new states that match start with a hold.
    opening: bool,
}

// === impl Subjects ===

impl Subjects {
    pub(super) fn new(limits: MemoryLimits) -> Self {
        let directory = Directory {
            limits,
            states: HashMap::default(),
            exact: HashMap::default(),
            wildcards: Vec::new(),
            logs: Vec::new(),
            sweep_at: SWEEP_FLOOR,
        };
        Self {
            directory: RwLock::new(directory),
            dedup: Arc::default(),
            epoch: random_epoch(),
            floor: AtomicU64::new(0),
        }
    }

    pub(super) fn publish(&self, mut outgoing: Outgoing, mut done: Done<Published>) {
        if !outgoing.message_id.is_empty() && self.is_logged(&outgoing.subject) {
            let message_id = std::mem::take(&mut outgoing.message_id);
            match self.dedup.claim(outgoing.subject.clone(), message_id, done) {
                Some(first) => done = first,
                None => return,
            }
        }
        loop {
            let Some(state) = self.state_of(&outgoing.subject) else {
                done(Ok(Published {
                    offset: Offset::NONE,
                    duplicate: false,
                }));
                return;
            };
            match state.take(outgoing) {
                Ok(taken) => {
                    done(Ok(taken.published));
                    if let Some(first) = taken.delivery {
                        state.drain(first);
                    }
                    return;
                }
                Err(Refusal::Full) => return done(Err(BusError::Overloaded)),
                Err(Refusal::Retired(returned)) => outgoing = returned,
            }
            self.forget(&state);
        }
    }

    pub(super) fn subscribe(
        &self,
        token: SubscriptionToken,
        pattern: Pattern,
        sink: Arc<dyn Sink>,
        done: Done<Subscribed>,
    ) {
        match pattern.as_subject() {
            Some(subject) => {
                self.subscribe_exact(
                    subject,
                    Attached {
                        token,
                        sink,
                        exact: true,
                    },
                    done,
                );
            }
            None => self.subscribe_wildcard(
                pattern,
                Attached {
                    token,
                    sink,
                    exact: false,
                },
                done,
            ),
        }
    }

    fn subscribe_exact(&self, subject: Subject, attached: Attached, done: Done<Subscribed>) {
        let token = attached.token;
        let (state, last) = loop {
            let state = {
                let mut directory = self.directory.write();
                directory.exact.insert(token, subject.clone());
                directory.state_or_new(&subject, self.floor())
            };
            match state.attach(attached.clone()) {
                Ok(last) => break (state, last),
                Err(_retired) => self.forget(&state),
            }
        };
        self.sweep_if_due();
        let position = last.map(|offset| Position {
            epoch: self.epoch.clone(),
            offset,
        });
        done(Ok(Subscribed { position }));
        state.release(token);
    }

    fn subscribe_wildcard(&self, pattern: Pattern, attached: Attached, done: Done<Subscribed>) {
        let token = attached.token;
        let wildcard = Wildcard {
            pattern: pattern.clone(),
            attached: attached.clone(),
            opening: true,
        };
        let known = {
            let mut directory = self.directory.write();
            directory.wildcards.push(wildcard);
            directory.matching(&pattern)
        };
        for state in known {
            // A retired one comes back, if ever, with this pattern in it.
            let _ = state.attach(attached.clone());
        }
        done(Ok(Subscribed { position: None }));
        let held = {
            let mut directory = self.directory.write();
            directory.open(token);
            directory.matching(&pattern)
        };
        for state in held {
            state.release(token);
        }
    }

    /// Whether `token` named a subscription.
    pub(super) fn unsubscribe(&self, token: SubscriptionToken) -> bool {
        let (found, states, _wildcard) = self.directory.write().remove(token);
        for state in states {
            state.detach(token);
            if state.retire(&self.floor) {
                self.forget(&state);
            }
        }
        found
    }

    pub(super) fn declare_log(&self, pattern: Pattern, limits: LogLimits) {
        let affected = {
            let mut directory = self.directory.write();
            match directory
                .logs
                .iter_mut()
                .find(|(known, _)| *known == pattern)
            {
                Some((_, known)) => *known = limits,
                None => directory.logs.push((pattern.clone(), limits)),
            }
            let states = directory.matching(&pattern).into_iter();
            let limited = |state: Arc<SubjectState>| {
                let limits = directory.log_limits(state.subject())?;
                Some((state, limits))
            };
            states.filter_map(limited).collect::<Vec<_>>()
        };
        for (state, limits) in affected {
            state.keep_log(limits, self.floor());
        }
    }

    pub(super) fn history(&self, read: &HistoryRead) -> Result<HistoryPage, BusError> {
        let state = self.state_of(&read.subject).ok_or(BusError::NoLog)?;
        let (page, more, offset) = state.read(read)?;
        let messages = page.iter().map(|message| Message::clone(message)).collect();
        let position = Position {
            epoch: self.epoch.clone(),
            offset,
        };
        Ok(HistoryPage {
            messages,
            position,
            more,
        })
    }

    /// Frees aged messages, and states that nothing needs any more.
    pub(super) fn sweep(&self) {
        self.dedup.sweep();
        let states: Vec<_> = self.directory.read().states.values().cloned().collect();
        for state in states {
            if state.retire(&self.floor) {
                self.forget(&state);
            }
        }
        let mut directory = self.directory.write();
        directory.sweep_at = SWEEP_FLOOR.max(2 * directory.states.len());
    }

    /// The state of a subject that somebody subscribes to or logs.
    fn state_of(&self, subject: &Subject) -> Option<Arc<SubjectState>> {
        {
            let directory = self.directory.read();
            if let Some(state) = directory.states.get(subject) {
                return Some(Arc::clone(state));
            }
            if !directory.is_of_interest(subject) {
                return None;
            }
        }
        let state = self.directory.write().state_or_new(subject, self.floor());
        self.sweep_if_due();
        Some(state)
    }

    fn is_logged(&self, subject: &Subject) -> bool {
        self.state_of(subject)
            .is_some_and(|state| state.is_logged())
    }

    fn sweep_if_due(&self) {
        let due = {
            let directory = self.directory.read();
            directory.states.len() >= directory.sweep_at
        };
        if due {
            self.sweep();
        }
    }

    /// Removes a retired state, if that has not happened yet.
    fn forget(&self, state: &Arc<SubjectState>) {
        let mut directory = self.directory.write();
        let current = directory.states.get(state.subject());
        if current.is_some_and(|known| Arc::ptr_eq(known, state)) {
            directory.states.remove(state.subject());
        }
    }

    fn floor(&self) -> Offset {
        Offset(self.floor.load(Ordering::Relaxed))
    }
}

// === impl Directory ===

impl Directory {
    fn is_of_interest(&self, subject: &Subject) -> bool {
        self.wildcards
            .iter()
            .any(|wildcard| wildcard.pattern.matches(subject))
            || self.log_limits(subject).is_some()
    }

    /// Of several patterns that match, the one declared first counts.
    fn log_limits(&self, subject: &Subject) -> Option<LogLimits> {
        let matching = self
            .logs
            .iter()
            .find(|(pattern, _)| pattern.matches(subject));
        matching.map(|(_, limits)| *limits)
    }

    fn state_or_new(&mut self, subject: &Subject, floor: Offset) -> Arc<SubjectState> {
        if let Some(state) = self.states.get(subject) {
            return Arc::clone(state);
        }
        let matching = || {
            self.wildcards
                .iter()
                .filter(|known| known.pattern.matches(subject))
        };
        let opening = matching().filter(|wildcard| wildcard.opening);
        let start = Start {
            limits: self.limits,
            sinks: matching()
                .map(|wildcard| wildcard.attached.clone())
                .collect(),
            holds: opening.map(|wildcard| wildcard.attached.token).collect(),
            log: self
                .log_limits(subject)
                .map(|limits| Log::new(limits, self.limits.log_bytes, floor)),
        };
        let state = Arc::new(SubjectState::new(subject.clone(), start));
        self.states.insert(subject.clone(), Arc::clone(&state));
        state
    }

    fn matching(&self, pattern: &Pattern) -> Vec<Arc<SubjectState>> {
        let matching = self
            .states
            .values()
            .filter(|state| pattern.matches(state.subject()));
        matching.cloned().collect()
    }

    fn open(&mut self, token: SubscriptionToken) {
        let wildcard = self
            .wildcards
            .iter_mut()
            .find(|known| known.attached.token == token);
        if let Some(wildcard) = wildcard {
            wildcard.opening = false;
        }
    }

    /// Takes a subscription out; gives whether it was there, the states it is
    /// attached to, and what must be dropped after the lock.
    fn remove(
        &mut self,
        token: SubscriptionToken,
    ) -> (bool, Vec<Arc<SubjectState>>, Option<Wildcard>) {
        if let Some(subject) = self.exact.remove(&token) {
            return (
                true,
                self.states.get(&subject).cloned().into_iter().collect(),
                None,
            );
        }
        let index = self
            .wildcards
            .iter()
            .position(|known| known.attached.token == token);
        let Some(index) = index else {
            return (false, Vec::new(), None);
        };
        let wildcard = self.wildcards.remove(index);
        let states = self.matching(&wildcard.pattern);
        (true, states, Some(wildcard))
    }
}

/// A name for this bus's logs that no other bus has had.
fn random_epoch() -> Epoch {
    use std::hash::{BuildHasher, RandomState};
    // The standard hasher is keyed from the system's randomness.
    Epoch::new(&format!(
        "{:016x}",
        RandomState::new().hash_one(std::process::id())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ignore;

    impl Sink for Ignore {
        fn deliver(&self, _: &Message) {}

        fn lost(&self, _dropped: u64) {}
    }

    fn publish(subjects: &Subjects, to: &str) {
        let subject = Subject::new(to).expect("valid");
        let (key, message_id) = ("".into(), "".into());
        let payload = "payload".into();
        let outgoing = Outgoing {
            subject,
            payload,
            key,
            published_at_us: 0,
            message_id,
            traceparent: Box::default(),
        };
        subjects.publish(outgoing, Box::new(|outcome| assert!(outcome.is_ok())));
    }

    fn subscribe(subjects: &Subjects, token: u64, to: &str) -> SubscriptionToken {
        let (token, pattern) = (SubscriptionToken(token), Pattern::new(to).expect("valid"));
        subjects.subscribe(token, pattern, Arc::new(Ignore), Box::new(drop));
        token
    }

    fn states(subjects: &Subjects) -> usize {
        subjects.directory.read().states.len()
    }

    #[test]
    fn publishing_to_nobody_leaves_nothing_behind() {
        let subjects = Subjects::new(MemoryLimits::default());
        publish(&subjects, "a");
        assert_eq!(states(&subjects), 0);
    }

    #[test]
    fn a_subject_goes_with_its_last_subscription() {
        let subjects = Subjects::new(MemoryLimits::default());
        let (one, two) = (subscribe(&subjects, 1, "a"), subscribe(&subjects, 2, "a"));
        assert!(subjects.unsubscribe(one));
        assert_eq!(states(&subjects), 1);
        assert!(subjects.unsubscribe(two));
        assert_eq!(states(&subjects), 0);
        assert!(!subjects.unsubscribe(two));
    }

    #[test]
    fn subjects_of_a_wildcard_are_forgotten_when_they_become_many() {
        let subjects = Subjects::new(MemoryLimits::default());
        subscribe(&subjects, 1, "a.*");
        let kept = subscribe(&subjects, 2, "a.kept");
        for number in 0..3 * SWEEP_FLOOR {
            publish(&subjects, &format!("a.{number}"));
        }
        assert!(states(&subjects) <= SWEEP_FLOOR);
        subjects.sweep();
        assert_eq!(states(&subjects), 1);
        subjects.unsubscribe(kept);
        assert_eq!(states(&subjects), 0);
    }

    #[test]
    fn a_log_keeps_its_subject_while_it_holds_messages() {
        let subjects = Subjects::new(MemoryLimits::default());
        let limits = LogLimits {
            messages: 1,
            age: std::time::Duration::from_secs(3_600),
        };
        subjects.declare_log(Pattern::new("a").expect("valid"), limits);
        let token = subscribe(&subjects, 1, "a");
        publish(&subjects, "a");
        subjects.unsubscribe(token);
        subjects.sweep();
        assert_eq!(states(&subjects), 1);
    }
}
