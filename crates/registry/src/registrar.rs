//! The gateway's side: writes down who is connected, and tells it.
//!
//! Order for each connection: its entry, then `opened`; `closed`, then the
//! entry's removal. So a backend that hears `opened` and sends to the user finds
//! him, and a gateway that dies between telling an end and removing the entry
//! leaves work for the [`Reaper`](crate::Reaper), whose second telling the log
//! drops.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bus::{Bus, BusError, BusExt, BusState, Entry, Expect, Put, Remove, Revision};
use futures_util::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use prost::Message;
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use wire::{
    ConnectionId, GatewayId, SessionId, UserId,
    gateway::{RegisteredConnection, RegisteredGateway},
};

use crate::{
    GATEWAYS, REGISTRY, declare, event, key,
    labels::Labels,
    metrics::Registered,
    pending::{Book, Ended, Step},
};

/// Connections worked on at once. With 1 ms for each step these are some
/// 100,000 entries a second.
const CONCURRENCY: usize = 512;

/// Between two beats.
const BEAT: Duration = Duration::from_secs(1);

/// Waits between tries while the bus does not take something: doubled up to the
/// second, with jitter.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// After the bus has been away, entries are counted within this time: the
/// gateways of a cluster should not all read at once.
const CHECK_WITHIN: Duration = Duration::from_secs(5);

/// And within twice this time again and again: a control plane that took this
/// gateway for dead may have stopped half-way.
const CHECK_EVERY: Duration = Duration::from_secs(150);

/// Called when a connection's entry is in the registry.
pub type Written = Box<dyn FnOnce() + Send>;

/// A live connection as the registry knows it.
#[derive(Clone, Debug)]
pub struct ConnectionRecord {
    /// Its id.
    pub id: ConnectionId,
    /// Its session.
    pub session: SessionId,
    /// Its user.
    pub user: UserId,
    /// The entry.
    pub entry: RegisteredConnection,
}

/// Registers the connections of one gateway. All its calls return at once; the
/// work is done by [`Registrar::run`].
pub struct Registrar {
    bus: Arc<dyn Bus>,
    gateway: GatewayId,
    // A lock: held for a map operation, once per opening, end and step.
    book: Mutex<Book>,
    labels: Mutex<Labels>,
    lease: Mutex<RegisteredGateway>,
    /// There is something to do.
    wake: Notify,
    /// Something is done.
    settled: Notify,
    finished: Notify,
    /// The gateway's own entry must not be written any more.
    leaving: AtomicBool,
    /// Connections that have ended so far.
    closed: AtomicUsize,
    /// The beat at which everything was last registered anew.
    anew_at: AtomicU64,
    metrics: Registered,
}

// === impl Registrar ===

impl Registrar {
    /// Registers nothing yet. `started_at_ms`: Unix time.
    pub fn new(bus: Arc<dyn Bus>, gateway: GatewayId, version: &str, started_at_ms: i64) -> Self {
        let lease = RegisteredGateway {
            version: version.to_owned(),
            started_at_ms,
            ..RegisteredGateway::default()
        };
        Self {
            labels: Mutex::new(Labels::new(gateway.clone())),
            book: Mutex::new(Book::new()),
            lease: Mutex::new(lease),
            wake: Notify::new(),
            settled: Notify::new(),
            finished: Notify::new(),
            leaving: AtomicBool::new(false),
            closed: AtomicUsize::new(0),
            anew_at: AtomicU64::new(0),
            metrics: Registered::new(),
            bus,
            gateway,
        }
    }

    /// A connection was established. `written` is called once its entry is in
    /// the registry, and dropped if it ends before.
    pub fn opened(&self, record: ConnectionRecord, written: Option<Written>) {
        self.lease.lock().connections += 1;
        self.labels.lock().add(&record.entry.labels);
        let record = self.stamped(record);
        self.book.lock().opened(record, written);
        self.wake.notify_one();
    }

    /// The connection ended; `cause` is the label of its close cause.
    pub fn closed(&self, record: ConnectionRecord, cause: &'static str) {
        {
            let mut lease = self.lease.lock();
            lease.connections = lease.connections.saturating_sub(1);
        }
        self.labels.lock().remove(&record.entry.labels);
        let record = self.stamped(record);
        self.closed.fetch_add(1, Ordering::AcqRel);
        let ended = self.book.lock().closed(record, cause);
        match ended {
            Ended::Noted => {}
            Ended::Coalesced => self.metrics.coalesced.increment(1),
            Ended::Dropped => self.metrics.dropped.increment(1),
        }
        self.wake.notify_one();
    }

    /// The connection lives: answer to the call for announcements of
    /// [`Registrar::run`].
    pub fn renewed(&self, record: ConnectionRecord) {
        let record = self.stamped(record);
        self.book.lock().renewed(record);
        self.wake.notify_one();
    }

    /// Says in the gateway's entry that it is going away.
    pub fn set_draining(&self) {
        self.lease.lock().draining = true;
    }

