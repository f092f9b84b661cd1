//! The chain: gives a subscription everything that a log stores, in order.
//!
//! Republished messages come at core speed and may be missed: while the bus is
//! away, while a queue is full, while interest spreads between servers. But
//! each names the one before it. So every delivery is compared with what was
//! delivered last; what is missing is read from the log while newer messages
//! wait, and the tail of the log is looked at after each disturbance, shortly
//! after a subscription began, and every half minute.
//!
//! What the log no longer has is told by [`Sink::lost`] in its place; the next
//! message then carries its true `previous`.

use std::{sync::Arc, time::Duration};

use foldhash::{HashMap, HashMapExt};
use futures_util::StreamExt;
use tokio::{sync::watch, time::Instant};
use wire::Offset;

use super::{
    chain_heads::Heads,
    feed::Feed,
    log::{Logs, Signal},
    log_api,
    log_message::{self, Stamp},
    log_stream::LogStream,
    log_streams::Batch,
};
use crate::{
    port::{BusError, Position, Sink},
    subject::{Pattern, Subject},
};

/// Messages in one read of the log.
const PAGE: usize = 256;

/// Checks after a disturbance: interest spreads between servers, and replicas
/// follow, within these times.
const CHECKS: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(2)];

/// Until the next attempt of a check that failed.
const CHECK_AGAIN: Duration = Duration::from_secs(1);

/// Attempts to find a missing message, waiting twice as long each time: five
/// seconds in all, for the slowest replica to follow.
const SEARCHES: u32 = 9;
const FIRST_SEARCH: Duration = Duration::from_millis(10);

/// Reads that may fail meanwhile, [`CHECK_AGAIN`] apart: a server that is started
/// again is back within that time.
const FAILURES: u32 = 30;

/// How long a wildcard keeps in mind what a disturbance told late may concern.
const HINDSIGHT: Duration = Duration::from_secs(10);

/// One subscription's view of one log.
pub(super) struct Chain {
    logs: Arc<Logs>,
    log: Arc<LogStream>,
    pattern: Pattern,
    /// The pattern, if it is one subject.
    exact: Option<Subject>,
    sink: Arc<dyn Sink>,
    heads: Heads,
    /// How far deliveries had come at which time, for [`HINDSIGHT`].
    checkpoint: (u64, Instant),
    generation: u64,
    absences: u64,
    signal: watch::Receiver<Signal>,
    seen: Signal,
    /// The next check, and how many of [`CHECKS`] are done.
    due: Option<(Instant, usize)>,
}

/// What happens to a subscription.
enum Event {
    Delivery(async_nats::Message),
    /// The logs have something to tell.
    Signal,
    /// A check is due.
    Due,
    /// The subscription has ended.
    End,
}

/// A read of the log, so far.
struct Reading {
    /// Messages by subject, to tell when the log may have let go of some.
    counts: HashMap<u64, usize>,
    told: bool,
    /// The sequence read last.
    last: u64,
}

// === impl Chain ===

impl Chain {
    pub(super) fn new(
        logs: Arc<Logs>,
        log: Arc<LogStream>,
        pattern: Pattern,
        sink: Arc<dyn Sink>,
    ) -> Self {
        let signal = logs.signal();
        let seen = *signal.borrow();
        let exact = pattern.as_subject();
        let heads = match exact {
            Some(_) => Heads::one(0),
            None => Heads::each(0),
        };
        Self {
            seen,
            signal,
            logs,
            log,
            pattern,
            exact,
            sink,
            heads,
            checkpoint: (0, Instant::now()),
            generation: 0,
            absences: 0,
            due: None,
        }
    }

    /// Finds where deliveries begin. To be called once the server has the
    /// subscription; tells the position of a single subject's log.
    pub(super) async fn begin(&mut self) -> Result<Option<Position>, BusError> {
        let identity = self.log.identity();
        (self.generation, self.absences) = (identity.generation, identity.absences);
        self.due = Some((Instant::now() + CHECKS[0], 0));
        let Some(subject) = &self.exact else {
            let start = self.logs.newest_of_all(&self.log).await?;
            self.heads.reset(start);
            self.checkpoint = (start, Instant::now());
            return Ok(None);
        };
        let offset = self.logs.position(&self.log, subject).await?;
        self.heads.reset(offset);
        Ok(Some(Position {
            epoch: identity.epoch,
            offset: Offset(offset),
        }))
    }

    /// Delivers until the subscription ends.
    pub(super) async fn follow(mut self, mut subscriber: Feed) {
        loop {
            match self.next_event(&mut subscriber).await {
                Event::Delivery(message) => self.take(&message).await,
                Event::Signal => self.notice().await,
                Event::Due => self.check().await,
                Event::End => return,
            }
        }
    }

