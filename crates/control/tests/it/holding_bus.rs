//! A bus that completes publications when the test says so.

use std::sync::Arc;

use bus::{Bus, BusError, Done, MemoryBus, Outgoing, Published};
use parking_lot::Mutex;
use tokio::sync::watch;
use wire::Offset;

/// Holds every publication until it is completed.
#[derive(Debug)]
pub(crate) struct HoldingBus {
    memory: MemoryBus,
    held: Mutex<Held>,
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Held {
    publications: Vec<Done<Published>>,
    most: usize,
}

// === impl HoldingBus ===

impl HoldingBus {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            memory: MemoryBus::new(),
            held: Mutex::default(),
            count: watch::Sender::new(0),
        })
    }

    /// Waits until at least so many are held.
    pub(crate) async fn holds(&self, count: usize) {
        let mut held = self.count.subscribe();
        held.wait_for(|held| *held >= count)
            .await
            .expect("the bus lives");
    }

    /// Completes one of those held, the newest first.
    pub(crate) fn complete_newest(&self, outcome: Result<(), BusError>) {
        let done = self.held.lock().publications.pop().expect("one is held");
        self.count.send_modify(|held| *held -= 1);
        done(outcome.map(|()| Published {
            offset: Offset::NONE,
            duplicate: false,
        }));
    }

    /// The most that were held at once.
    pub(crate) fn most(&self) -> usize {
        self.held.lock().most
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

impl Bus for HoldingBus {
    fn publish(&self, _: Outgoing, done: Done<Published>) {
        let mut held = self.held.lock();
        held.publications.push(done);
        held.most = held.most.max(held.publications.len());
        self.count.send_modify(|held| *held += 1);
    }

    bus::contract::passes_on!(memory: subscribe unsubscribe request cancel serve announce declare_log history declare_table put remove entries state);
}
