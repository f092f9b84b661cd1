//! One subject: its sinks, its log, and the queue that keeps its order.
//!
//! Publishers append under the lock; one of them at a time is the *drainer*
//! and delivers without it. A publisher that finds a drainer leaves its
//! message to it, so nobody waits for a sink but the thread that happens to
//! drain.
//!
//! A subscription that is not confirmed yet *holds* the subject: messages
//! queue until its `done` has returned, so that nothing overtakes it.
//!
//! **Invariant** While nobody drains and nobody holds, the queue is empty
//! (unless a sink panicked; the next publisher then drains it).

use std::{
    collections::VecDeque,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;
use wire::Offset;

use super::{MemoryLimits, log::Log};
use crate::port::{
    BusError, HistoryRead, LogLimits, Message, Outgoing, Published, Sink, SubscriptionToken,
};
use crate::{origin::Origin, subject::Subject};

pub(super) struct SubjectState {
    subject: Subject,
    limits: MemoryLimits,
    /// Held to append, to pop and to change the sinks: never for long.
    inner: Mutex<Inner>,
}

/// What a new [`SubjectState`] starts with.
pub(super) struct Start {
    pub(super) limits: MemoryLimits,
    pub(super) sinks: Vec<Attached>,
    pub(super) holds: Vec<SubscriptionToken>,
    pub(super) log: Option<Log>,
}

/// A subscription of a subject.
#[derive(Clone)]
pub(super) struct Attached {
    pub(super) token: SubscriptionToken,
    pub(super) sink: Arc<dyn Sink>,
    /// By a pattern without wildcards, which keeps the subject alive.
    pub(super) exact: bool,
}

/// A message the subject took.
pub(super) struct Taken {
    pub(super) published: Published,
    /// The caller has become the drainer and starts with this one.
    pub(super) delivery: Option<Delivery>,
}

/// A message on its way to those who were subscribed when it came.
pub(super) struct Delivery {
    message: Held,
    sinks: Arc<[Attached]>,
}

/// Why a subject did not take a message.
pub(super) enum Refusal {
    /// The queue is full.
    Full,
    /// The state is out of use; look the subject up again.
    Retired(Outgoing),
}

/// The state is out of use; look the subject up again.
#[derive(Debug)]
pub(super) struct Retired;

struct Inner {
    sinks: Arc<[Attached]>,
    holds: Vec<SubscriptionToken>,
    draining: bool,
    queue: VecDeque<Delivery>,
    queued_bytes: usize,
    log: Option<Log>,
    retired: bool,
}

/// A message, shared with the log if there is one.
enum Held {
    Alone(Message),
    Logged(Arc<Message>),
}

/// Passes the drainer's part on if a sink panics.
struct Draining<'a> {
    state: &'a SubjectState,
    over: bool,
}

// === impl SubjectState ===

impl SubjectState {
    pub(super) fn new(subject: Subject, start: Start) -> Self {
        let inner = Inner {
            sinks: start.sinks.into(),
            holds: start.holds,
            draining: false,
            queue: VecDeque::new(),
            queued_bytes: 0,
            log: start.log,
            retired: false,
        };
        Self {
            subject,
            limits: start.limits,
            inner: Mutex::new(inner),
        }
    }

    pub(super) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Logs the message and queues it for the sinks. With a delivery in the
    /// result the caller must [`Self::drain`].
    pub(super) fn take(&self, outgoing: Outgoing) -> Result<Taken, Refusal> {
        let mut inner = self.inner.lock();
        if inner.retired {
            return Err(Refusal::Retired(outgoing));
        }
        if inner.is_full(&self.limits, outgoing.payload.len()) {
            return Err(Refusal::Full);
        }
        let message = inner.record(outgoing);
        let published = Published {
            offset: message.offset,
            duplicate: false,
        };
        let sinks = Arc::clone(&inner.sinks);
        if sinks.is_empty() {
            return Ok(Taken {
                published,
                delivery: None,
            });
        }
        let delivery = inner.pass(Delivery { message, sinks });
        Ok(Taken {
            published,
            delivery,
        })
    }

    /// Delivers what is queued, beginning with `first`, until nothing is left.
    pub(super) fn drain(&self, first: Delivery) {
        let mut draining = Draining {
            state: self,
            over: false,
        };
        let mut next = Some(first);
        while let Some(delivery) = next {
            delivery.perform();
            next = self.inner.lock().next_delivery();
        }
        draining.over = true;
    }

    /// Adds a subscription and holds the subject for it. Gives the offset
    /// after which its messages come, if there is a log.
    pub(super) fn attach(&self, attached: Attached) -> Result<Option<Offset>, Retired> {
        let mut inner = self.inner.lock();
        if inner.retired {
            return Err(Retired);
        }
        inner.holds.push(attached.token);
        let sinks = inner.sinks.iter().cloned().chain([attached]).collect();
        let before = std::mem::replace(&mut inner.sinks, sinks);
        let position = inner.log.as_ref().map(Log::last);
        drop_after(inner, before);
        Ok(position)
    }

