//! Logs on NATS through failures: what a subscriber gets, and what it is told.

use std::{
    sync::{
        Arc, Condvar,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bus::{
    Bus, BusError, BusExt, BusState, HistoryRead, Log, LogLimits, Message, NatsBus, NatsOptions,
    Outgoing, Pattern, Published, Sink, Subject,
};
use parking_lot::Mutex;
use testkit::{NatsCluster, NatsServer, Proxy, RawNats, eventually, within};
use wire::Offset;

/// What a sink was given, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Given {
    /// Subject, number, offset, offset before.
    Message(String, u64, u64, u64),
    Lost,
}

#[derive(Default)]
struct Record(Mutex<Vec<Given>>);

/// Stands still in its first delivery until it is opened.
struct Gate {
    open: std::sync::Mutex<bool>,
    opened: Condvar,
    record: Record,
}

/// Opens the gate at the latest when the test ends: the runtime waits for whoever
/// stands there.
struct Opener(Arc<Gate>);

// === impl Record ===

impl Record {
    fn given(&self) -> Vec<Given> {
        self.0.lock().clone()
    }

    fn numbers(&self) -> Vec<u64> {
        let number = |given: &Given| match given {
            Given::Message(_, number, _, _) => Some(*number),
            Given::Lost => None,
        };
        self.0.lock().iter().filter_map(number).collect()
    }

    fn losses(&self) -> usize {
        let given = self.0.lock();
        given.iter().filter(|given| **given == Given::Lost).count()
    }

    async fn has(&self, count: usize) {
        let what = format!("{count} messages have come");
        eventually(&what, async || self.numbers().len() >= count).await;
    }

    /// Everything once, in order, each naming the one before it.
    fn is_whole(&self, count: u64) {
        assert_eq!(self.numbers(), (0..count).collect::<Vec<_>>());
        assert_eq!(self.losses(), 0);
        let mut last = 0;
        for given in self.given() {
            let Given::Message(_, _, offset, previous) = given else {
                continue;
            };
            assert!(
                previous == last && offset > last,
                "{offset} after {previous}"
            );
            last = offset;
        }
    }
}

impl Sink for Record {
    fn deliver(&self, message: &Message) {
        let text = String::from_utf8_lossy(&message.payload);
        self.0.lock().push(Given::Message(
            message.subject.to_string(),
            text.parse().expect("a number"),
            message.offset.0,
            message.previous.0,
        ));
    }

    fn lost(&self, _dropped: u64) {
        self.0.lock().push(Given::Lost);
    }
}

// === impl Gate ===

impl Gate {
    fn open(&self) {
        *self.open.lock().expect("not poisoned") = true;
        self.opened.notify_all();
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        self.0.open();
    }
}

impl Sink for Gate {
    fn deliver(&self, message: &Message) {
        // So that no other task waits for the thread.
        tokio::task::block_in_place(|| {
            let open = self.open.lock().expect("not poisoned");
            drop(self.opened.wait_while(open, |open| !*open));
        });
        self.record.deliver(message);
    }

    fn lost(&self, dropped: u64) {
        self.record.lost(dropped);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_costs_subscribers_nothing() {
    let cluster = NatsCluster::start(3).await;
    let (publisher, subscriber) = (cluster.bus().await, cluster.bus().await);
    keep_log(&publisher, "a.>", 100_000).await;
    keep_log(&subscriber, "a.>", 100_000).await;
    let (exact, wild) = (
        listen(&subscriber, "a.x").await,
        listen(&subscriber, "a.*").await,
    );
    publish_all(&publisher, "a.x", 0..200).await;
    let leader = cluster.leader_of("TG_LOG").await;
    cluster.kill(leader).await;
    publish_all(&publisher, "a.x", 200..400).await;
    cluster.restart(leader).await;
    publish_all(&publisher, "a.x", 400..500).await;
    for record in [&exact, &wild] {
        record.has(500).await;
        record.is_whole(500);
    }
    let page = subscriber
        .read(history("a.x", 0, 1_000))
        .await
        .expect("reads");
    assert_eq!((page.messages.len(), page.more), (500, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_published_during_an_outage_is_delivered_after_it() {
    let (server, proxy, publisher, subscriber) = apart().await;
    for bus in [&publisher, &subscriber] {
        keep_log(bus, "a.>", 1_000).await;
    }
    let (exact, wild) = (
        listen(&subscriber, "a.x").await,
        listen(&subscriber, "a.*").await,
    );
    let quiet = listen(&subscriber, "a.quiet").await;
    publish_all(&publisher, "a.x", 0..10).await;
    cut(&proxy, &subscriber).await;
    publish_all(&publisher, "a.x", 10..700).await;
    proxy.heal();
    for record in [&exact, &wild] {
        record.has(700).await;
        record.is_whole(700);
    }
    publish_all(&publisher, "a.x", 700..710).await;
    exact.has(710).await;
    exact.is_whole(710);
    assert_eq!(quiet.given(), []);
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_left_the_log_during_an_outage_is_told() {
    let (server, proxy, publisher, subscriber) = apart().await;
    for bus in [&publisher, &subscriber] {
        keep_log(bus, "a.>", 50).await;
    }
    let (exact, wild) = (
        listen(&subscriber, "a.x").await,
        listen(&subscriber, "a.*").await,
    );
    publish_all(&publisher, "a.x", 0..10).await;
    for record in [&exact, &wild] {
        record.has(10).await;
    }
    cut(&proxy, &subscriber).await;
    publish_all(&publisher, "a.x", 10..100).await;
    proxy.heal();
    for record in [&exact, &wild] {
        record.has(60).await;
        let expected: Vec<u64> = (0..10).chain(50..100).collect();
        assert_eq!(record.numbers(), expected);
        assert_eq!(record.losses(), 1);
        assert_eq!(record.given()[10], Given::Lost);
    }
    drop(server);
}

/// New messages come before anything was compared with the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_left_the_log_is_told_while_others_publish() {
    let (server, proxy, publisher, subscriber) = apart().await;
    for bus in [&publisher, &subscriber] {
        keep_log(bus, "a.>", 20).await;
    }
    let record = listen(&subscriber, "a.x").await;
    publish_all(&publisher, "a.x", 0..5).await;
    record.has(5).await;
    cut(&proxy, &subscriber).await;
    publish_all(&publisher, "a.x", 5..100).await;
    proxy.heal();
    let mut next = 100;
    while record.numbers().last() != Some(&(next - 1)) {
        publish_all(&publisher, "a.x", next..next + 1).await;
        next += 1;
    }
    let mut expected = 0;
    let mut told = false;
    for given in record.given() {
        let Given::Message(_, number, ..) = given else {
            told = true;
            continue;
        };
        assert!(number >= expected, "{number} comes twice, or late");
        assert!(number == expected || told, "{number} instead of {expected}");
        (expected, told) = (number + 1, false);
    }
    assert!(record.losses() > 0);
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_made_anew_is_told_and_followed() {
    let server = NatsServer::start().await;
    let (follower, maker) = (bus(&server.url()).await, bus(&server.url()).await);
    keep_log(&follower, "a.>", 1_000).await;
    let record = Arc::new(Record::default());
    let before = position(&follower, "a.x", &record).await;
    publish_all(&follower, "a.x", 0..10).await;
    record.has(10).await;
    let mut raw = RawNats::connect(&server.address()).await;
    raw.ask("$JS.API.STREAM.DELETE.TG_LOG", b"")
        .await
        .expect("deletes");
    keep_log(&maker, "a.>", 1_000).await;
    publish_all(&maker, "a.x", 10..13).await;
    record.has(13).await;
    assert_eq!(record.numbers(), (0..13).collect::<Vec<_>>());
    assert_eq!((record.losses(), &record.given()[10]), (1, &Given::Lost));
    let after = position(&follower, "a.x", &Arc::default()).await;
    assert_ne!(before, after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sink_that_stood_still_gets_everything_that_its_log_has() {
    // More than the client library holds for one subscription.
    const MANY: u64 = 80_000;
    let server = NatsServer::start().await;
    let (publisher, subscriber) = (bus(&server.url()).await, bus(&server.url()).await);
    for bus in [&publisher, &subscriber] {
        keep_log(bus, "a.>", 1_000_000).await;
    }
    let gate = Arc::new(Gate {
        open: std::sync::Mutex::new(false),
        opened: Condvar::new(),
        record: Record::default(),
    });
    let opener = Opener(gate.clone());
    let sink: Arc<dyn Sink> = gate.clone();
    subscriber
        .listen(pattern("a.x"), sink)
        .await
        .expect("subscribes");
    let stored = Arc::new(AtomicU64::new(0));
    for number in 0..MANY {
        if number % 1_000 == 0 {
            let all = async || stored.load(Ordering::Acquire) == number;
            eventually("those before are stored", all).await;
        }
        let stored = Arc::clone(&stored);
        let done = Box::new(move |outcome: Result<Published, BusError>| {
            if outcome.is_ok() {
                stored.fetch_add(1, Ordering::Release);
            }
        });
        publisher.publish(outgoing("a.x", number, ""), done);
    }
    let all = async || stored.load(Ordering::Acquire) == MANY;
    eventually("all are stored", all).await;
    drop(opener);
    gate.record.has(80_000).await;
    gate.record.is_whole(MANY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_subscriptions_are_made_whole_after_an_outage() {
    const MANY: u64 = 1_000;
    let (server, proxy, publisher, subscriber) = apart().await;
    for bus in [&publisher, &subscriber] {
        keep_log(bus, "a.>", 10).await;
    }
    let record = Arc::new(Record::default());
    for number in 0..MANY {
        let sink: Arc<dyn Sink> = record.clone();
        let pattern = pattern(&format!("a.{number}"));
        subscriber.listen(pattern, sink).await.expect("subscribes");
    }
    cut(&proxy, &subscriber).await;
    for number in 0..MANY {
        insist(&publisher, outgoing(&format!("a.{number}"), number, "")).await;
    }
    proxy.heal();
    record.has(1_000).await;
    let mut numbers = record.numbers();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..MANY).collect::<Vec<_>>());
    assert_eq!(record.losses(), 0);
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_foreign_programs_publish_is_in_the_log() {
    let server = NatsServer::start().await;
    let bus = bus(&server.url()).await;
    keep_log(&bus, "a.>", 10).await;
    let record = listen(&bus, "a.x").await;
    let mut raw = RawNats::connect(&server.address()).await;
    raw.publish("a.x", b"0").await;
    raw.publish_with(
        "a.x",
        &["Tg-Key: key", "Tg-Published-At: not a number"],
        b"1",
    )
    .await;
    record.has(2).await;
    record.is_whole(2);
    let page = bus.read(history("a.x", 0, 10)).await.expect("reads");
    assert_eq!(&*page.messages[1].key, "key");
    let times = page.messages.iter().map(|message| message.published_at_us);
    assert!(times.min() > Some(1_700_000_000_000_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_history_is_read_over_many_batches() {
    let server = NatsServer::start().await;
    let bus = bus(&server.url()).await;
    keep_log(&bus, "a.>", 2_000).await;
    for number in 0..1_500 {
        let to = if number % 2 == 0 { "a.x" } else { "a.y" };
        insist(&bus, outgoing(to, number, "")).await;
    }
    let whole = bus.read(history("a.x", 0, 10_000)).await.expect("reads");
    assert_eq!((whole.messages.len(), whole.more), (750, false));
    let chain = whole
        .messages
        .windows(2)
        .all(|pair| pair[1].previous == pair[0].offset);
    assert!(chain && whole.messages[0].previous == Offset::NONE);
    let part = bus.read(history("a.x", 101, 300)).await.expect("reads");
    assert_eq!((part.messages.len(), part.more), (300, true));
    assert_eq!(part.messages[0].previous, Offset(101));
    assert_eq!(part.position, whole.position);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_shows_a_break_where_the_log_has_let_go() {
    let server = NatsServer::start().await;
    let bus = bus(&server.url()).await;
    keep_log(&bus, "a.>", 5).await;
    for number in 0..10 {
        insist(&bus, outgoing("a.x", number, "")).await;
    }
    // Offsets 6 to 10 are left.
    let page = bus.read(history("a.x", 3, 100)).await.expect("reads");
    assert_eq!(page.messages.len(), 5);
    assert!(page.messages[0].previous > Offset(3));
    let page = bus.read(history("a.x", 5, 100)).await.expect("reads");
    assert_eq!(page.messages[0].previous, Offset(5));
}

async fn bus(url: &str) -> Arc<dyn Bus> {
    let connected = NatsBus::connect(NatsOptions::local(url)).await;
    let bus = connected.expect("connects");
    let runs = Arc::clone(&bus);
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(async move { runs.run().await });
    let mut state = bus.state();
    let up = state.wait_for(|state| *state == BusState::Up);
    within("the bus is up", up).await.expect("it runs");
    bus
}

/// Two buses, of which one can be cut off.
async fn apart() -> (NatsServer, Proxy, Arc<dyn Bus>, Arc<dyn Bus>) {
    let server = NatsServer::start().await;
    let proxy = Proxy::to(&server.address()).await;
    let (near, far) = (bus(&server.url()).await, bus(&proxy.address()).await);
    (server, proxy, near, far)
}

async fn cut(proxy: &Proxy, bus: &Arc<dyn Bus>) {
    let mut state = bus.state();
    // What is on its way goes with the connections.
    proxy.cut();
    proxy.sever();
    let down = state.wait_for(|state| *state != BusState::Up);
    within("the bus is down", down).await.expect("it runs");
}

async fn keep_log(bus: &Arc<dyn Bus>, of: &str, messages: usize) {
    let log = Log {
        name: "log".into(),
        patterns: vec![pattern(of)],
        limits: LogLimits {
            messages,
            age: Duration::from_secs(3_600),
        },
    };
    bus.keep_log(log).await.expect("declares");
}

async fn listen(bus: &Arc<dyn Bus>, to: &str) -> Arc<Record> {
    let record = Arc::new(Record::default());
    let sink: Arc<dyn Sink> = record.clone();
    bus.listen(pattern(to), sink).await.expect("subscribes");
    record
}

/// The epoch of a subject's log, by a subscription.
async fn position(bus: &Arc<dyn Bus>, of: &str, record: &Arc<Record>) -> wire::Epoch {
    let sink: Arc<dyn Sink> = record.clone();
    let (_, subscribed) = bus.listen(pattern(of), sink).await.expect("subscribes");
    subscribed.position.expect("has a log").epoch
}

/// Publishes numbers, each until it is stored, which it is once.
async fn publish_all(bus: &Arc<dyn Bus>, to: &str, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let id = format!("id-{number}");
        insist(bus, outgoing(to, number, &id)).await;
    }
}

async fn insist(bus: &Arc<dyn Bus>, outgoing: Outgoing) {
    eventually("it is stored", async || {
        bus.send(outgoing.clone()).await.is_ok()
    })
    .await;
}

fn outgoing(to: &str, number: u64, message_id: &str) -> Outgoing {
    Outgoing {
        subject: Subject::new(to).expect("valid"),
        payload: number.to_string().into(),
        key: "".into(),
        published_at_us: 0,
        message_id: message_id.into(),
        traceparent: Box::default(),
    }
}

fn history(of: &str, after: u64, limit: usize) -> HistoryRead {
    HistoryRead::after(Subject::new(of).expect("valid"), Offset(after), limit)
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text).expect("valid")
}