    /// Does the work until [`Registrar::finish`] ends. When the registry has
    /// lost this gateway's entries, because it was taken for dead or the servers
    /// lost their memory, `announce` is called: the owner then calls
    /// [`Registrar::renewed`] for every connection that lives.
    pub async fn run(&self, announce: impl Fn() + Send + Sync) {
        tokio::select! {
            () = self.write_forever() => {}
            () = self.beat_forever(&announce) => {}
            () = self.finished.notified() => {}
        }
    }

    /// Waits until everything is written and told, at most for `limit`, and
    /// takes the gateway out of the registry. No connection may be open.
    pub async fn finish(&self, limit: Duration) {
        let settled = async {
            loop {
                let notified = self.settled.notified();
                let left = self.book.lock().len() + self.labels.lock().pending();
                if left == 0 {
                    return;
                }
                notified.await;
            }
        };
        let settled = timeout(limit, settled).await;
        // A beat that fails behind the entry's removal would bring it back.
        self.leaving.store(true, Ordering::Release);
        if settled.is_err() {
            let left = self.book.lock().len();
            tracing::warn!(left, "ends of connections are left to the control planes");
        } else {
            let remove = Remove {
                table: GATEWAYS,
                key: key::of_gateway(&self.gateway),
                expect: Expect::Anything,
            };
            // If it fails, control planes find out: nobody answers for it.
            let _ = timeout(limit, self.bus.erase(remove)).await;
        }
        self.finished.notify_one();
    }

    fn stamped(&self, mut record: ConnectionRecord) -> Arc<ConnectionRecord> {
        record.entry.registered_anew_at = self.anew_at.load(Ordering::Acquire);
        Arc::new(record)
    }

    async fn write_forever(&self) {
        let mut connections = FuturesUnordered::new();
        let mut labels = FuturesUnordered::new();
        loop {
            while connections.len() < CONCURRENCY {
                let Some(id) = self.book.lock().take() else {
                    break;
                };
                connections.push(self.settle(id));
            }
            while labels.len() < CONCURRENCY {
                let Some(change) = self.labels.lock().take() else {
                    break;
                };
                labels.push(self.settle_label(change));
            }
            self.metrics.pending.set(self.book.lock().len() as f64);
            tokio::select! {
                Some(()) = connections.next() => {}
                Some(()) = labels.next() => {}
                () = self.wake.notified() => {}
            }
            self.settled.notify_waiters();
        }
    }

    /// Does all steps of one connection.
    async fn settle(&self, id: ConnectionId) {
        let mut wait = RETRY.0;
        while let Some(work) = self.work(&id) {
            match work.await {
                Ok(()) => {
                    wait = RETRY.0;
                    let step = self.book.lock().done(&id);
                    self.count(step);
                }
                Err(BusError::TooLarge) => {
                    // It never will be taken; the steps after it may.
                    self.metrics.refused.increment(1);
                    tracing::warn!(%id, "the bus can't hold what a connection says of itself");
                    drop(self.book.lock().done(&id));
                }
                Err(error) => {
                    self.metrics.retries.increment(1);
                    tracing::debug!(%id, %error, "the registry is tried again");
                    self.pause(&mut wait).await;
                }
            }
        }
    }

    /// The connection's next step, ready to be awaited.
    fn work(&self, id: &ConnectionId) -> Option<impl Future<Output = Result<(), BusError>>> {
        enum Work {
            Put(Put),
            Tell(bus::Outgoing),
            Remove(Remove),
        }
        let mut book = self.book.lock();
        let (record, step) = book.next(id)?;
        let entry_key = || key::of_connection(&record.user, record.session, &record.id);
        let work = match step {
            Step::Put { .. } => Work::Put(Put {
                table: REGISTRY,
                key: entry_key(),
                value: record.entry.encode_to_vec().into(),
                expect: Expect::Anything,
            }),
            Step::Opened => Work::Tell(event::opened(&record.entry)),
            Step::Closed { cause } => Work::Tell(event::closed(&record.entry, cause)),
            Step::Remove => Work::Remove(Remove {
                table: REGISTRY,
                key: entry_key(),
                expect: Expect::Anything,
            }),
        };
        drop(book);
        Some(async move {
            match work {
                Work::Put(put) => self.bus.write(put).await.map(drop),
                Work::Tell(event) => self.bus.send(event).await.map(drop),
                Work::Remove(remove) => self.bus.erase(remove).await,
            }
        })
    }

    fn count(&self, step: Option<Step>) {
        match step {
            Some(Step::Put { since, written, .. }) => {
                self.metrics.put.increment(1);
                self.metrics.lag_seconds.record(since.elapsed());
                if let Some(written) = written {
                    written();
                }
            }
            Some(Step::Opened) => self.metrics.opened.increment(1),
            Some(Step::Closed { .. }) => self.metrics.closed.increment(1),
            Some(Step::Remove) => self.metrics.removed.increment(1),
            None => {}
        }
    }

