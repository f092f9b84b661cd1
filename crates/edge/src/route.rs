//! Routes as all shards of a gateway share them: how many requests may be under
//! way, whether asking makes sense at all, and what is counted by route.
//!
//! A request holds a [`Passage`] from before it is put to the bus until the bus
//! reports its outcome. Dropping the passage gives the place back, so a place
//! can't leak, whichever thread the outcome comes on.

mod breaker;
mod ending;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use bus::{BusError, Reply};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use parking_lot::Mutex;
use wire::{
    client::{ErrorCode, Failure},
    failure,
};

use self::{
    breaker::{Admitted, Breaker, Trip},
    ending::Ending,
};
use crate::namespace::RoutePolicy;

/// A route that clients may call.
pub(crate) struct Route {
    pub(crate) policy: RoutePolicy,
    in_flight: AtomicU32,
    // A lock: the breaker's state changes as one, and it is held for a few
    // instructions, twice per request.
    breaker: Option<Mutex<Breaker>>,
    metrics: RouteMetrics,
}

/// Leave to ask the route's workers once.
pub(crate) struct Passage {
    route: Arc<Route>,
    admitted: Option<Admitted>,
    /// The request waits at least as long as the route's workers are given.
    patient: bool,
    entered: Instant,
    ending: Ending,
}

/// Why a request was not put to the bus. It was certainly not executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// As many as may be are under way.
    Full,
    /// The breaker is open.
    Broken(Trip),
}

/// Resolved once for each route.
struct RouteMetrics {
    in_flight: Gauge,
    broken: Gauge,
    seconds: Histogram,
    endings: [Counter; Ending::ALL.len()],
}

// === impl Route ===

impl Route {
    /// A route called `name`, with nothing under way.
    pub(crate) fn new(name: &str, policy: RoutePolicy) -> Arc<Self> {
        Arc::new(Self {
            in_flight: AtomicU32::new(0),
            breaker: policy
                .breaker
                .map(|policy| Mutex::new(Breaker::new(policy))),
            metrics: RouteMetrics::new(name),
            policy,
        })
    }

    /// Lets a request in that waits `deadline` for its reply.
    ///
    /// # Errors
    /// If the request must fail at once.
    pub(crate) fn enter(self: &Arc<Self>, deadline: Duration) -> Result<Passage, Refusal> {
        let entered = self.take_place().and_then(|mut passage| {
            passage.patient = deadline >= self.policy.deadline;
            if let Some(breaker) = &self.breaker {
                let admitted = breaker.lock().admit(Instant::now());
                passage.admitted = Some(admitted.map_err(Refusal::Broken)?);
            }
            Ok(passage)
        });
        match &entered {
            Ok(_) => {}
            Err(Refusal::Full) => self.metrics.count(Ending::TooMany),
            Err(Refusal::Broken(_)) => self.metrics.count(Ending::Broken),
        }
        entered
    }

    fn take_place(self: &Arc<Self>) -> Result<Passage, Refusal> {
        let max = match self.policy.max_in_flight {
            0 => u32::MAX,
            max => max,
        };
        let one_more = |held: u32| (held < max).then_some(held + 1);
        self.in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .map_err(|_| Refusal::Full)?;
        self.metrics.in_flight.increment(1.0);
        Ok(Passage {
            route: self.clone(),
            admitted: None,
            patient: false,
            entered: Instant::now(),
            ending: Ending::Unknown,
        })
    }
}

// === impl Passage ===

impl Passage {
    /// Notes how the request ended and gives the place back.
    pub(crate) fn end(mut self, outcome: &Result<Reply, BusError>) {
        self.ending = Ending::of(outcome);
        let metrics = &self.route.metrics;
        metrics.count(self.ending);
        metrics.seconds.record(self.entered.elapsed());
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let route = &self.route;
        route.in_flight.fetch_sub(1, Ordering::Relaxed);
        route.metrics.in_flight.decrement(1.0);
        if let (Some(breaker), Some(admitted)) = (&route.breaker, self.admitted) {
            let mut breaker = breaker.lock();
            let signal = self.ending.signal(self.patient);
            breaker.report(admitted, signal, Instant::now());
            route.metrics.broken.set(f64::from(breaker.is_broken()));
        }
    }
}

impl std::fmt::Debug for Passage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passage")
            .field("admitted", &self.admitted)
            .finish_non_exhaustive()
    }
}

// === impl Refusal ===

impl Refusal {
    /// What the client is told; retrying later makes sense with all of them.
    pub(crate) fn failure(self) -> Failure {
        match self {
            Self::Full => failure(ErrorCode::Overloaded, "too many requests to the route"),
            Self::Broken(Trip::NoWorker) => failure(ErrorCode::NoWorker, ""),
            // Not DEADLINE_EXCEEDED: that one says it may have been executed.
            Self::Broken(Trip::TooSlow) => {
                failure(ErrorCode::Overloaded, "its workers do not answer in time")
            }
            Self::Broken(Trip::Unavailable) => failure(ErrorCode::Unavailable, ""),
        }
    }
}

// === impl RouteMetrics ===

impl RouteMetrics {
    fn new(name: &str) -> Self {
        let label = || name.to_owned();
        let ending = |ending: Ending| counter!("tidegate_edge_route_requests_total", "route" => label(), "result" => ending.label());
        Self {
            in_flight: gauge!("tidegate_edge_route_in_flight", "route" => label()),
            broken: gauge!("tidegate_edge_route_breaker_open", "route" => label()),
            seconds: histogram!("tidegate_edge_route_seconds", "route" => label()),
            endings: Ending::ALL.map(ending),
        }
    }

    fn count(&self, ending: Ending) {
        self.endings[ending as usize].increment(1);
    }
}

#[cfg(test)]
mod tests;
