//! Logs: streams that republish what they store, and what we know of them.
//!
//! A process knows the logs that it has declared, and by them which subjects
//! have one. It asks each stream's leader after every outage, and every few
//! seconds, whether it is still the same stream, and has subscriptions compare
//! themselves with their logs whenever something may have been missed.

use std::{sync::Arc, time::Duration};

use parking_lot::RwLock;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, MissedTickBehavior},
};

use super::{
    chain::Chain,
    log_api::StreamInfo,
    log_config::{self, Config},
    log_errands::Errands,
    log_publish::Unacknowledged,
    log_stream::LogStream,
    log_streams::Streams,
    options::NatsOptions,
};
use crate::{
    port::{BusError, BusState, Done, Log, Sink},
    subject::{Pattern, Subject},
};

/// How often streams are asked who they are, and at most how often if they are
/// suspected.
const ACQUAINTANCE: Duration = Duration::from_secs(5);
const SUSPICION: Duration = Duration::from_millis(500);

/// Every so many of those, subscriptions look at the tails of their logs.
const ROUND: u64 = 6;

/// Questions to the leaders of streams about subjects without messages.
const QUESTIONS: usize = 64;

/// Subscriptions that read their logs at a time: their pages share one inbox.
const READERS: usize = 64;

/// All logs that this process knows.
pub(super) struct Logs {
    pub(super) streams: Streams,
    pub(super) errands: Arc<Errands>,
    // A lock: read for every publication, written by declarations.
    known: RwLock<Vec<Arc<LogStream>>>,
    pub(super) unacknowledged: Arc<Unacknowledged>,
    questions: Semaphore,
    readers: Arc<Semaphore>,
    state: watch::Receiver<BusState>,
    signal: watch::Sender<Signal>,
    suspected: Notify,
    /// See [`NatsOptions::skip_chain_repair`].
    pub(super) skip_chain_repair: bool,
}

/// Tells subscriptions to compare themselves with their logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signal {
    /// Messages may have been missed.
    pub(super) disturbances: u64,
    /// Nothing has happened, but time has passed.
    pub(super) rounds: u64,
}

/// The part of a subscription that one SUB at the server makes up.
pub(super) struct Leg {
    pub(super) subject: String,
    pub(super) chain: Option<Chain>,
    /// Subjects that match these come by another leg.
    pub(super) except: Vec<Pattern>,
}

// === impl Logs ===

impl Logs {
    pub(super) fn new(
        streams: Streams,
        errands: Arc<Errands>,
        state: watch::Receiver<BusState>,
        options: &NatsOptions,
    ) -> Self {
        Self {
            streams,
            errands,
            known: RwLock::new(Vec::new()),
            unacknowledged: Arc::new(Unacknowledged::default()),
            questions: Semaphore::new(QUESTIONS),
            readers: Arc::new(Semaphore::new(READERS)),
            state,
            signal: watch::Sender::new(Signal::default()),
            suspected: Notify::new(),
            skip_chain_repair: options.skip_chain_repair,
        }
    }

    /// Makes the stream, or makes it what is declared.
    pub(super) fn declare(self: &Arc<Self>, log: Log, done: Done<()>) {
        let logs = Arc::clone(self);
        let work = async move {
            let wanted = log_config::of_log(&log, logs.streams.replicas);
            let info = logs.streams.ensure(&wanted).await?;
            logs.learn(log, wanted, &info);
            Ok(())
        };
        self.errands.run_for(work, done);
    }

    fn learn(&self, log: Log, config: Config, info: &StreamInfo) {
        let stream = log_config::log_stream(&log.name);
        let mut known = self.known.write();
        let present = known.iter().position(|known| known.stream == stream);
        let present = present.map(|index| known.swap_remove(index));
        let learned = LogStream::new(log, config, info, present.as_deref());
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

    /// The newest offset of a subject; not older than what this process knew
    /// of the log when it asked. With several replicas, none means only that
    /// one of them knows of none.
    pub(super) async fn tail(
        &self,
        log: &LogStream,
        subject: Subject,
    ) -> Result<Option<u64>, BusError> {
        let (streams, errands) = (&self.streams, &self.errands);
        let tail = log.tails.ask(streams, errands, &log.stream, subject).await;
        if tail.is_err() {
            self.suspect();
        }
        tail
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

    /// Waits for leave to read a log, until what this gives is dropped.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.readers.clone().acquire_owned().await.ok()
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
                log.was_away(outage);
            }
            let info = match self.streams.info(&log.stream, None).await {
                // Its servers came back without it.
                Err(BusError::NoLog) => self.streams.ensure(&log.config).await,
                answer => answer,
            };
            // One that does not answer is asked again in a while.
            if info.is_ok_and(|info| log.compare(&info)) {
                anew = true;
            }
        }
        anew
    }
}
