//! The planned end of a gateway: every connection moves elsewhere, and nothing is
//! lost.
//!
//! [`Sequence::run`] is all of it, in order and with deadlines. It ends when the
//! last shard has ended, `settle + window + close_timeout` after its start at the
//! latest, and the registry knows.

mod pace;

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use bus::SubscriptionToken;
use lifecycle::Scope;
use metrics::{Gauge, gauge};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{sleep, timeout},
};

use self::pace::Pace;
pub(crate) use self::pace::STEP;
use crate::{gateway::Gateway, shard::Mail};

/// How long connections that plain HTTP carries may take to end behind their shard.
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);

/// How long the last connections' ends may take to reach the registry, and then
/// the gateway's own.
const REGISTRY_LIMIT: Duration = Duration::from_secs(2);

/// How a gateway drains.
///
/// `rate` is a ceiling that holds whatever happens: of more connections than
/// `rate × window` the rest is closed at the end of the window, each told to come
/// back at a time of its own, so that they return at this rate, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainPlan {
    /// From "not ready" until connections are refused and moved: load balancers
    /// may take so long to see it, and send clients meanwhile.
    pub settle: Duration,
    /// Connections per second that the rest of the fleet can take; at least 1.
    pub rate: u32,
    /// From the first connection that is asked to move until what is left is
    /// closed. Zero: none is asked.
    pub window: Duration,
}

/// Where a gateway stands; it only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DrainStage {
    /// Serves.
    Serving,
    /// Serves, but should not be sent clients: not ready.
    Settling,
    /// Refuses connections and sends away those it has.
    Moving,
    /// Closes what is left.
    Closing,
    /// Holds no connection and no port.
    Ended,
}

/// A handle to a gateway's drain; cheap to clone.
#[derive(Clone, Debug)]
pub struct Drain(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    plan: DrainPlan,
    stage: watch::Sender<DrainStage>,
    // A lock: shards take it once in a while to ask how many may go.
    pace: Mutex<Pace>,
    /// Wakes the sequence, which looks whether it may go on.
    progress: Notify,
    metrics: Metrics,
}

struct Metrics {
    stage: Gauge,
    duration: Gauge,
}

/// What the end of a gateway takes.
pub(crate) struct Sequence {
    pub(crate) gateway: Arc<Gateway>,
    /// The control plane's way in.
    pub(crate) commands: SubscriptionToken,
    /// Owns the gateway; cancelling it cuts everything short.
    pub(crate) scope: Scope,
    /// Owns the listener and the handshakes.
    pub(crate) front: Scope,
    /// Has nothing more to wait for when the last shard is gone.
    pub(crate) ended: mpsc::Receiver<Infallible>,
}

// === impl DrainPlan ===

impl Default for DrainPlan {
    fn default() -> Self {
        // Balancers probe every few seconds; a fleet of a few gateways takes 500
        // connections a second at a few percent of its cores.
        Self {
            settle: Duration::from_secs(5),
            rate: 500,
            window: Duration::from_secs(60),
        }
    }
}

// === impl Drain ===

impl Drain {
    pub(crate) fn new(plan: DrainPlan) -> Self {
        Self(Arc::new(Shared {
            plan,
            stage: watch::Sender::new(DrainStage::Serving),
            pace: Mutex::new(Pace::new(plan.rate)),
            progress: Notify::new(),
            metrics: Metrics {
                stage: gauge!("tidegate_edge_drain_stage"),
                duration: gauge!("tidegate_edge_drain_duration_seconds"),
            },
        }))
    }

    /// Begins the drain, and does not wait. Repeating it changes nothing.
    pub fn begin(&self) {
        self.enter(DrainStage::Settling);
    }

    /// Where the gateway stands now.
    pub fn stage(&self) -> DrainStage {
        *self.0.stage.borrow()
    }

    /// Follows the stages; ready is a gateway while it is
    /// [`DrainStage::Serving`].
    pub fn watch(&self) -> watch::Receiver<DrainStage> {
        self.0.stage.subscribe()
    }

