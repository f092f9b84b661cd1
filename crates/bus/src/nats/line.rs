//! What is known of a connection; changed by the client library's events.
//!
//! The library keeps events in a short queue and drops what does not fit, so
//! they are only hints: [`Line::refresh`] looks at what is so.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use async_nats::{Client, Event, connection::State};
use foldhash::HashMap;
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::{sync::watch, task::unconstrained};

use super::{
    feed::{Feed, Lag},
    lane::Lane,
    options::SUBSCRIPTION_CAPACITY,
};
use crate::{
    metrics::LinkMetrics,
    port::{BusError, BusState},
};

/// How many connections of a bus are down. While one is, nothing is asked or
/// published by any: the bus is down, and says so. Answers still go out.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<AtomicUsize>);

/// A connection's state. The library's events hold it weakly, so that it ends
/// with its link.
pub(super) struct Line {
    client: OnceLock<Client>,
    pub(super) lane: Arc<Lane>,
    pub(super) metrics: LinkMetrics,
    /// Whether it carries messages, as probes tell.
    state: watch::Sender<BusState>,
    gate: Gate,
    seen: watch::Sender<Seen>,
    /// Up and down come one after the other. A lock: held for either.
    turn: Mutex<Turn>,
    // A lock: taken when subscriptions come and go, and by events.
    subscriptions: Mutex<Subscriptions>,
}

/// What the library has told, or shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) connected: bool,
    /// How many connections have been made.
    pub(super) connections: u64,
    /// Grows when subscriptions have lost messages.
    pub(super) lags: u64,
    /// How many servers have asked to be left.
    pub(super) lame_ducks: u64,
}

/// A subscription's place in its line's table; leaves it when dropped.
pub(super) struct Place {
    line: Arc<Line>,
    id: u64,
}

#[derive(Default)]
struct Turn {
    /// It counts in the gate.
    down: bool,
}

#[derive(Default)]
struct Subscriptions {
    /// What the client calls its newest subscription: it counts from one, and
    /// does not tell.
    newest: u64,
    lags: HashMap<u64, Arc<Lag>>,
}

// === impl Gate ===

impl Gate {
    pub(super) fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

// === impl Line ===

impl Line {
    pub(super) fn new(lane: Arc<Lane>, kind: &'static str, gate: Gate) -> Self {
        Self {
            client: OnceLock::new(),
            lane,
            metrics: LinkMetrics::new(kind),
            state: watch::Sender::new(BusState::Down("not probed yet".into())),
            gate,
            seen: watch::Sender::new(Seen::default()),
            turn: Mutex::default(),
            subscriptions: Mutex::default(),
        }
    }

    /// The connection is made.
    pub(super) fn connected(&self, client: Client) {
        // Fails only if it is set already, to the same.
        drop(self.client.set(client));
        self.refresh();
        self.lane.open();
    }

    pub(super) fn state(&self) -> watch::Receiver<BusState> {
        self.state.subscribe()
    }

    pub(super) fn seen(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }

    pub(super) fn notice(&self, event: &Event) {
        match event {
            Event::Connected => self.refresh(),
            Event::Disconnected | Event::Closed => self.disconnected(),
            Event::LameDuckMode => self.seen.send_modify(|seen| seen.lame_ducks += 1),
            Event::SlowConsumer(id) => self.lagged(*id),
            Event::ServerError(error) => tracing::warn!(%error, "NATS refuses something"),
            Event::ClientError(error) => tracing::debug!(%error, "NATS connection"),
            Event::Draining => {}
        }
    }

    /// Looks at what is so, whatever events told.
    pub(super) fn refresh(&self) {
        let Some(client) = self.client.get() else {
            return;
        };
        if client.connection_state() != State::Connected {
            if self.seen.borrow().connected {
                self.disconnected();
            }
            return;
        }
        let connections = client.statistics().connects.load(Ordering::Relaxed);
        self.seen.send_if_modified(|seen| {
            let before = (seen.connected, seen.connections);
            (seen.connected, seen.connections) = (true, connections);
            before != (true, connections)
        });
    }

    fn disconnected(&self) {
        self.metrics.disconnects.increment(1);
        {
            let _turn = self.turn.lock();
            self.seen.send_modify(|seen| seen.connected = false);
        }
        self.go_down("not connected");
    }

    /// A message to ourselves has come back, sent when this was seen.
    pub(super) fn go_up(&self, seen: Seen) {
        let mut turn = self.turn.lock();
        let now = *self.seen.borrow();
        if (now.connected, now.connections) == (true, seen.connections) {
            self.lane.open();
            if std::mem::take(&mut turn.down) {
                self.gate.0.fetch_sub(1, Ordering::AcqRel);
            }
            self.set(BusState::Up);
        }
    }

    /// Nothing passes, or it is not known that anything does.
    pub(super) fn go_down(&self, why: &str) {
        {
            let mut turn = self.turn.lock();
            if !std::mem::replace(&mut turn.down, true) {
                self.gate.0.fetch_add(1, Ordering::AcqRel);
            }
            self.set(BusState::Down(why.into()));
        }
        self.lane.close();
    }

    fn set(&self, state: BusState) {
        let up = state == BusState::Up;
        self.metrics.up.set(f64::from(u8::from(up)));
        self.state.send_if_modified(|current| {
            let changed = *current != state;
            *current = state;
            changed
        });
    }

    /// A subscription's queue was full and a message is lost.
    fn lagged(&self, id: u64) {
        self.metrics.slow_consumers.increment(1);
        let lag = self.subscriptions.lock().lags.get(&id).cloned();
        // One of a flood is told; the others wait in the same place.
        if lag.is_some_and(|lag| lag.mark(SUBSCRIPTION_CAPACITY as u64)) {
            tracing::warn!("messages were dropped: this process is too slow");
            self.seen.send_modify(|seen| seen.lags += 1);
        }
    }

    /// Has the client subscribe, and follows its count. When this returns the
    /// command is on its way, before any message that is sent later, unless the
    /// library's queue is full.
    pub(super) fn subscribe(
        self: &Arc<Self>,
        client: &Client,
        subject: String,
        group: Option<&'static str>,
    ) -> impl Future<Output = Result<Feed, BusError>> + Send + 'static {
        let client = client.clone();
        let mut opening = async move {
            match group {
                None => client.subscribe(subject).await,
                Some(group) => client.queue_subscribe(subject, group.to_owned()).await,
            }
        }
        .boxed();
        let lag = Arc::new(Lag::default());
        let (first, place) = {
            let mut subscriptions = self.subscriptions.lock();
            // The client counts when it is first polled.
            let first = unconstrained(&mut opening).now_or_never();
            subscriptions.newest += 1;
            let id = subscriptions.newest;
            subscriptions.lags.insert(id, Arc::clone(&lag));
            let line = Arc::clone(self);
            (first, Place { line, id })
        };
        async move {
            let opened = match first {
                Some(opened) => opened,
                None => opening.await,
            };
            let subscriber = opened.map_err(|_ended| BusError::Unavailable)?;
            Ok(Feed::new(subscriber, lag, place))
        }
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        self.line.subscriptions.lock().lags.remove(&self.id);
    }
}
