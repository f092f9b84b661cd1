//! One client that reads far more slowly than its channel carries, and others
//! beside it that read as fast as they can.
//!
//! `TIDEGATE_TEST_RATE` is what the slow one reads, in bytes a second; its channel
//! carries ten times that.

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use client::{Client, Subscription, SubscriptionEvent, Verdict};
use futures_util::StreamExt;
use testkit::{Cluster, Layout, Rate, Throttled, within};
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tonic::transport::Channel;

use super::{Spread, grpc, publish, setting, subscribe};

/// What the kernel keeps for the slow client, in bytes; it doubles that.
const RECEIVE_BUFFER: u32 = 4_096;

/// How much more the channel carries than the slow client reads.
const TIMES: usize = 10;

/// What a client has got of the offsets that were published.
#[derive(Debug, Default)]
struct Got {
    /// The offset that must come next.
    next: u64,
    publications: u64,
    gaps: u64,
    /// Publications in the ranges of gaps, and those that gaps have counted.
    withheld: u64,
    counted: u64,
    recovered: u64,
    /// Milliseconds from publisher to client.
    ages: Vec<f64>,
}

/// The sizes of a run.
struct Scale {
    rate: usize,
    payload: usize,
    clients: usize,
    /// Milliseconds that each phase publishes.
    publishing: usize,
    rounds: usize,
    /// Seconds between two looks at memory.
    look: usize,
}

/// A cluster of one gateway, and a channel of it.
struct Stage {
    cluster: Cluster,
    control: Channel,
    channel: &'static str,
    scale: Scale,
    last: AtomicU64,
    /// The last offset of a phase, once it is published.
    end: watch::Sender<Option<u64>>,
}

/// What one phase has shown.
struct Phase {
    ages: Vec<f64>,
    fast_gaps: u64,
    slow: Option<Got>,
}

// === impl Scale ===

impl Scale {
    fn told() -> Self {
        Self {
            rate: setting("TIDEGATE_TEST_RATE", 64_000),
            payload: setting("TIDEGATE_TEST_PAYLOAD", 4_000),
            clients: setting("TIDEGATE_TEST_CLIENTS", 20),
            publishing: setting("TIDEGATE_TEST_PHASE_MS", 1_000),
            rounds: setting("TIDEGATE_TEST_ROUNDS", 1),
            look: setting("TIDEGATE_TEST_LOOK_SECONDS", 1),
        }
    }

    /// What a gateway may hold for a connection: little where little is published.
    fn config(&self) -> String {
        let (outbox, send) = (
            setting("TIDEGATE_TEST_OUTBOX_KIB", 16),
            setting("TIDEGATE_TEST_SEND_BUFFER_KIB", 16),
        );
        let namespace = |name: &str, messages: usize| {
            format!(
                "[[namespace]]\nname = \"{name}\"\noverflow = \"catch_up\"\n\
                 history = {{ messages = {messages}, age = \"1h\" }}\n\
                 publish = \"anyone\"\nsubscribe = \"anyone\"\n"
            )
        };
        let short = setting("TIDEGATE_TEST_SHORT_HISTORY", 5);
        format!(
            "[gateway]\noutbox_bytes = \"{outbox}KiB\"\nsend_buffer = \"{send}KiB\"\n{}{}",
            namespace("deep", 1_000_000),
            namespace("short", short),
        )
    }

    /// Publications of a phase, and the time from one to the next.
    fn flow(&self) -> (usize, Duration) {
        let a_second = self.rate * TIMES / self.payload;
        let period = Duration::from_secs_f64(1.0 / a_second as f64);
        (a_second * self.publishing / 1000, period)
    }
}

// === impl Stage ===

impl Stage {
    async fn start(channel: &'static str) -> Self {
        let scale = Scale::told();
        let layout = Layout {
            binary: env!("CARGO_BIN_EXE_tidegate"),
            nats: 1,
            gateways: &["gw1"],
            controls: &["control1"],
            config: &scale.config(),
        };
        let cluster = Cluster::start(layout).await;
        let control = grpc(&cluster, "control1").await;
        Self {
            cluster,
            control,
            channel,
            scale,
            last: AtomicU64::new(0),
            end: watch::channel(None).0,
        }
    }