    async fn next_event(&mut self, subscriber: &mut Feed) -> Event {
        let due = self.due;
        let is_due = async move {
            match due {
                // Boxed: a timer is large, and few subscriptions have one.
                Some((at, _)) => Box::pin(tokio::time::sleep_until(at)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Ok(()) = self.signal.changed() => Event::Signal,
            () = is_due => Event::Due,
            message = subscriber.next() => message.map_or(Event::End, Event::Delivery),
        }
    }

    async fn take(&mut self, message: &async_nats::Message) {
        let Some(stamp) = Stamp::of(message.headers.as_ref()) else {
            return;
        };
        if stamp.stream != &*self.log.stream {
            return;
        }
        let Some(subject) = self.own_subject(stamp.subject) else {
            return;
        };
        let head = self.heads.of(&subject);
        if stamp.sequence <= head {
            // Read from the log before it came, unless the log began anew.
            self.logs.suspect();
            return;
        }
        let mut previous = stamp.last_sequence;
        if previous > head && self.logs.skip_chain_repair {
            previous = head;
        } else if previous > head {
            // Boxed: rare, and large.
            Box::pin(self.repair(&subject, stamp)).await;
        }
        self.hand_on(message, subject, stamp.sequence, previous);
        self.keep_hindsight();
    }

    /// What a message was published to, if the subscription is about that.
    fn own_subject(&self, subject: &str) -> Option<Subject> {
        match &self.exact {
            Some(exact) => (exact.as_str() == subject).then(|| exact.clone()),
            None => {
                let subject = Subject::new(subject).ok()?;
                self.pattern.matches(&subject).then_some(subject)
            }
        }
    }

    fn hand_on(&mut self, message: &async_nats::Message, subject: Subject, at: u64, previous: u64) {
        let Some(headers) = &message.headers else {
            return;
        };
        self.heads.set(&subject, at);
        self.log.reach(at);
        let message = log_message::stored(headers, &message.payload, subject, (at, previous));
        self.sink.deliver(&message);
    }

    /// Delivers what is missing before the message with this stamp.
    async fn repair(&mut self, subject: &Subject, stamp: Stamp<'_>) {
        let mut pause = FIRST_SEARCH;
        let (mut searches, mut failures) = (0, 0);
        while searches < SEARCHES && failures < FAILURES {
            self.logs.up().await;
            let read = self.catch_up_subject(subject, stamp.sequence).await;
            if self.heads.of(subject) >= stamp.last_sequence {
                return;
            }
            match read {
                // The replica has what is newer: the rest has left the log.
                Ok(last) if last >= stamp.sequence => break,
                Ok(_) => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    searches += 1;
                }
                Err(_unavailable) => {
                    tokio::time::sleep(CHECK_AGAIN).await;
                    failures += 1;
                }
            }
        }
        self.sink.lost(0);
    }

    async fn notice(&mut self) {
        let signal = *self.signal.borrow_and_update();
        let seen = std::mem::replace(&mut self.seen, signal);
        if signal.disturbances != seen.disturbances {
            return self.check_from(0).await;
        }
        let newest = self.heads.newest();
        if Box::pin(self.check_tail(newest)).await.is_err() {
            self.due = Some((Instant::now() + CHECK_AGAIN, CHECKS.len()));
        }
    }

    async fn check(&mut self) {
        let done = self.due.take().map_or(0, |(_, done)| done + 1);
        self.check_from(done).await;
    }

    /// Compares with the log, and again after the times of [`CHECKS`].
    async fn check_from(&mut self, done: usize) {
        let verified = self.heads.verified();
        let now = Instant::now();
        self.due = match Box::pin(self.check_tail(verified)).await {
            Ok(()) => CHECKS.get(done).map(|after| (now + *after, done)),
            Err(_unavailable) => Some((now + CHECK_AGAIN, done.saturating_sub(1))),
        };
    }

    /// Delivers what the log holds after `verified`.
    async fn check_tail(&mut self, verified: u64) -> Result<(), BusError> {
        if self.logs.skip_chain_repair {
            return Ok(());
        }
        let verified = match self.compare_identity() {
            Some(start) => start,
            None => verified,
        };
        if let Some(subject) = self.exact.clone() {
            let tail = self.logs.tail(&self.log, subject.clone()).await?;
            if tail.is_some_and(|tail| tail > self.heads.of(&subject)) {
                self.catch_up_subject(&subject, u64::MAX).await?;
            }
            return Ok(());
        }
        let last = self.catch_up(verified + 1).await?;
        self.heads.verify(last);
        Ok(())
    }

    /// Tells of a log that began anew, and of an absence that may have outlived
    /// messages. Gives where to read on if the log began anew.
    fn compare_identity(&mut self) -> Option<u64> {
        let identity = self.log.identity();
        let anew = std::mem::replace(&mut self.generation, identity.generation);
        let away = std::mem::replace(&mut self.absences, identity.absences);
        let (anew, away) = (anew != identity.generation, away != identity.absences);
        if anew || away {
            self.sink.lost(0);
        }
        anew.then(|| {
            self.heads.reset(identity.start);
            self.checkpoint = (identity.start, Instant::now());
            identity.start
        })
    }

    /// Delivers what the log has of one subject behind its head and before
    /// `until`. Gives the sequence read last.
    ///
    /// The read begins *at* the head: logs let go of the oldest first, so if it
    /// is still there, nothing behind it has left.
    async fn catch_up_subject(&mut self, subject: &Subject, until: u64) -> Result<u64, BusError> {
        let _turn = self.logs.turn().await;
        let head = self.heads.of(subject);
        let mut last = head;
        let mut page = self.page(subject.as_str(), head).await?;
        if self.may_be_broken(&page, head).await? {
            self.sink.lost(0);
        }
        loop {
            for message in &page.messages {
                let Some(stamp) = Stamp::of(message.headers.as_ref()) else {
                    continue;
                };
                last = last.max(stamp.sequence);
                let previous = self.heads.of(subject);
                if stamp.sequence < until && stamp.sequence > previous {
                    self.hand_on(message, subject.clone(), stamp.sequence, previous);
                }
            }
            if page.messages.is_empty() || page.end.pending == 0 || last >= until {
                return Ok(last);
            }
            page = self.page(subject.as_str(), last + 1).await?;
        }
    }

    /// Whether something between the head and what the log has may have left it.
    async fn may_be_broken(&self, page: &Batch, head: u64) -> Result<bool, BusError> {
        let mut stamps = page
            .messages
            .iter()
            .filter_map(|message| Stamp::of(message.headers.as_ref()));
        let Some(oldest) = stamps.next() else {
            return Ok(false);
        };
        let kept = page.messages.len() as u64 + page.end.pending;
        if oldest.sequence == head {
            return Ok(false);
        }
        if kept >= self.log.limits().messages as u64 {
            return Ok(true);
        }
        if head == 0 {
            return Ok(false);
        }
        let info = self.logs.streams.info(&self.log.stream, None).await?;
        Ok(info.state.first_seq > head + 1)
    }

    async fn page(&self, filter: &str, from: u64) -> Result<Batch, BusError> {
        let request = log_api::next_by_subject(filter, from, PAGE, usize::MAX);
        let mut page = self.logs.streams.direct(&self.log.stream, request).await?;
        if page.end.status != 204 {
            page.messages.clear();
        }
        Ok(page)
    }

    /// Delivers what the log has for the pattern from `from` on. Gives the
    /// sequence read last.
    async fn catch_up(&mut self, from: u64) -> Result<u64, BusError> {
        let _turn = self.logs.turn().await;
        let filter = self.pattern.as_str().to_owned();
        let mut reading = Reading {
            counts: HashMap::new(),
            told: false,
            last: from.saturating_sub(1),
        };
        loop {
            let page = self.page(&filter, reading.last + 1).await?;
            self.take_page(&mut reading, &page.messages);
            if page.messages.is_empty() || page.end.pending == 0 {
                return Ok(reading.last);
            }
        }
    }

    fn take_page(&mut self, reading: &mut Reading, page: &[async_nats::Message]) {
        let mut fresh = Vec::with_capacity(page.len());
        let mut trimmed = false;
        for message in page {
            let Some(stamp) = Stamp::of(message.headers.as_ref()) else {
                continue;
            };
            reading.last = reading.last.max(stamp.sequence);
            let Some(subject) = self.own_subject(stamp.subject) else {
                continue;
            };
            if stamp.sequence > self.heads.of(&subject) {
                trimmed |= self.may_be_trimmed(reading, &subject);
                fresh.push((message, subject, stamp.sequence));
            }
        }
        // A log that is full to its limit may have let go of others between.
        if trimmed && !std::mem::replace(&mut reading.told, true) {
            self.sink.lost(0);
        }
        for (message, subject, sequence) in fresh {
            let previous = self.heads.of(&subject);
            self.hand_on(message, subject, sequence, previous);
        }
    }

    fn may_be_trimmed(&self, reading: &mut Reading, subject: &Subject) -> bool {
        let key = foldhash::quality::FixedState::default();
        let key = std::hash::BuildHasher::hash_one(&key, subject.as_str());
        let count = reading.counts.entry(key).or_insert(0);
        *count += 1;
        *count >= self.log.limits().messages
    }

    /// What was delivered long enough ago is past doubt.
    fn keep_hindsight(&mut self) {
        if self.exact.is_none() && self.checkpoint.1.elapsed() >= HINDSIGHT {
            let newest = self.heads.newest();
            let before = std::mem::replace(&mut self.checkpoint, (newest, Instant::now()));
            self.heads.verify(before.0);
        }
    }
}
