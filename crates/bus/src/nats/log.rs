//! Logs: streams that republish what they store, and what we know of them.
//!
//! A process knows the logs that it has declared, and by them which subjects
//! have one. It asks each stream's leader after every outage, and every few
//! seconds, whether it is still the same stream: an [`Epoch`] is the moment of
//! a stream's creation.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::{Instant, MissedTickBehavior},
};
use wire::{Epoch, Offset};

use super::{
    chain::Chain,
    headers,
    log_api::{self, StreamInfo},
    log_config::{self, Republished},
    log_errands::Errands,
    log_streams::Streams,
    log_tails::Tails,
};
use crate::{
    port::{BusError, BusState, Done, Log, LogLimits, Outgoing, Published, Sink},
    subject::{Pattern, Subject},
};

/// How long a stream may take to acknowledge a message.
const ACKNOWLEDGEMENT: Duration = Duration::from_secs(5);

/// Bounds of what waits for acknowledgement: an election's worth of messages,
/// and no more memory than one well-filled queue.
const UNACKNOWLEDGED: usize = 32_768;
const UNACKNOWLEDGED_BYTES: usize = 64 << 20;

/// How often streams are asked who they are, and at most how often if they are
/// suspected.
const ACQUAINTANCE: Duration = Duration::from_secs(5);
const SUSPICION: Duration = Duration::from_millis(500);

/// Every so many of those, subscriptions look at the tails of their logs.
const ROUND: u64 = 6;

/// How long an outage may last before it is noticed; added to its length.
const UNNOTICED: Duration = Duration::from_secs(10);

/// Questions to the leaders of streams about subjects without messages.
const QUESTIONS: usize = 64;

/// A stream whose newest sequence is behind what it was for so many
/// acquaintances has lost what was between; before, its leader may be catching
/// up.
const REGRESSIONS: u32 = 3;

/// All logs that this process knows.
pub(super) struct Logs {
    pub(super) streams: Streams,
    pub(super) errands: Arc<Errands>,
    // A lock: read for every publication, written by declarations.
    known: RwLock<Vec<Arc<LogStream>>>,
    unacknowledged: Arc<Unacknowledged>,
    questions: Semaphore,
    state: watch::Receiver<BusState>,
    signal: watch::Sender<Signal>,
    suspected: Notify,
}

/// Tells subscriptions to compare themselves with their logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signal {
    /// Messages may have been missed.
    pub(super) disturbances: u64,
    /// Nothing has happened, but time has passed.
    pub(super) rounds: u64,
}

/// One log.
pub(super) struct LogStream {
    pub(super) stream: Box<str>,
    patterns: Vec<Pattern>,
    republished: Republished,
    tails: Arc<Tails>,
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

/// The part of a subscription that one SUB at the server makes up.
pub(super) struct Leg {
    pub(super) subject: String,
    pub(super) chain: Option<Chain>,
    /// Subjects that match these come by another leg.
    pub(super) except: Vec<Pattern>,
}

struct Known {
    limits: LogLimits,
    identity: Identity,
    created: String,
    last: u64,
    regressions: u32,
}

#[derive(Default)]
struct Unacknowledged {
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

// === impl Logs ===

impl Logs {
    pub(super) fn new(
        streams: Streams,
        errands: Arc<Errands>,
        state: watch::Receiver<BusState>,
    ) -> Self {
        Self {
            streams,
            errands,
            known: RwLock::new(Vec::new()),
            unacknowledged: Arc::new(Unacknowledged::default()),
            questions: Semaphore::new(QUESTIONS),
            state,
            signal: watch::Sender::new(Signal::default()),
            suspected: Notify::new(),
        }
    }

    /// Makes the stream, or makes it what is declared.
    pub(super) fn declare(self: &Arc<Self>, log: Log, done: Done<()>) {
        let logs = Arc::clone(self);
        let work = async move {
            let wanted = log_config::of_log(&log, logs.streams.replicas);
            let info = logs.streams.ensure(&wanted).await?;
            logs.learn(log, &info);
            Ok(())
        };
        self.errands.run_for(work, done);
    }

    fn learn(&self, log: Log, info: &StreamInfo) {
        let stream = log_config::log_stream(&log.name);
        let mut known = self.known.write();
        let present = known.iter().position(|known| known.stream == stream);
        let present = present.map(|index| known.swap_remove(index));
        let learned = LogStream::new(stream, log, info, present.as_deref());
        known.push(Arc::new(learned));
    }

