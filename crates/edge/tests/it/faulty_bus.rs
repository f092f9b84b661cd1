//! A bus that goes away, and loses messages, when the test says so.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bus::{
    Bus, BusError, BusState, Done, HistoryPage, HistoryRead, MemoryBus, Message, Origin, Outgoing,
    Pattern, Published, Reply, Request, RequestToken, Sink, Subject, Subscribed, SubscriptionToken,
};
use parking_lot::Mutex;
use testkit::within;
use tokio::sync::watch;
use wire::{Channel, Offset};

/// The memory bus, with faults.
pub(crate) struct FaultyBus {
    memory: Arc<MemoryBus>,
    state: watch::Sender<BusState>,
    sinks: Mutex<Vec<(Pattern, Arc<dyn Sink>)>>,
    /// Publications, subscriptions and requests that reached it.
    asked: AtomicUsize,
    /// Reads of logs that reached it.
    read: AtomicUsize,
    /// Reads of logs that wait for the test; absent: none has to.
    held: Mutex<Option<Vec<HeldRead>>>,
    holding: watch::Sender<usize>,
}

type HeldRead = (HistoryRead, Done<HistoryPage>);

// === impl FaultyBus ===

impl FaultyBus {
    pub(crate) fn over(memory: Arc<MemoryBus>) -> Arc<Self> {
        Arc::new(Self {
            memory,
            state: watch::Sender::new(BusState::Up),
            sinks: Mutex::default(),
            asked: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
            held: Mutex::default(),
            holding: watch::Sender::new(0),
        })
    }

    pub(crate) fn go_down(&self) {
        self.state.send_replace(BusState::Down("pulled".into()));
    }

    pub(crate) fn come_up(&self) {
        self.state.send_replace(BusState::Up);
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn read(&self) -> usize {
        self.read.load(Ordering::SeqCst)
    }

    /// Tells who listens to the channel that messages may be missing.
    pub(crate) fn lose(&self, channel: &str, dropped: u64) {
        self.sink(channel).lost(dropped);
    }

    /// Delivers a message that stands so in the channel's log.
    pub(crate) fn deliver(&self, channel: &str, offset: u64, previous: u64) {
        let message = Message {
            origin: Origin::UNKNOWN,
            subject: subject(channel),
            payload: offset.to_string().into(),
            key: Box::default(),
            published_at_us: 0,
            offset: Offset(offset),
            previous: Offset(previous),
            traceparent: Box::default(),
        };
        self.sink(channel).deliver(&message);
    }

    /// Reads of logs wait from now on.
    pub(crate) fn hold_reads(&self) {
        *self.held.lock() = Some(Vec::new());
    }

    /// Waits until so many do.
    pub(crate) async fn held_reads(&self, count: usize) {
        let mut holding = self.holding.subscribe();
        let enough = holding.wait_for(|holding| *holding >= count);
        let enough = within("reads to hold", enough).await;
        drop(enough.expect("the bus lives"));
    }

    /// Fails them; the following go through.
    pub(crate) fn fail_reads(&self) {
        let held = self.held.lock().take();
        for (_, done) in held.unwrap_or_default() {
            done(Err(BusError::Unavailable));
        }
    }

    /// Lets them go, and the following.
    pub(crate) fn release_reads(&self) {
        let held = self.held.lock().take();
        for (read, done) in held.unwrap_or_default() {
            self.memory.history(read, done);
        }
    }

    /// How many wait.
    pub(crate) fn holding(&self) -> usize {
        self.held.lock().as_ref().map_or(0, Vec::len)
    }

    /// Fails those that wait; the following succeed.
    pub(crate) fn fail_held_reads(&self) {
        let held = self.held.lock().take();
        for (_, done) in held.unwrap_or_default() {
            done(Err(BusError::Unavailable));
        }
    }

    fn sink(&self, channel: &str) -> Arc<dyn Sink> {
        let subject = subject(channel);
        let sinks = self.sinks.lock();
        let (_, sink) = sinks
            .iter()
            .rfind(|(pattern, _)| pattern.matches(&subject))
            .expect("somebody listens");
        sink.clone()
    }
}

fn subject(channel: &str) -> Subject {
    Subject::of_channel(&Channel::parse(channel, 255).expect("valid"))
}

impl std::fmt::Debug for FaultyBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FaultyBus")
    }
}

impl Bus for FaultyBus {
    fn publish(&self, outgoing: Outgoing, done: Done<Published>) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.memory.publish(outgoing, done);
    }

    fn subscribe(
        &self,
        pattern: Pattern,
        sink: Arc<dyn Sink>,
        done: Done<Subscribed>,
    ) -> SubscriptionToken {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.sinks.lock().push((pattern.clone(), sink.clone()));
        self.memory.subscribe(pattern, sink, done)
    }
    fn request(&self, request: Request, done: Done<Reply>) -> RequestToken {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.memory.request(request, done)
    }
    fn history(&self, read: HistoryRead, done: Done<HistoryPage>) {
        self.read.fetch_add(1, Ordering::SeqCst);
        match &mut *self.held.lock() {
            Some(held) => {
                held.push((read, done));
                self.holding.send_replace(held.len());
            }
            None => self.memory.history(read, done),
        }
    }
    fn state(&self) -> watch::Receiver<BusState> {
        self.state.subscribe()
    }

    bus::contract::passes_on!(memory: unsubscribe cancel serve announce declare_log declare_table put remove entries);
}