    /// Ends a subscription's hold.
    pub(super) fn release(&self, token: SubscriptionToken) {
        let first = {
            let mut inner = self.inner.lock();
            inner.holds.retain(|held| *held != token);
            inner.begin()
        };
        if let Some(first) = first {
            self.drain(first);
        }
    }

    /// Removes a subscription.
    pub(super) fn detach(&self, token: SubscriptionToken) {
        let mut inner = self.inner.lock();
        let sinks = inner
            .sinks
            .iter()
            .filter(|known| known.token != token)
            .cloned()
            .collect();
        let before = std::mem::replace(&mut inner.sinks, sinks);
        drop_after(inner, before);
    }

    /// Starts a log after offset `last`, or changes the limits of the log.
    pub(super) fn keep_log(&self, limits: LogLimits, last: Offset) {
        let mut inner = self.inner.lock();
        match &mut inner.log {
            Some(log) => log.set_limits(limits, Instant::now()),
            None => inner.log = Some(Log::new(limits, self.limits.log_bytes, last)),
        }
    }

    pub(super) fn is_logged(&self) -> bool {
        self.inner.lock().log.is_some()
    }

    /// Reads the log; see [`Log::read`]. The last part is its position.
    pub(super) fn read(
        &self,
        read: &HistoryRead,
    ) -> Result<(Vec<Arc<Message>>, bool, Offset), BusError> {
        let mut inner = self.inner.lock();
        let log = inner.log.as_mut().ok_or(BusError::NoLog)?;
        let (page, more) = log.read(read, Instant::now());
        Ok((page, more, log.last()))
    }

    /// Puts an idle state out of use for ever: nobody subscribed to the very
    /// subject, nothing queued, nothing in the log. Its last offset raises
    /// `floor` first, so that a successor's log continues after it.
    pub(super) fn retire(&self, floor: &AtomicU64) -> bool {
        let mut inner = self.inner.lock();
        if let Some(log) = &mut inner.log {
            log.trim(Instant::now());
        }
        if inner.is_needed() {
            return false;
        }
        if let Some(log) = &inner.log {
            floor.fetch_max(log.last().0, Ordering::Relaxed);
        }
        inner.retired = true;
        true
    }
}

// === impl Delivery ===

impl Delivery {
    fn perform(&self) {
        for attached in &*self.sinks {
            attached.sink.deliver(&self.message);
        }
    }
}

// === impl Inner ===

impl Inner {
    fn is_full(&self, limits: &MemoryLimits, payload: usize) -> bool {
        let too_many = self.queue.len() >= limits.queued_messages;
        let too_large = self.queued_bytes + payload > limits.queued_bytes;
        !self.queue.is_empty() && (too_many || too_large)
    }

    fn record(&mut self, outgoing: Outgoing) -> Held {
        let message = Message {
            subject: outgoing.subject,
            payload: outgoing.payload,
            key: outgoing.key,
            published_at_us: match outgoing.published_at_us {
                0 => unix_time_us(),
                given => given,
            },
            offset: Offset::NONE,
            previous: Offset::NONE,
            origin: Origin::UNKNOWN,
            traceparent: outgoing.traceparent,
        };
        match &mut self.log {
            Some(log) => Held::Logged(log.append(message, Instant::now())),
            None => Held::Alone(message),
        }
    }

    /// Queues a delivery; gives one back if the caller is to drain.
    fn pass(&mut self, delivery: Delivery) -> Option<Delivery> {
        if self.queue.is_empty() && self.may_begin() {
            self.draining = true;
            return Some(delivery);
        }
        self.queued_bytes += delivery.message.payload.len();
        self.queue.push_back(delivery);
        self.begin()
    }

    /// Makes the caller the drainer if one is needed.
    fn begin(&mut self) -> Option<Delivery> {
        if !self.may_begin() {
            return None;
        }
        self.draining = true;
        self.next_delivery()
    }

    fn may_begin(&self) -> bool {
        !self.draining && self.holds.is_empty()
    }

    /// The drainer's next; without one the drainer's part is over.
    fn next_delivery(&mut self) -> Option<Delivery> {
        let next = if self.holds.is_empty() {
            self.queue.pop_front()
        } else {
            None
        };
        match &next {
            Some(delivery) => self.queued_bytes -= delivery.message.payload.len(),
            None => self.draining = false,
        }
        next
    }

    fn is_needed(&self) -> bool {
        self.draining
            || self.retired
            || !self.queue.is_empty()
            || !self.holds.is_empty()
            || self.sinks.iter().any(|attached| attached.exact)
            || self.log.as_ref().is_some_and(|log| !log.is_empty())
    }
}

// === impl Held ===

impl Deref for Held {
    type Target = Message;

    fn deref(&self) -> &Message {
        match self {
            Self::Alone(message) => message,
            Self::Logged(message) => message,
        }
    }
}

// === impl Draining ===

impl Drop for Draining<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.state.inner.lock().draining = false;
        }
    }
}

/// Drops a list of sinks after the lock: the end of a sink may call the bus.
fn drop_after(inner: MutexGuard<'_, Inner>, sinks: Arc<[Attached]>) {
    drop(inner);
    drop(sinks);
}

fn unix_time_us() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}