    /// The log of a subject.
    pub(super) fn of(&self, subject: &Subject) -> Option<Arc<LogStream>> {
        let known = self.known.read();
        known.iter().find(|log| log.keeps(subject)).cloned()
    }

    /// What to subscribe to at the server, so that all that matches `pattern`
    /// comes once. A log counts for subscriptions made after its declaration.
    pub(super) fn legs(self: &Arc<Self>, pattern: &Pattern, sink: &Arc<dyn Sink>) -> Vec<Leg> {
        let exact = pattern.as_subject();
        let logs: Vec<_> = match &exact {
            Some(subject) => self.of(subject).into_iter().collect(),
            None => {
                let known = self.known.read();
                known
                    .iter()
                    .filter(|log| log.touches(pattern))
                    .cloned()
                    .collect()
            }
        };
        let covered = logs.iter().any(|log| log.covers(pattern));
        let plain = (!covered).then(|| Leg {
            subject: pattern.as_str().to_owned(),
            chain: None,
            except: logs.iter().flat_map(|log| log.patterns.clone()).collect(),
        });
        let logged = logs.into_iter().map(|log| Leg {
            subject: log.republished.subject(pattern.as_str()),
            chain: Some(Chain::new(
                Arc::clone(self),
                log,
                pattern.clone(),
                Arc::clone(sink),
            )),
            except: Vec::new(),
        });
        plain.into_iter().chain(logged).collect()
    }

    /// Publishes to a subject that has a log: done when the log has it.
    pub(super) fn publish(&self, outgoing: &Outgoing, done: Done<Published>) {
        let bytes = outgoing.payload.len();
        if !self.unacknowledged.enter(bytes) {
            return done(Err(BusError::Overloaded));
        }
        let mut headers = headers::of_outgoing(outgoing);
        if !outgoing.message_id.is_empty() {
            // A stream holds many subjects, and an id counts for one.
            let id = format!("{} {}", outgoing.message_id, outgoing.subject);
            headers.insert("Nats-Msg-Id", id);
        }
        let unacknowledged = Arc::clone(&self.unacknowledged);
        let done: Done<async_nats::Message> = Box::new(move |outcome| {
            unacknowledged.leave(bytes);
            let outcome = match outcome {
                Err(BusError::NoResponders) => Err(BusError::Unavailable),
                outcome => outcome,
            };
            done(outcome.and_then(|answer| {
                let ack = log_api::acknowledged(&answer.payload)?;
                Ok(Published {
                    offset: Offset(ack.seq),
                    duplicate: ack.duplicate,
                })
            }));
        });
        let (subject, payload) = (outgoing.subject.to_string(), outgoing.payload.clone());
        let inbox = self.streams.inbox();
        inbox.call(subject, Some(headers), payload, ACKNOWLEDGEMENT, done);
    }

    /// The newest offset of a subject that some replica knows.
    pub(super) async fn tail(
        &self,
        log: &LogStream,
        subject: Subject,
    ) -> Result<Option<u64>, BusError> {
        let (streams, errands) = (&self.streams, &self.errands);
        log.tails.ask(streams, errands, &log.stream, subject).await
    }

    /// A subject's position: the offset of its newest message. If the log holds
    /// none, an offset up to which there is none any more.
    pub(super) async fn position(
        &self,
        log: &LogStream,
        subject: &Subject,
    ) -> Result<u64, BusError> {
        if let Some(tail) = self.tail(log, subject.clone()).await? {
            return Ok(tail);
        }
        let _turn = self.questions.acquire().await;
        // The leader counts messages after it looked at the newest sequence, so
        // a subject without any has none up to there.
        let info = self
            .streams
            .info(&log.stream, Some(subject.as_str()))
            .await?;
        if info.state.subjects.is_empty() {
            return Ok(info.state.last_seq);
        }
        let newest = self.streams.newest(&log.stream, subject.as_str()).await?;
        Ok(newest.map_or(info.state.last_seq, |message| message.seq))
    }

    /// The newest offset of all of a log's subjects.
    pub(super) async fn newest_of_all(&self, log: &LogStream) -> Result<u64, BusError> {
        let _turn = self.questions.acquire().await;
        Ok(self.streams.info(&log.stream, None).await?.state.last_seq)
    }

