//! The in-memory adapter: the whole bus within one process.
//!
//! Everything happens on the caller's thread: a publication is delivered
//! before `publish` returns unless another thread is just delivering the same
//! subject, which then delivers this one too. A request runs its handler.
//!
//! **Invariant** No lock is held while a sink, a handler or a `done` runs, or
//! while another lock is taken.

mod dedup;
mod log;
mod pending;
mod services;
mod subject_state;
mod subjects;
mod tables;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use self::{pending::Pending, services::Services, subjects::Subjects, tables::Tables};
use crate::port::{
    Bus, BusError, BusState, Done, Entry, Handler, HistoryPage, HistoryRead, Incoming, Log,
    Outgoing, Published, Put, Remove, Reply, Request, RequestToken, Responder, Revision, Service,
    Sink, Subscribed, SubscriptionToken, Table, TableSpec,
};
use crate::subject::{Pattern, Subject};

/// How often [`MemoryBus::run`] frees what nobody asked for since: messages
/// past their age, and idle subjects.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// A bus within one process.
///
/// Bounds: see [`MemoryLimits`]; over them it answers
/// [`BusError::Overloaded`]. Logs live in memory within their
/// [`LogLimits`](crate::LogLimits) and end with the bus.
///
/// An idle subject whose log has run empty may be forgotten. Should it come
/// back, its offsets continue after the highest that was forgotten, so they
/// never go backwards.
pub struct MemoryBus {
    subjects: Subjects,
    services: Services,
    pending: Arc<Pending>,
    tables: Tables,
    tokens: AtomicU64,
    /// Never changes: memory is always there.
    state: watch::Sender<BusState>,
}

/// Bounds of a [`MemoryBus`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Messages of one subject that wait behind a delivery under way.
    pub queued_messages: usize,
    /// Payload bytes of those. A single larger message passes an empty queue.
    pub queued_bytes: usize,
    /// Requests under way on the whole bus.
    pub pending_requests: usize,
    /// What the log of one subject may take, with some 256 bytes for each
    /// message: of more the oldest go, whatever its
    /// [`LogLimits`](crate::LogLimits) say.
    pub log_bytes: usize,
}

// === impl MemoryBus ===

impl MemoryBus {
    /// An empty bus with the default limits.
    pub fn new() -> Self {
        Self::with_limits(MemoryLimits::default())
    }

    /// An empty bus.
    pub fn with_limits(limits: MemoryLimits) -> Self {
        Self {
            subjects: Subjects::new(limits),
            services: Services::default(),
            pending: Arc::new(Pending::new(limits.pending_requests)),
            tables: Tables::new(),
            tokens: AtomicU64::new(1),
            state: watch::Sender::new(BusState::Up),
        }
    }

    /// Enforces the deadlines of requests, to within 10 ms, and frees what has
    /// aged. Never ends; its owner runs it beside the bus. While it does not
    /// run, requests wait beyond their deadlines.
    pub async fn run(&self) {
        tokio::join!(self.pending.expire_forever(), self.sweep_forever());
    }

    async fn sweep_forever(&self) {
        let start = Instant::now() + SWEEP_INTERVAL;
        let mut ticks = tokio::time::interval_at(start, SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.subjects.sweep();
        }
    }

    fn next_token(&self) -> SubscriptionToken {
        SubscriptionToken(self.tokens.fetch_add(1, Ordering::Relaxed))
    }
}

impl Default for MemoryBus {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBus").finish_non_exhaustive()
    }
}

impl Bus for MemoryBus {
    fn publish(&self, outgoing: Outgoing, done: Done<Published>) {
        self.subjects.publish(outgoing, done);
    }

    fn subscribe(
        &self,
        pattern: Pattern,
        sink: Arc<dyn Sink>,
        done: Done<Subscribed>,
    ) -> SubscriptionToken {
        let token = self.next_token();
        self.subjects.subscribe(token, pattern, sink, done);
        token
    }

    fn unsubscribe(&self, token: SubscriptionToken) {
        if !self.subjects.unsubscribe(token) {
            self.services.remove(token);
        }
    }

    fn request(&self, request: Request, done: Done<Reply>) -> RequestToken {
        let Some(handler) = self.services.next_handler(&request.subject) else {
            done(Err(BusError::NoResponders));
            return Pending::NO_REQUEST;
        };
        let cancelled = CancellationToken::new();
        let token = match self
            .pending
            .insert(request.deadline, cancelled.clone(), done)
        {
            Ok(token) => token,
            Err(done) => {
                done(Err(BusError::Overloaded));
                return Pending::NO_REQUEST;
            }
        };
        let pending = Arc::clone(&self.pending);
        let responder = Responder::new(move |outcome| {
            pending.finish(token, outcome.map(|payload| Reply { payload }));
        });
        let Request {
            subject,
            payload,
            deadline,
            context,
        } = request;
        handler.handle(Incoming {
            subject,
            payload,
            deadline,
            context,
            cancelled,
            responder,
        });
        token
    }

    fn cancel(&self, token: RequestToken) {
        self.pending.finish(token, Err(BusError::Cancelled));
    }

    fn serve(&self, subject: Subject, handler: Arc<dyn Handler>) -> SubscriptionToken {
        let token = self.next_token();
        self.services.add(token, subject, handler);
        token
    }

    fn announce(&self, _service: Service) -> SubscriptionToken {
        // Nobody outside of this process could ask.
        self.next_token()
    }

    fn declare_log(&self, log: Log, done: Done<()>) {
        for pattern in log.patterns {
            self.subjects.declare_log(pattern, log.limits);
        }
        done(Ok(()));
    }

    fn history(&self, read: HistoryRead, done: Done<HistoryPage>) {
        done(self.subjects.history(&read));
    }

    fn declare_table(&self, table: TableSpec, done: Done<()>) {
        self.tables.declare(table);
        done(Ok(()));
    }

    fn put(&self, put: Put, done: Done<Revision>) {
        done(self.tables.put(put));
    }

    fn remove(&self, remove: Remove, done: Done<()>) {
        done(self.tables.remove(&remove));
    }

    fn entries(&self, table: Table, keys: Vec<Pattern>, done: Done<Vec<Entry>>) {
        done(self.tables.entries(table, &keys));
    }

    fn state(&self) -> watch::Receiver<BusState> {
        self.state.subscribe()
    }
}

// === impl MemoryLimits ===

impl Default for MemoryLimits {
    fn default() -> Self {
        // A burst of a few milliseconds at full speed; no more memory than one
        // well-filled outbox; and more requests than clients have windows for.
        Self {
            queued_messages: 8_192,
            queued_bytes: 16 << 20,
            pending_requests: 1 << 18,
            log_bytes: 2 << 20,
        }
    }
}