    async fn fast_clients(&self) -> Vec<Subscription> {
        let url = self.cluster.client_url("gw1");
        let mut all = Vec::new();
        for number in 0..self.scale.clients {
            let token = self.cluster.tokens.token(&format!("fast{number}"));
            let connecting = Client::builder(&url).token(token).connect();
            let client = within("a client", connecting).await.expect("connects");
            all.push(subscribe(&client, self.channel).await);
        }
        all
    }

    async fn slow_client(&self) -> Subscription {
        let rate = Rate::default();
        rate.set(self.scale.rate as u64);
        let place = self.cluster.process("gw1").address("client_url");
        let builder = Client::builder(&self.cluster.client_url("gw1"))
            .token(self.cluster.tokens.token("slow"))
            .dial(move || dial(place, rate.clone()));
        let client = within("the slow client", builder.connect()).await;
        subscribe(&client.expect("connects"), self.channel).await
    }

    /// Publishes at the channel's rate, until all have got everything.
    async fn phase(&self, fast: &mut Vec<Subscription>, with_slow: bool) -> Phase {
        let first = self.last.load(Ordering::Relaxed) + 1;
        self.end.send_replace(None);
        let mut slow = JoinSet::new();
        if with_slow {
            slow.spawn(read(self.slow_client().await, first, self.end.subscribe()));
        }
        let mut readers = JoinSet::new();
        for subscription in fast.drain(..) {
            readers.spawn(read(subscription, first, self.end.subscribe()));
        }
        self.publish().await;
        let (mut ages, mut fast_gaps) = (Vec::new(), 0);
        while let Some(read) = within("a fast client", readers.join_next()).await {
            let (mut got, subscription) = read.expect("reads to the end");
            ages.append(&mut got.ages);
            fast_gaps += got.gaps;
            fast.push(subscription);
        }
        // As much to read as was published, with what frames and TCP add.
        let limit = Duration::from_millis((self.scale.publishing * TIMES * 2 + 20_000) as u64);
        let read = timeout(limit, slow.join_next()).await;
        let read = read.expect("the slow client comes to the end");
        let slow = read.map(|read| read.expect("reads to the end").0);
        Phase {
            ages,
            fast_gaps,
            slow,
        }
    }

    async fn publish(&self) {
        let (count, period) = self.scale.flow();
        let mut clock = interval(period);
        clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let begun = clock.tick().await;
        for _ in 0..count {
            let payload = format!("{:<1$}", now_us(), self.scale.payload);
            let offset = publish(&self.control, self.channel, payload).await;
            self.last
                .store(offset.expect("published"), Ordering::Relaxed);
            // A rate, not a wait for something.
            clock.tick().await;
        }
        let bytes = (count * self.scale.payload) as f64;
        let rate = bytes / begun.elapsed().as_secs_f64();
        println!("published at: {rate:.0} bytes/s");
        self.end
            .send_replace(Some(self.last.load(Ordering::Relaxed)));
    }

    /// What memory the gateway holds, in KiB, again and again while `phase` goes on.
    async fn watched(&self, phase: impl Future<Output = Phase>) -> (Phase, Vec<u64>) {
        let mut phase = std::pin::pin!(phase);
        let mut held = Vec::new();
        loop {
            let look = Duration::from_secs(self.scale.look as u64);
            tokio::select! {
                phase = &mut phase => return (phase, held),
                () = sleep(look) => held.push(self.memory()),
            }
        }
    }

    /// How often subscriptions have fallen behind and were fed from the log.
    async fn fallen(&self) -> f64 {
        let gateway = self.cluster.process("gw1");
        gateway.metric("tidegate_edge_catch_ups_total", &[]).await
    }

    fn memory(&self) -> u64 {
        self.cluster.process("gw1").memory()
    }
}

// === impl Got ===

