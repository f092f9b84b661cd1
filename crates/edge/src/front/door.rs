//! The gateway's door: [`Admission`] with a clock and a lock, and the turns of
//! addresses at the HTTP handshakes.

use std::{
    hash::BuildHasher,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use foldhash::{HashMap, fast::RandomState};
use metrics::{Counter, Gauge, counter, gauge};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use wire::UserId;

use super::admission::{Admission, AdmissionLimits, Later, Prefix, Reason};

/// How much longer than a place in line takes who finds no memory: outboxes have to
/// be read first.
const MEMORY_PAUSE: Duration = Duration::from_secs(2);

/// Likewise of who finds no place: somebody has to leave first.
const FULL_PAUSE: Duration = Duration::from_secs(5);

/// What all handshakes share. Nothing in it is held for longer than a decision.
pub(crate) struct Door {
    limits: AdmissionLimits,
    opened: Instant,
    admission: Mutex<Admission>,
    /// Requests under way by address; only those that have any.
    queues: Mutex<HashMap<Prefix, (Arc<Semaphore>, usize)>>,
    users: RandomState,
    /// By [`Reason`], and whether the client returned.
    refused: [[Counter; 2]; 4],
    admitted: [Counter; 2],
    backlog: Gauge,
}

/// A place among the requests of one address.
pub(crate) struct Turn<'a> {
    door: &'a Door,
    prefix: Prefix,
    queue: Arc<Semaphore>,
}

// === impl Door ===

impl Door {
    pub(crate) fn new(limits: AdmissionLimits) -> Self {
        let counters = |verdict: &'static str| {
            ["new", "returning"].map(|client| {
                counter!("tidegate_edge_admissions_total", "client" => client, "verdict" => verdict)
            })
        };
        Self {
            admission: Mutex::new(Admission::new(&limits)),
            limits,
            opened: Instant::now(),
            queues: Mutex::default(),
            users: RandomState::default(),
            refused: ["rate", "address_rate", "memory", "address_connections"].map(counters),
            admitted: counters("admitted"),
            backlog: gauge!("tidegate_edge_admission_backlog_seconds"),
        }
    }

    /// Whether a client from there may come in. `returns`: to a session;
    /// `is_short`: there is no memory for it now.
    pub(crate) fn admit(
        &self,
        address: IpAddr,
        returns: bool,
        is_short: bool,
    ) -> Result<(), Later> {
        let now = self.now();
        let prefix = self.limits.prefix(address);
        let verdict = if is_short {
            let after = MEMORY_PAUSE + self.admission.lock().put_off(now, returns);
            let reason = Reason::Memory;
            Err(Later { reason, after })
        } else {
            self.admission.lock().decide(now, prefix, returns)
        };
        match verdict {
            Ok(()) => self.admitted[usize::from(returns)].increment(1),
            Err(later) => self.count(later, returns),
        }
        verdict
    }

    /// When a client may come back that finds as many connections from its address as
    /// there may be.
    pub(crate) fn crowded(&self, returns: bool) -> Later {
        let later = Later {
            reason: Reason::AddressConnections,
            after: FULL_PAUSE + self.admission.lock().put_off(self.now(), returns),
        };
        self.count(later, returns);
        later
    }

    /// What `address` counts as.
    pub(crate) fn prefix(&self, address: IpAddr) -> Prefix {
        self.limits.prefix(address)
    }

    /// Hands to the recorder what changes by itself; once a second.
    pub(crate) fn publish(&self) {
        let backlog = self.admission.lock().backlog(self.now());
        self.backlog.set(backlog.as_secs_f64());
    }

    /// When a new client may try again that finds the gateway full.
    pub(crate) fn full(&self) -> Duration {
        FULL_PAUSE + self.admission.lock().put_off(self.now(), false)
    }

    /// Whether this user may come in.
    pub(crate) fn greet(&self, user: &UserId) -> Result<(), Later> {
        let user = self.users.hash_one(user);
        self.admission.lock().greet(self.now(), user)
    }

    /// A connection of this user ended, by the client's doing.
    pub(crate) fn left(&self, user: &UserId, lived: Duration) {
        if lived < self.limits.flapping.shorter_than {
            let user = self.users.hash_one(user);
            self.admission.lock().left(self.now(), user, lived);
        }
    }

    /// A place in the queue of the address, which leaves it when it is dropped.
    pub(crate) fn queue_up(&self, address: IpAddr) -> Turn<'_> {
        let prefix = self.limits.prefix(address);
        let places = self.limits.handshakes_per_address;
        let mut queues = self.queues.lock();
        let (queue, waiting) = queues
            .entry(prefix)
            .or_insert_with(|| (Arc::new(Semaphore::new(places)), 0));
        *waiting += 1;
        Turn {
            door: self,
            prefix,
            queue: queue.clone(),
        }
    }

    fn count(&self, later: Later, returns: bool) {
        let reason = match later.reason {
            Reason::Rate => 0,
            Reason::AddressRate | Reason::Flapping => 1,
            Reason::Memory => 2,
            Reason::AddressConnections => 3,
        };
        self.refused[reason][usize::from(returns)].increment(1);
    }

    fn now(&self) -> Duration {
        self.opened.elapsed()
    }
}

// === impl Turn ===

impl Turn<'_> {
    /// Waits until it is this one's turn, which ends when the permit is dropped.
    pub(crate) async fn come(&self) -> SemaphorePermit<'_> {
        self.queue
            .acquire()
            .await
            .expect("the semaphore is never closed")
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queues = self.door.queues.lock();
        if let Some((_, waiting)) = queues.get_mut(&self.prefix) {
            *waiting -= 1;
            if *waiting == 0 {
                queues.remove(&self.prefix);
            }
        }
    }
}