    /// Resolves once the drain has begun, whoever began it. Cancel-safe.
    pub async fn begun(&self) {
        self.reached(DrainStage::Settling).await;
    }

    /// Resolves once the gateway holds nothing any more: its process may exit.
    /// Cancel-safe.
    pub async fn ended(&self) {
        self.reached(DrainStage::Ended).await;
    }

    async fn reached(&self, stage: DrainStage) {
        let mut now = self.watch();
        // We hold the sender, so it is there.
        let _ = now.wait_for(|now| *now >= stage).await;
    }

    fn enter(&self, next: DrainStage) {
        self.0.stage.send_if_modified(|stage| {
            let forward = *stage < next;
            if forward {
                *stage = next;
                self.0.metrics.stage.set(f64::from(next as u8));
            }
            forward
        });
    }

    /// Whether new connections are to be refused.
    pub(crate) fn refuses(&self) -> bool {
        self.stage() >= DrainStage::Moving
    }

    /// How many of `wanted` connections may be sent away now.
    pub(crate) fn grant(&self, since_first: Duration, wanted: usize) -> usize {
        self.0.pace.lock().grant(since_first, wanted)
    }

    /// When the next connection that was not sent away may come back.
    pub(crate) fn next_return(&self) -> Duration {
        self.0.pace.lock().next_return()
    }

    /// A connection has gone.
    pub(crate) fn note_progress(&self) {
        self.0.progress.notify_one();
    }

    /// Waits until `done` holds, looking again with each progress noted.
    async fn until(&self, done: impl Fn() -> bool) {
        while !done() {
            self.0.progress.notified().await;
        }
    }
}

// === impl Metrics ===

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

// === impl Sequence ===

impl Sequence {
    /// The whole end, from the first word of it.
    pub(crate) async fn run(mut self) {
        let gateway = self.gateway.clone();
        let drain = &gateway.drain;
        let DrainPlan { settle, window, .. } = drain.0.plan;
        // Cancelled without a drain, it ends at once, as a process does that
        // nobody else stands in for.
        self.unless_cancelled(drain.begun()).await;
        let planned = drain.stage() != DrainStage::Serving;
        let began = Instant::now();
        let connections = gateway.connections_held();
        tracing::info!(connections, planned, "draining");
        if let Some(registrar) = &gateway.registrar {
            registrar.set_draining();
        }

        if planned {
            // Not ready since it began; clients that come meanwhile are served.
            self.unless_cancelled(sleep(settle)).await;
            drain.enter(DrainStage::Moving);
        }
        if planned && !window.is_zero() {
            let until = Instant::now() + window;
            self.tell_shards(|| Mail::Migrate { until });
            let all_gone = drain.until(|| gateway.connections_held() == 0);
            // Late or cancelled: what is left is closed.
            let _ = self.unless_cancelled(timeout(window, all_gone)).await;
        }
        drain.enter(DrainStage::Closing);
        gateway.bus.unsubscribe(self.commands);
        self.tell_shards(|| Mail::End { spread: planned });
        // Shards keep to `close_timeout` themselves.
        self.ended.recv().await;
        // What they said last is on its way.
        let _ = timeout(FAREWELL_LIMIT, gateway.carriers.are_served()).await;
        // Until here it was busy saying 503.
        self.front.cancel();
        if let Some(registrar) = &gateway.registrar {
            registrar.finish(REGISTRY_LIMIT).await;
        }
        let took = began.elapsed();
        drain.0.metrics.duration.set(took.as_secs_f64());
        tracing::info!(?took, "drained");
        drain.enter(DrainStage::Ended);
    }

    /// What `future` gives; `None`: the scope was cancelled first.
    async fn unless_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        tokio::select! {
            output = future => Some(output),
            () = self.scope.cancelled() => None,
        }
    }

    fn tell_shards(&self, mail: impl Fn() -> Mail) {
        for shard in &self.gateway.shards {
            shard.mailbox.push(mail());
        }
    }
}