    /// Waits until the bus carries messages.
    pub(super) async fn up(&self) {
        let mut state = self.state.clone();
        // A bus that has ended is not waited for.
        let _ended = state.wait_for(|state| *state == BusState::Up).await;
    }

    pub(super) fn signal(&self) -> watch::Receiver<Signal> {
        self.signal.subscribe()
    }

    /// Messages may have been missed: subscriptions compare themselves with
    /// their logs.
    pub(super) fn disturb(&self) {
        self.signal.send_modify(|signal| signal.disturbances += 1);
    }

    /// A log looks as if it had begun anew.
    pub(super) fn suspect(&self) {
        self.suspected.notify_one();
    }

    /// Stays acquainted with the streams. Never ends.
    pub(super) async fn run(&self) {
        let mut state = self.state.clone();
        let mut ticks = tokio::time::interval(ACQUAINTANCE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut down_since = None;
        let mut count = 0_u64;
        loop {
            let (round, changed) = tokio::select! {
                _ = ticks.tick() => (true, state.has_changed().unwrap_or(false)),
                () = self.suspected.notified() => (false, state.has_changed().unwrap_or(false)),
                Ok(()) = state.changed() => (false, true),
            };
            if *state.borrow_and_update() != BusState::Up {
                down_since.get_or_insert_with(Instant::now);
                continue;
            }
            let outage = match down_since.take() {
                Some(since) => Some(Instant::elapsed(&since)),
                // It was down and is up again.
                None => changed.then_some(Duration::ZERO),
            };
            let anew = self.acquaint(outage).await;
            if anew || outage.is_some() {
                self.disturb();
            }
            count += u64::from(round);
            if round && count.is_multiple_of(ROUND) {
                self.signal.send_modify(|signal| signal.rounds += 1);
            }
            tokio::time::sleep(SUSPICION).await;
        }
    }

    /// Asks every stream who it is; whether one began anew.
    async fn acquaint(&self, outage: Option<Duration>) -> bool {
        let logs = self.known.read().clone();
        let mut anew = false;
        for log in logs {
            if let Some(outage) = outage {
                log.known.lock().was_away(outage);
            }
            // One that does not answer is asked again in a while.
            if let Ok(info) = self.streams.info(&log.stream, None).await {
                anew |= log.known.lock().compare(&info);
            }
        }
        anew
    }
}

// === impl LogStream ===

impl LogStream {
    fn new(stream: Box<str>, log: Log, info: &StreamInfo, present: Option<&Self>) -> Self {
        let known = match present {
            Some(present) => {
                let known = Arc::clone(&present.known);
                let mut state = known.lock();
                state.limits = log.limits;
                state.compare(info);
                drop(state);
                known
            }
            None => Arc::new(Mutex::new(Known::new(log.limits, info))),
        };
        Self {
            stream,
            republished: Republished::of(&log),
            patterns: log.patterns,
            tails: Arc::default(),
            known,
        }
    }

    pub(super) fn identity(&self) -> Identity {
        self.known.lock().identity.clone()
    }

    pub(super) fn limits(&self) -> LogLimits {
        self.known.lock().limits
    }

    fn keeps(&self, subject: &Subject) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(subject))
    }

    /// Whether some subject that the log keeps matches.
    fn touches(&self, pattern: &Pattern) -> bool {
        self.patterns.iter().any(|own| own.overlaps(pattern))
    }

    /// Whether the log keeps every subject that matches.
    fn covers(&self, pattern: &Pattern) -> bool {
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
            regressions: 0,
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
            (self.last, self.regressions) = (last, 0);
            return false;
        }
        self.regressions += 1;
        if self.regressions < REGRESSIONS {
            return false;
        }
        self.begin_anew(last, last);
        true
    }

    fn begin_anew(&mut self, start: u64, last: u64) {
        self.identity.generation += 1;
        self.identity.start = start;
        (self.last, self.regressions) = (last, 0);
    }
}

// === impl Unacknowledged ===

impl Unacknowledged {
    fn enter(&self, bytes: usize) -> bool {
        let messages = self.messages.fetch_add(1, Ordering::Relaxed);
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // A single large message passes when nothing else waits.
        let fits =
            messages < UNACKNOWLEDGED && (waiting == 0 || waiting + bytes <= UNACKNOWLEDGED_BYTES);
        if !fits {
            self.leave(bytes);
        }
        fits
    }

    fn leave(&self, bytes: usize) {
        self.messages.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}
