//! What a process knows of one log: what it keeps, and which it is.
//!
//! An [`Epoch`] is the moment of a stream's creation. A stream under the same
//! name with another one has nothing in common with the one before.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;
use wire::Epoch;

use super::{
    log_api::{self, StreamInfo},
    log_config::{self, Config, Republished},
    log_tails::Tails,
};
use crate::{
    port::{Log, LogLimits},
    subject::{Pattern, Subject},
};

/// How long an outage may last before it is noticed; added to its length.
const UNNOTICED: Duration = Duration::from_secs(10);

/// A stream whose newest sequence is behind what it was for so long has lost
/// what was between; before, its new leader may be catching up.
const REGRESSION: Duration = Duration::from_secs(10);

/// One log.
pub(super) struct LogStream {
    pub(super) stream: Box<str>,
    pub(super) patterns: Vec<Pattern>,
    pub(super) republished: Republished,
    pub(super) config: Config,
    pub(super) tails: Arc<Tails>,
    // A lock: a few words, copied out.
    known: Arc<Mutex<Known>>,
}

/// Tells a log from the one that was there before under its name.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) epoch: Epoch,
    /// Grows when the log begins anew.
    pub(super) generation: u64,
    /// When it began anew: offsets after this one are new.
    pub(super) start: u64,
    /// Grows with each outage that may have outlived messages.
    pub(super) absences: u64,
}

struct Known {
    limits: LogLimits,
    identity: Identity,
    created: String,
    last: u64,
    regressed: Option<Instant>,
}

// === impl LogStream ===

impl LogStream {
    pub(super) fn new(log: Log, config: Config, info: &StreamInfo, present: Option<&Self>) -> Self {
        let known = match present {
            Some(present) => {
                let known = Arc::clone(&present.known);
                let mut state = known.lock();
                state.limits = log.limits;
                if state.compare(info) {
                    present.tails.forget(info.state.last_seq);
                }
                drop(state);
                known
            }
            None => Arc::new(Mutex::new(Known::new(log.limits, info))),
        };
        let tails = present.map(|present| Arc::clone(&present.tails));
        Self {
            stream: log_config::log_stream(&log.name),
            republished: Republished::of(&log),
            patterns: log.patterns,
            config,
            tails: tails.unwrap_or_default(),
            known,
        }
    }

    pub(super) fn identity(&self) -> Identity {
        self.known.lock().identity.clone()
    }

    pub(super) fn limits(&self) -> LogLimits {
        self.known.lock().limits
    }

    /// A message of the log came: no replica's answer should be older.
    pub(super) fn reach(&self, sequence: u64) {
        self.tails.reach(sequence);
    }

    /// The bus could not be reached for so long.
    pub(super) fn was_away(&self, outage: Duration) {
        self.known.lock().was_away(outage);
    }

    /// Whether the stream began anew since it was last asked.
    pub(super) fn compare(&self, info: &StreamInfo) -> bool {
        let anew = self.known.lock().compare(info);
        if anew {
            self.tails.forget(info.state.last_seq);
        }
        anew
    }

    pub(super) fn keeps(&self, subject: &Subject) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(subject))
    }

    /// Whether some subject that the log keeps matches.
    pub(super) fn touches(&self, pattern: &Pattern) -> bool {
        self.patterns.iter().any(|own| own.overlaps(pattern))
    }

    /// Whether the log keeps every subject that matches.
    pub(super) fn covers(&self, pattern: &Pattern) -> bool {
        self.patterns.iter().any(|own| own.includes(pattern))
    }
}

// === impl Known ===

impl Known {
    fn new(limits: LogLimits, info: &StreamInfo) -> Self {
        let identity = Identity {
            epoch: log_api::epoch(&info.created),
            generation: 0,
            start: 0,
            absences: 0,
        };
        Self {
            limits,
            identity,
            created: info.created.clone(),
            last: info.state.last_seq,
            regressed: None,
        }
    }

    fn was_away(&mut self, outage: Duration) {
        if outage + UNNOTICED >= self.limits.age {
            self.identity.absences += 1;
        }
    }

    /// Whether the stream began anew since it was last asked.
    fn compare(&mut self, info: &StreamInfo) -> bool {
        let last = info.state.last_seq;
        if info.created != self.created {
            self.created.clone_from(&info.created);
            self.identity.epoch = log_api::epoch(&info.created);
            self.begin_anew(0, last);
            return true;
        }
        if last >= self.last {
            (self.last, self.regressed) = (last, None);
            return false;
        }
        let since = *self.regressed.get_or_insert_with(Instant::now);
        if since.elapsed() < REGRESSION {
            return false;
        }
        self.begin_anew(last, last);
        true
    }

    fn begin_anew(&mut self, start: u64, last: u64) {
        self.identity.generation += 1;
        self.identity.start = start;
        (self.last, self.regressed) = (last, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(created: &str, last: u64) -> StreamInfo {
        let text =
            format!(r#"{{"created":"{created}","config":{{}},"state":{{"last_seq":{last}}}}}"#);
        log_api::answered(text.as_bytes()).expect("an answer")
    }

    fn known() -> Known {
        let limits = LogLimits {
            messages: 10,
            age: Duration::from_secs(60),
        };
        Known::new(limits, &info("2026-01-01T00:00:00Z", 7))
    }

    #[test]
    fn a_stream_of_the_same_name_made_later_is_another_log() {
        let mut known = known();
        let epoch = known.identity.epoch.clone();
        assert!(!known.compare(&info("2026-01-01T00:00:00Z", 9)));
        assert!(known.compare(&info("2026-01-01T00:00:01Z", 0)));
        assert_ne!(known.identity.epoch, epoch);
        assert_eq!((known.identity.generation, known.identity.start), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_stays_behind_has_lost_its_end() {
        let mut known = known();
        assert!(!known.compare(&info("2026-01-01T00:00:00Z", 5)));
        tokio::time::advance(REGRESSION / 2).await;
        assert!(!known.compare(&info("2026-01-01T00:00:00Z", 7)));
        assert!(!known.compare(&info("2026-01-01T00:00:00Z", 6)));
        tokio::time::advance(REGRESSION).await;
        assert!(known.compare(&info("2026-01-01T00:00:00Z", 6)));
        assert_eq!((known.identity.generation, known.identity.start), (1, 6));
    }

    #[test]
    fn an_absence_counts_if_messages_may_have_aged_meanwhile() {
        let mut known = known();
        known.was_away(Duration::from_secs(40));
        assert_eq!(known.identity.absences, 0);
        known.was_away(Duration::from_secs(50));
        assert_eq!(known.identity.absences, 1);
    }
}