impl Got {
    /// Takes what came; nothing may be missing that no gap told of.
    fn take(&mut self, event: SubscriptionEvent) {
        match event {
            SubscriptionEvent::Publication(publication) => {
                assert_eq!(publication.offset, self.next, "{self:?}");
                self.next += 1;
                self.publications += 1;
                let text = std::str::from_utf8(&publication.payload).expect("a text");
                let at: u64 = text.trim_end().parse().expect("a time");
                self.ages.push(now_us().saturating_sub(at) as f64 / 1e3);
            }
            SubscriptionEvent::Gap(gap) => {
                assert_eq!(gap.from, self.next, "{gap:?}");
                // Nobody else publishes into this log, so that its offsets count. The
                // gateway has not seen what was gone before it read it.
                let withheld = gap.to + 1 - gap.from;
                assert!([0, withheld].contains(&gap.dropped), "{gap:?}");
                self.next = gap.to + 1;
                self.gaps += 1;
                self.withheld += withheld;
                self.counted += gap.dropped;
            }
            SubscriptionEvent::Resubscribed {
                verdict: Verdict::Recovered,
            } => self.recovered += 1,
            other => panic!("{other:?} at {}", self.next),
        }
    }
}

/// A socket that the kernel reads little from on its own.
async fn dial(place: SocketAddr, rate: Rate) -> io::Result<Throttled<TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    let stream = socket.connect(place).await?;
    stream.set_nodelay(true)?;
    Ok(Throttled::new(stream, rate))
}

/// Reads from one offset to the end of the phase.
async fn read(
    mut subscription: Subscription,
    first: u64,
    mut end: watch::Receiver<Option<u64>>,
) -> (Got, Subscription) {
    let mut got = Got {
        next: first,
        ..Got::default()
    };
    loop {
        if end.borrow_and_update().is_some_and(|last| got.next > last) {
            return (got, subscription);
        }
        tokio::select! {
            event = subscription.next() => got.take(event.expect("still subscribed")),
            _ = end.changed() => {}
        }
    }
}

pub(super) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_micros() as u64
}

/// Rounds of three phases: without a slow client, with it, and without again. Gives
/// what the slow ones have got.
async fn run(channel: &'static str) -> Vec<Got> {
    let stage = Stage::start(channel).await;
    let mut fast = stage.fast_clients().await;
    // What the first use of everything costs belongs to no phase.
    stage.phase(&mut fast, false).await;
    let (mut p99, mut all) = ([Vec::new(), Vec::new()], Vec::new());
    let published = stage.scale.flow().0 as u64;
    for round in 1..=stage.scale.rounds {
        let (memory, fallen) = (stage.memory(), stage.fallen().await);
        let before = stage.phase(&mut fast, false).await;
        let (during, held) = stage.watched(stage.phase(&mut fast, true)).await;
        let after = stage.phase(&mut fast, false).await;
        println!("{channel}, round {round}, publications in each phase: {published}");
        println!("memory before: {memory} KiB");
        println!("memory meanwhile: {held:?} KiB");
        println!("memory after: {} KiB", stage.memory());
        println!("times behind: {}", stage.fallen().await - fallen);
        for (name, phase) in [("before", before), ("with", during), ("after", after)] {
            let ages = Spread::of(phase.ages);
            println!("fast clients' age {name}: {ages}");
            println!("fast clients' gaps {name}: {}", phase.fast_gaps);
            p99[usize::from(phase.slow.is_some())].push(ages.at(0.99));
            all.extend(phase.slow);
        }
        let got = all.last().expect("a slow client took part");
        println!("slow client got: {} publications", got.publications);
        println!("slow client was told: {} gaps", got.gaps);
        println!("slow client's gaps span: {} publications", got.withheld);
        println!("slow client's gaps count: {} publications", got.counted);
        println!("slow client's reconnects, recovered: {}", got.recovered);
        println!("slow client's age: {}", Spread::of(got.ages.clone()));
        assert_eq!(got.publications + got.withheld, published);
    }
    let [without, with] = p99.map(|values| Spread::of(values).at(0.5));
    println!("median p99 without: {without:.2} ms");
    println!("median p99 with: {with:.2} ms");
    println!("difference: {:.1} %", (with / without - 1.0) * 100.0);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_client_gets_all_that_history_holds() {
    for got in run("deep.a").await {
        assert_eq!(got.gaps, 0, "history holds everything");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_client_is_told_what_history_has_lost() {
    for got in run("short.a").await {
        assert!(got.gaps > 0, "history was too short for it");
    }
}
