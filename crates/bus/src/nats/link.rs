//! One connection to NATS: its client, its way out, its inbox, and whether it
//! carries messages.
//!
//! "Connected" is not enough: a server may take packets and do nothing. So a
//! probe goes through the server and back every two seconds; two that fail, or
//! the library's word that the connection is gone, take the link down, and one
//! that succeeds brings it up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_nats::{Client, Event, Subscriber};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot, watch},
    time::sleep,
};

use super::{
    NatsError, NatsOptions,
    inbox::Inbox,
    lane::{Lane, LaneEnd},
};
use crate::{metrics::LinkMetrics, port::BusState};

/// Between two probes.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// How long one may be on its way.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// Probes that fail one after another until the link is down.
const PROBES: u32 = 2;

/// Probes that fail until another server is tried.
const PROBES_UNTIL_RECONNECT: u32 = 4;

/// A server that will stop is left at a moment of our own within this.
const LAME_DUCK_SPREAD: Duration = Duration::from_secs(5);

/// One connection.
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) inbox: Arc<Inbox>,
    pub(super) lane: Arc<Lane>,
    health: Arc<Health>,
    /// What [`Link::run`] works with.
    ends: Mutex<Option<(LaneEnd, Subscriber)>>,
}

/// What is known of a connection; shared with the library's event callback.
pub(super) struct Health {
    state: watch::Sender<BusState>,
    lane: Arc<Lane>,
    /// The connection came up: probe it now.
    connected: Notify,
    /// The server will stop.
    lame_duck: Notify,
    /// Grows with everything after which messages may be missing.
    disturbances: watch::Sender<u64>,
    slow_consumers: AtomicU64,
    metrics: LinkMetrics,
}

// === impl Link ===

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// If no server can be reached, or none takes our credentials.
    pub(super) async fn connect(
        options: &NatsOptions,
        kind: &'static str,
    ) -> Result<Self, NatsError> {
        let (lane, end) = Lane::new();
        let lane = Arc::new(lane);
        let health = Arc::new(Health::new(lane.clone(), kind));
        let watched = health.clone();
        let connecting = options
            .connect_options(kind)?
            .event_callback(move |event| {
                watched.event(&event);
                std::future::ready(())
            })
            .connect(options.servers.clone());
        let client = connecting.await.map_err(|source| NatsError::Connect {
            servers: options.servers.join(", "),
            source: Arc::new(source),
        })?;
        let inbox = Inbox::new(&client.new_inbox(), lane.clone());
        let replies = client.subscribe(inbox.subject()).await;
        let replies = replies.map_err(|_| NatsError::Ended)?;
        lane.set_up(true);
        Ok(Self {
            client,
            inbox,
            lane,
            health,
            ends: Mutex::new(Some((end, replies))),
        })
    }

    /// Whether it carries messages.
    pub(super) fn state(&self) -> watch::Receiver<BusState> {
        self.health.state.subscribe()
    }

    /// Changes with everything after which messages may be missing.
    pub(super) fn disturbances(&self) -> watch::Receiver<u64> {
        self.health.disturbances.subscribe()
    }

    /// Keeps it working. Never ends; to be called once.
    pub(super) async fn run(&self) {
        let Some((end, replies)) = self.ends.lock().take() else {
            return std::future::pending().await;
        };
        tokio::join!(
            end.run(self.client.clone()),
            self.inbox.run(replies),
            self.probe_forever(),
            self.leave_lame_ducks(),
        );
    }

    async fn probe_forever(&self) {
        let health = &self.health;
        let mut failures = 0;
        loop {
            let sent = Instant::now();
            if self.probe().await {
                health.metrics.probe_seconds.record(sent.elapsed());
                failures = 0;
                health.set(BusState::Up);
            } else {
                failures += 1;
                health.metrics.probes_failed.increment(1);
                if failures >= PROBES {
                    health.set(BusState::Down("messages to itself do not come back".into()));
                }
                if failures.is_multiple_of(PROBES_UNTIL_RECONNECT) {
                    // The server takes packets and does nothing: try another.
                    let _ = self.client.force_reconnect().await;
                }
            }
            health.metrics.waiting.set(self.inbox.len() as f64);
            health.metrics.queued_bytes.set(self.lane.bytes() as f64);
            let pause = if failures == 0 {
                PROBE_INTERVAL
            } else {
                PROBE_INTERVAL / 4
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = health.connected.notified() => {}
            }
        }
    }

    async fn probe(&self) -> bool {
        // The way out is closed while the link is down; the probe has to pass.
        self.lane.set_up(true);
        let (tx, rx) = oneshot::channel();
        let done = Box::new(move |outcome| drop(tx.send(outcome)));
        self.inbox.round_trip(PROBE_LIMIT, done);
        if *self.health.state.borrow() != BusState::Up {
            self.lane.set_up(false);
        }
        matches!(rx.await, Ok(Ok(_)))
    }

    async fn leave_lame_ducks(&self) {
        loop {
            self.health.lame_duck.notified().await;
            sleep(LAME_DUCK_SPREAD.mul_f64(fastrand::f64())).await;
            tracing::info!("leaving a server that will stop");
            // Fails only if the client has ended.
            let _ = self.client.force_reconnect().await;
        }
    }
}

// === impl Health ===

impl Health {
    fn new(lane: Arc<Lane>, kind: &'static str) -> Self {
        Self {
            state: watch::Sender::new(BusState::Down("not probed yet".into())),
            lane,
            connected: Notify::new(),
            lame_duck: Notify::new(),
            disturbances: watch::Sender::new(0),
            slow_consumers: AtomicU64::new(0),
            metrics: LinkMetrics::new(kind),
        }
    }

    fn event(&self, event: &Event) {
        match event {
            Event::Connected => self.connected.notify_one(),
            Event::Disconnected | Event::Closed => {
                self.metrics.disconnects.increment(1);
                self.set(BusState::Down("not connected".into()));
                self.disturb();
            }
            Event::LameDuckMode => self.lame_duck.notify_one(),
            Event::SlowConsumer(_) => {
                // The library dropped a message and does not say which. Each of
                // a flood is told; one look at the logs is enough for many.
                self.metrics.slow_consumers.increment(1);
                if self
                    .slow_consumers
                    .fetch_add(1, Ordering::Relaxed)
                    .is_multiple_of(1024)
                {
                    tracing::warn!("messages were dropped: this process is too slow");
                }
                self.disturb();
            }
            Event::ServerError(error) => tracing::warn!(%error, "NATS refuses something"),
            Event::ClientError(error) => tracing::debug!(%error, "NATS connection"),
            Event::Draining => {}
        }
    }

    fn disturb(&self) {
        self.disturbances.send_modify(|count| *count += 1);
    }

    fn set(&self, state: BusState) {
        let up = state == BusState::Up;
        self.lane.set_up(up);
        self.metrics.up.set(f64::from(u8::from(up)));
        self.state.send_if_modified(|current| {
            let changed = *current != state;
            *current = state;
            changed
        });
    }
}