    /// Writes or removes a label's entry.
    async fn settle_label(&self, change: crate::labels::Change) {
        let mut wait = RETRY.0;
        loop {
            let outcome = if change.held {
                let put = Put {
                    table: crate::LABELS,
                    key: change.key.clone(),
                    value: bytes::Bytes::new(),
                    expect: Expect::Anything,
                };
                self.bus.write(put).await.map(drop)
            } else {
                let remove = Remove {
                    table: crate::LABELS,
                    key: change.key.clone(),
                    expect: Expect::Anything,
                };
                self.bus.erase(remove).await
            };
            match outcome {
                Ok(()) => break self.labels.lock().done(change),
                Err(_) => self.pause(&mut wait).await,
            }
        }
    }

    /// Waits longer each time, and not alike.
    async fn pause(&self, wait: &mut Duration) {
        sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        *wait = (*wait * 2).min(RETRY.1);
    }

    async fn beat_forever(&self, announce: &(impl Fn() + Send + Sync)) {
        let mut ticks = interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut state = self.bus.state();
        let mut revision = None;
        let mut check_at = Some(soon(CHECK_EVERY));
        loop {
            ticks.tick().await;
            if state.has_changed().unwrap_or(false) {
                check_at = Some(Instant::now() + CHECK_WITHIN.mul_f64(fastrand::f64()));
            }
            if *state.borrow_and_update() != BusState::Up {
                continue;
            }
            revision = self.next_beat(revision, announce).await;
            let due = check_at.is_some_and(|at| at <= Instant::now());
            if due && let Ok(complete) = self.is_complete().await {
                check_at = Some(soon(CHECK_EVERY));
                if !complete {
                    self.register_anew(announce);
                }
            }
        }
    }

    /// One beat, and what follows if the bus does not take it.
    async fn next_beat(
        &self,
        revision: Option<Revision>,
        announce: &(impl Fn() + Send + Sync),
    ) -> Option<Revision> {
        match self.beat(revision).await {
            Ok(now) => Some(now),
            // Somebody removed it: this gateway was taken for dead, or the
            // servers lost what they held in memory.
            Err(BusError::Conflict) => self.begin_again(announce).await,
            Err(error) => {
                self.metrics.lease_failures.increment(1);
                tracing::debug!(%error, "a beat was not taken");
                // Tables in memory may have gone with their server.
                if self.is_missing().await == Ok(true) {
                    return self.begin_again(announce).await;
                }
                revision
            }
        }
    }

    async fn beat(&self, revision: Option<Revision>) -> Result<Revision, BusError> {
        let value = {
            let mut lease = self.lease.lock();
            lease.beat += 1;
            lease.encode_to_vec()
        };
        let put = Put {
            table: GATEWAYS,
            key: key::of_gateway(&self.gateway),
            value: value.into(),
            expect: revision.map_or(Expect::Anything, Expect::At),
        };
        self.bus.write(put).await
    }

    /// Whether the bus has no entry of this gateway.
    async fn is_missing(&self) -> Result<bool, BusError> {
        declare(&*self.bus).await?;
        let own = key::of_gateway(&self.gateway).into();
        let entries = self.bus.look_up(GATEWAYS, vec![own]).await?;
        Ok(entries.is_empty())
    }

    /// Whether the bus has as many entries of this gateway as it was given.
    async fn is_complete(&self) -> Result<bool, BusError> {
        let pending = self.book.lock().len();
        let closed = self.closed.load(Ordering::Acquire);
        let live = usize::try_from(self.lease.lock().connections).unwrap_or(usize::MAX);
        let own = vec![key::at_gateway(&self.gateway)];
        let entries = self.bus.look_up(REGISTRY, own).await?.len();
        // Connections came and went while it was read.
        let moved = self.book.lock().len();
        let closed = self.closed.load(Ordering::Acquire) - closed;
        Ok(entries + pending.max(moved) + closed >= live)
    }

    /// Finds the entry's revision, or registers everything anew if it is gone.
    async fn begin_again(&self, announce: &(impl Fn() + Send + Sync)) -> Option<Revision> {
        let own = key::of_gateway(&self.gateway).into();
        let entries = self.bus.look_up(GATEWAYS, vec![own]).await.ok()?;
        if let Some(Entry { revision, .. }) = entries.into_iter().next() {
            // A beat was taken after we had given up on its answer.
            return Some(revision);
        }
        if self.leaving.load(Ordering::Acquire) {
            return None;
        }
        let revision = self.beat(None).await.ok()?;
        self.register_anew(announce);
        Some(revision)
    }

    /// Calls for all connections, and writes all labels.
    fn register_anew(&self, announce: &(impl Fn() + Send + Sync)) {
        tracing::warn!("the registry has lost this gateway: registering everything anew");
        self.metrics.announced.increment(1);
        let beat = self.lease.lock().beat;
        self.anew_at.store(beat, Ordering::Release);
        self.labels.lock().renew();
        self.wake.notify_one();
        announce();
    }
}

/// A moment after this time and before twice as much, not alike for all.
fn soon(time: Duration) -> Instant {
    Instant::now() + time.mul_f64(1.0 + fastrand::f64())
}

impl fmt::Debug for Registrar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registrar")
            .field("gateway", &self.gateway)
            .finish_non_exhaustive()
    }
}
