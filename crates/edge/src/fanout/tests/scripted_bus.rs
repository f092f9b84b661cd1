//! A bus whose answers the test gives.

use bus::{
    BusState, Done, Entry, Handler, Log, Message, Origin, Outgoing, Published, Put, Remove, Reply,
    Request, RequestToken, Revision, Service, SubscriptionToken, Table, TableSpec,
};
use tokio::sync::watch;

use super::*;

/// Of everything else.
const NOT_ASKED: &str = "a fan-out subscribes and reads positions, no more";

/// Keeps what it is asked for until the test answers.
#[derive(Default)]
pub(super) struct ScriptedBus(Mutex<Asked>);

#[derive(Default)]
struct Asked {
    tokens: u64,
    subscriptions: Vec<Subscription>,
    reads: Vec<(Subject, Done<HistoryPage>)>,
}

struct Subscription {
    token: SubscriptionToken,
    pattern: Pattern,
    sink: Arc<dyn Sink>,
    done: Option<Done<Subscribed>>,
}

// === impl ScriptedBus ===

impl ScriptedBus {
    /// Subscriptions that nobody has ended.
    pub(super) fn subscriptions(&self) -> usize {
        self.0.lock().subscriptions.len()
    }

    /// Reads without an answer.
    pub(super) fn reads(&self) -> usize {
        self.0.lock().reads.len()
    }

    /// Whether a subscription waits for its confirmation.
    pub(super) fn is_asked_for(&self, pattern: &str) -> bool {
        let asked = self.0.lock();
        let waits = |it: &Subscription| it.pattern.as_str() == pattern && it.done.is_some();
        asked.subscriptions.iter().any(waits)
    }

    /// Confirms a subscription, at an offset if it has a log.
    pub(super) fn confirm(&self, pattern: &str, outcome: Result<Option<u64>, BusError>) {
        let done = self.with(pattern, |it| it.done.take());
        let subscribed = |offset: Option<u64>| Subscribed {
            position: offset.map(position),
        };
        done.expect("it waits")(outcome.map(subscribed));
    }

    /// Answers the read of a channel.
    pub(super) fn tell_position(&self, channel: &str, outcome: Result<u64, BusError>) {
        let (_, done) = {
            let mut asked = self.0.lock();
            let is_its = |(subject, _): &(Subject, _)| subject.channel_name() == Some(channel);
            let at = asked.reads.iter().position(is_its).expect("it was read");
            asked.reads.swap_remove(at)
        };
        let page = |offset| HistoryPage {
            messages: Vec::new(),
            position: position(offset),
            more: false,
        };
        done(outcome.map(page));
    }

    pub(super) fn deliver(&self, pattern: &str, to: &str, offset: u64) {
        self.deliver_of(pattern, to, offset, Origin::UNKNOWN);
    }

    /// Delivers a message to a channel without a log.
    pub(super) fn deliver_nth(&self, pattern: &str, to: &str, origin: Origin) {
        self.deliver_of(pattern, to, 0, origin);
    }

    pub(super) fn reach(&self, pattern: &str, to: &str, origin: Origin) {
        let subject = Subject::of_channel(&channel(to));
        let sink = self.with(pattern, |it| it.sink.clone());
        sink.reached(&subject, origin);
    }

    fn deliver_of(&self, pattern: &str, to: &str, offset: u64, origin: Origin) {
        let message = Message {
            subject: Subject::of_channel(&channel(to)),
            payload: Default::default(),
            key: Box::default(),
            published_at_us: 0,
            offset: Offset(offset),
            previous: Offset(offset.saturating_sub(1)),
            origin,
            traceparent: Box::default(),
        };
        self.with(pattern, |it| it.sink.clone()).deliver(&message);
    }

    pub(super) fn lose(&self, pattern: &str, dropped: u64) {
        self.with(pattern, |it| it.sink.clone()).lost(dropped);
    }

    fn with<T>(&self, pattern: &str, act: impl FnOnce(&mut Subscription) -> T) -> T {
        let mut asked = self.0.lock();
        let mut all = asked.subscriptions.iter_mut();
        act(all
            .find(|it| it.pattern.as_str() == pattern)
            .expect("it is subscribed to"))
    }
}

fn position(offset: u64) -> Position {
    Position {
        epoch: Epoch::new("e"),
        offset: Offset(offset),
    }
}

impl std::fmt::Debug for ScriptedBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScriptedBus")
    }
}

impl Bus for ScriptedBus {
    fn subscribe(
        &self,
        pattern: Pattern,
        sink: Arc<dyn Sink>,
        done: Done<Subscribed>,
    ) -> SubscriptionToken {
        let mut asked = self.0.lock();
        asked.tokens += 1;
        let token = SubscriptionToken(asked.tokens);
        asked.subscriptions.push(Subscription {
            token,
            pattern,
            sink,
            done: Some(done),
        });
        token
    }

    fn unsubscribe(&self, token: SubscriptionToken) {
        let mut asked = self.0.lock();
        let ended = asked.subscriptions.extract_if(.., |it| it.token == token);
        let ended: Vec<_> = ended.collect();
        drop(asked);
        assert_eq!(ended.len(), 1, "each subscription is ended once");
    }

    fn history(&self, read: HistoryRead, done: Done<HistoryPage>) {
        self.0.lock().reads.push((read.subject, done));
    }

    fn publish(&self, _: Outgoing, _: Done<Published>) {
        unreachable!("{NOT_ASKED}")
    }

    fn request(&self, _: Request, _: Done<Reply>) -> RequestToken {
        unreachable!("{NOT_ASKED}")
    }

    fn cancel(&self, _: RequestToken) {
        unreachable!("{NOT_ASKED}")
    }

    fn serve(&self, _: Subject, _: Arc<dyn Handler>) -> SubscriptionToken {
        unreachable!("{NOT_ASKED}")
    }

    fn announce(&self, _: Service) -> SubscriptionToken {
        unreachable!("{NOT_ASKED}")
    }

    fn declare_log(&self, _: Log, _: Done<()>) {
        unreachable!("{NOT_ASKED}")
    }

    fn declare_table(&self, _: TableSpec, _: Done<()>) {
        unreachable!("{NOT_ASKED}")
    }

    fn put(&self, _: Put, _: Done<Revision>) {
        unreachable!("{NOT_ASKED}")
    }

    fn remove(&self, _: Remove, _: Done<()>) {
        unreachable!("{NOT_ASKED}")
    }

    fn entries(&self, _: Table, _: Vec<Pattern>, _: Done<Vec<Entry>>) {
        unreachable!("{NOT_ASKED}")
    }

    fn state(&self) -> watch::Receiver<BusState> {
        unreachable!("{NOT_ASKED}")
    }
}
