//! Where shards hand requests in, and the one task that works on all of them.
//!
//! Bounded: beyond `max_under_way` a request is refused. The task goes on with
//! a request whose client is gone, and ends when it is told to, after what is
//! under way, within a limit.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bus::Bus;
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout},
};
use wire::GatewayId;

use crate::{
    course::{Call, Course},
    metrics::Metrics,
};

/// What a journal can be told.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long after its caller's deadline a worker's answer is still taken,
    /// for a repetition to find.
    pub late: Duration,
    /// Requests under way at once, those that only wait for a late answer
    /// included; more are refused.
    pub max_under_way: usize,
    /// The wall clock, by which gateways judge each other's claims: the
    /// system's, but in tests.
    pub clock: fn() -> SystemTime,
}

/// Takes requests; cheap to clone.
#[derive(Clone, Debug)]
pub struct Desk {
    places: Arc<Semaphore>,
    calls: mpsc::Sender<Handed>,
}

/// Works on what its desks take; owned by the task that runs it.
pub struct Journal {
    calls: mpsc::Receiver<Handed>,
    shared: Arc<Shared>,
}

/// What the courses of all requests share.
pub(crate) struct Shared {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) gateway: GatewayId,
    pub(crate) settings: Settings,
    pub(crate) metrics: Arc<Metrics>,
}

/// A request, since when it is under way, and its place.
#[derive(Debug)]
struct Handed {
    call: Call,
    at: Instant,
    _place: OwnedSemaphorePermit,
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        // Most workers that answer at all answer within half a minute, and ten
        // thousand requests of some KB are tens of MB.
        Self {
            late: Duration::from_secs(30),
            max_under_way: 10_000,
            clock: SystemTime::now,
        }
    }
}

// === impl Desk ===

impl Desk {
    /// Hands a request in and does not wait. Its `tell` is called once, at its
    /// deadline at the latest.
    ///
    /// # Errors
    /// Gives the request back, which was not begun, if too many are under way
    /// or the journal has ended.
    pub fn hand_in(&self, call: Call) -> Result<(), Box<Call>> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Err(Box::new(call));
        };
        let handed = Handed {
            call,
            at: Instant::now(),
            _place: place,
        };
        let sent = self.calls.try_send(handed);
        sent.map_err(|refused| Box::new(refused.into_inner().call))
    }
}

// === impl Journal ===

impl Journal {
    /// The journal of this gateway, and its desk.
    pub fn new(bus: Arc<dyn Bus>, gateway: GatewayId, settings: Settings) -> (Desk, Self) {
        let most = settings.max_under_way.clamp(1, Semaphore::MAX_PERMITS);
        // A place for each, so that whoever has one finds room here.
        let (sender, calls) = mpsc::channel(most);
        let desk = Desk {
            places: Arc::new(Semaphore::new(most)),
            calls: sender,
        };
        let shared = Arc::new(Shared {
            bus,
            gateway,
            settings,
            metrics: Arc::new(Metrics::new()),
        });
        (desk, Self { calls, shared })
    }

    /// Works until `stop` ends, and then on what it has taken, for `limit` at
    /// most. What is left then is found by others once its claim has lapsed.
    pub async fn run(mut self, stop: impl Future<Output = ()>, limit: Duration) {
        let mut under_way = FuturesUnordered::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(()) = under_way.next() => {}
                call = self.calls.recv() => match call {
                    Some(handed) => under_way.push(course(self.shared.clone(), handed)),
                    None => break,
                },
            }
        }
        self.calls.close();
        while let Ok(handed) = self.calls.try_recv() {
            under_way.push(course(self.shared.clone(), handed));
        }
        let all = async { while under_way.next().await.is_some() {} };
        if timeout(limit, all).await.is_err() {
            tracing::warn!(left = under_way.len(), "requests had no outcome at the end");
        }
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

async fn course(shared: Arc<Shared>, handed: Handed) {
    let under_way = shared.metrics.under_way.clone();
    under_way.increment(1.0);
    Course::new(shared, handed.call, handed.at).run().await;
    under_way.decrement(1.0);
}
