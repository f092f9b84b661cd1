//! A bus that completes publications when the test says so.

use std::sync::Arc;

use bus::{
    Bus, BusError, BusState, Done, Entry, Handler, HistoryPage, HistoryRead, Log, MemoryBus,
    Outgoing, Pattern, Published, Put, Remove, Reply, Request, RequestToken, Revision, Service,
    Sink, Subject, Subscribed, SubscriptionToken, Table, TableSpec,
};
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

    fn subscribe(
        &self,
        pattern: Pattern,
        sink: Arc<dyn Sink>,
        done: Done<Subscribed>,
    ) -> SubscriptionToken {
        self.memory.subscribe(pattern, sink, done)
    }

    fn unsubscribe(&self, token: SubscriptionToken) {
        self.memory.unsubscribe(token);
    }

    fn request(&self, request: Request, done: Done<Reply>) -> RequestToken {
        self.memory.request(request, done)
    }

    fn cancel(&self, token: RequestToken) {
        self.memory.cancel(token);
    }

    fn serve(&self, subject: Subject, handler: Arc<dyn Handler>) -> SubscriptionToken {
        self.memory.serve(subject, handler)
    }

    fn announce(&self, service: Service) -> SubscriptionToken {
        self.memory.announce(service)
    }

    fn declare_log(&self, log: Log, done: Done<()>) {
        self.memory.declare_log(log, done);
    }

    fn declare_table(&self, table: TableSpec, done: Done<()>) {
        self.memory.declare_table(table, done);
    }

    fn put(&self, put: Put, done: Done<Revision>) {
        self.memory.put(put, done);
    }

    fn remove(&self, remove: Remove, done: Done<()>) {
        self.memory.remove(remove, done);
    }

    fn entries(&self, table: Table, keys: Vec<Pattern>, done: Done<Vec<Entry>>) {
        self.memory.entries(table, keys, done);
    }

    fn state(&self) -> watch::Receiver<BusState> {
        self.memory.state()
    }

    fn history(&self, read: HistoryRead, done: Done<HistoryPage>) {
        self.memory.history(read, done);
    }
}
