//! A client that does not read and one that reads far too little, beside many that
//! read what they get, for each overflow policy.
//!
//! `TIDEGATE_TEST_CLIENTS` fast clients in `TIDEGATE_TEST_FLEETS` processes; `TIDEGATE_TEST_UPDATES` publications of
//! `TIDEGATE_TEST_PAYLOAD` bytes a second, for `TIDEGATE_TEST_PHASE_MS`.
//! `TIDEGATE_TEST_RATE` is what the client on a thin link reads, in bytes a second.
//! Prints a line for each policy.

mod fleet;

use std::{collections::HashMap, time::Duration};

use control::client::PublishServiceClient;
use prost::Message;
use testkit::{Cluster, Dial, Frame, Layout, RawClient, eventually, within};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tonic::transport::Channel;
use wire::{
    client::{ServerMessage, server_event::Event},
    control::{NewPublication, PublishRequest},
    websocket::OpCode,
};

use self::fleet::{Fleets, Order, Tally};
use super::{Spread, grpc, setting, throttled::now_us};

const POLICIES: [&str; 4] = ["catch_up", "conflate", "drop_oldest", "disconnect"];

/// Of the fast clients: to warm up, alone, and beside the slow ones.
const PHASES: usize = 3;

/// Keys of the publications, which can replace each other where that is allowed.
const KEYS: u64 = 10;

/// What the kernel keeps for a slow client, in bytes; it doubles that.
const RECEIVE_BUFFER: u32 = 16 << 10;

/// A slow client.
struct Slow {
    name: &'static str,
    socket: RawClient,
    conflates: bool,
    /// Of each key, the last number that came.
    newest: HashMap<String, u64>,
    tally: Tally,
    /// Why the gateway has closed it.
    closed: Option<String>,
}

/// The sizes of a run.
struct Scale {
    clients: usize,
    fleets: usize,
    updates: usize,
    payload: usize,
    publications: u64,
    rate: usize,
}

/// A cluster of one gateway, and a channel with one policy.
struct Stage {
    cluster: Cluster,
    control: Channel,
    policy: &'static str,
    channel: String,
    scale: Scale,
}

/// What the gateway has counted so far.
#[derive(Debug)]
struct Counts {
    delivered: u64,
    dropped: u64,
    conflated: u64,
}

// === impl Slow ===

impl Slow {
    async fn connect(stage: &Stage, name: &'static str) -> Self {
        let address = stage.cluster.process("gw1").address("client_url");
        let dial = Dial::to(address).receive_buffer(RECEIVE_BUFFER);
        let mut socket = dial.connect().await;
        socket.hello(&stage.cluster.tokens.token(name)).await;
        socket.subscribe(1, &stage.channel).await;
        Self {
            name,
            socket,
            conflates: stage.policy == "conflate",
            newest: HashMap::new(),
            tally: Tally::default(),
            closed: None,
        }
    }

    /// Reads until all `publications` are accounted for or the gateway has closed the
    /// connection; at `rate` bytes a second, until it is let go.
    async fn read(
        mut self,
        rate: usize,
        publications: u64,
        mut free: watch::Receiver<bool>,
    ) -> Self {
        while self.closed.is_none() && self.tally.accounted() < publications {
            let frame = self.socket.next_frame().await;
            let length = frame.payload.len();
            self.take(frame);
            let pause = Duration::from_secs_f64(length as f64 / rate as f64);
            // A rate, not a wait for something.
            let _ = timeout(pause, free.wait_for(|free| *free)).await;
        }
        self
    }

    fn take(&mut self, frame: Frame) {
        match frame.opcode {
            OpCode::Close => {
                self.closed.get_or_insert_default();
            }
            OpCode::Binary => {
                let message = ServerMessage::decode(frame.payload).expect("a message");
                for event in message.events {
                    self.hear(event.event.expect("no empty events"));
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Takes what came: everything in order, and in the place of what is missing, or
    /// before what replaces it, a gap that counts it.
    fn hear(&mut self, event: Event) {
        assert_eq!(self.closed, None, "{event:?} after Closing");
        match event {
            Event::Publication(publication) => {
                let (_, nth) = stamps(&publication.payload);
                let before = self.newest.insert(publication.key, nth);
                if self.conflates {
                    assert!(before < Some(nth), "{nth} after {before:?}");
                } else {
                    assert_eq!(nth, self.tally.accounted(), "not in its place");
                }
                self.tally.received += 1;
            }
            Event::Gap(gap) => {
                self.tally.dropped += gap.dropped;
                self.tally.conflated += gap.conflated;
            }
            Event::Closing(closing) => self.closed = Some(closing.cause),
            other => panic!("{other:?}"),
        }
    }
}

// === impl Scale ===

impl Scale {
    fn told() -> Self {
        let updates = setting("TIDEGATE_TEST_UPDATES", 150);
        let phase_ms = setting("TIDEGATE_TEST_PHASE_MS", 400);
        Self {
            clients: setting("TIDEGATE_TEST_CLIENTS", 20),
            fleets: setting("TIDEGATE_TEST_FLEETS", 2),
            updates,
            payload: setting("TIDEGATE_TEST_PAYLOAD", 4_000),
            publications: (updates * phase_ms / 1_000) as u64,
            rate: setting("TIDEGATE_TEST_RATE", 2_000),
        }
    }
}

// === impl Stage ===

impl Stage {
    async fn start(policy: &'static str) -> Self {
        // Little is kept for a slow client, so that little need be published. It is not
        // taken for dead meanwhile, and may read to the end why it was closed.
        let history = match policy {
            "catch_up" => "history = { messages = 1000000, age = \"1h\" }\n",
            _ => "",
        };
        let config = format!(
            "[gateway]\noutbox_bytes = \"32KiB\"\nsend_buffer = \"16KiB\"\n\
             heartbeat = \"20m\"\nclose_timeout = \"20m\"\nadmission = {{ rate = 0 }}\n\
             [[namespace]]\nname = \"slow\"\noverflow = \"{policy}\"\n{history}\
             publish = \"anyone\"\nsubscribe = \"anyone\"\n"
        );
        let cluster = Cluster::start(Layout {
            binary: env!("CARGO_BIN_EXE_tidegate"),
            nats: 1,
            gateways: &["gw1"],
            controls: &["control1"],
            config: &config,
        })
        .await;
        Self {
            control: grpc(&cluster, "control1").await,
            cluster,
            policy,
            channel: format!("slow.{policy}"),
            scale: Scale::told(),
        }
    }

    fn orders(&self) -> Vec<Order> {
        let (clients, fleets) = (self.scale.clients, self.scale.fleets);
        let order = |number| Order {
            gateway: self.cluster.process("gw1").address("client_url"),
            token: self.cluster.tokens.token(&format!("fleet{number}")),
            channel: self.channel.clone(),
            clients: clients * (number + 1) / fleets - clients * number / fleets,
            publications: self.scale.publications,
        };
        (0..fleets).map(order).collect()
    }

    /// Publishes what belongs to a phase at the channel's rate.
    async fn publish(&self) {
        let mut backend = PublishServiceClient::new(self.control.clone());
        let mut clock = interval(Duration::from_secs(1) / self.scale.updates as u32);
        clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for nth in 0..self.scale.publications {
            clock.tick().await;
            let stamps = format!("{} {nth}", now_us());
            let publication = NewPublication {
                channel: self.channel.clone(),
                key: format!("k{}", nth % KEYS),
                payload: format!("{stamps:<0$}", self.scale.payload).into(),
                ..NewPublication::default()
            };
            let request = PublishRequest {
                publication: Some(publication),
            };
            let published = within("an answer", backend.publish(request)).await;
            published.expect("published");
        }
    }

    fn memory(&self) -> u64 {
        self.cluster.process("gw1").memory()
    }

    async fn count(&self, metric: &str, labels: &[&str]) -> u64 {
        self.cluster.process("gw1").metric(metric, labels).await as u64
    }

    async fn counts(&self) -> Counts {
        Counts {
            delivered: self.count("tidegate_edge_deliveries_total", &[]).await,
            dropped: self.count("tidegate_edge_dropped_total", &[]).await,
            conflated: self.count("tidegate_edge_conflated_total", &[]).await,
        }
    }

    /// What the gateway has counted of it all, once both slow clients are gone and
    /// so much was delivered.
    async fn settled(&self, received: u64) -> Counts {
        eventually("two are gone", async || {
            // Written behind all others of a shard.
            let closed = "tidegate_edge_connections_closed_total";
            self.count(closed, &[]).await == 2 && self.counts().await.delivered >= received
        })
        .await;
        self.counts().await
    }

    /// Two slow clients beside the fast ones; prints a line of the table.
    async fn run(&self) {
        let mut fleets = Fleets::start(self.orders()).await;
        let mut fast = Vec::new();
        for _ in 1..PHASES {
            self.publish().await;
            fast.push(fleets.report().await);
        }
        let memory = self.memory();
        let free = watch::Sender::new(false);
        let mut reading = JoinSet::new();
        let (rate, publications) = (self.scale.rate, self.scale.publications);
        let stalled = Slow::connect(self, "stalled").await;
        let thin = Slow::connect(self, "thin").await;
        reading.spawn(thin.read(rate, publications, free.subscribe()));
        self.publish().await;
        fast.push(fleets.report().await);
        let beside = self.memory();
        free.send_replace(true);
        reading.spawn(stalled.read(rate, publications, free.subscribe()));
        let mut slow = reading.join_all().await;
        slow.sort_by_key(|slow| slow.name);
        let slow = slow.into_iter().map(|slow| {
            self.judge(&slow);
            (slow.name, slow.tally)
        });
        let slow: Vec<_> = slow.collect();
        self.balance(&fast, &slow).await;
        let ages = fast.split_off(1).into_iter().map(|tally| {
            let spread = Spread::of(tally.ages);
            format!("{:.1}/{:.1}", spread.at(0.5), spread.at(0.99))
        });
        let ages = ages.collect::<Vec<_>>().join(" -> ");
        let slow = slow.into_iter().map(|(name, tally)| {
            let (received, dropped, conflated) = (tally.received, tally.dropped, tally.conflated);
            format!("{name} {received}/{dropped}/{conflated}")
        });
        println!(
            "{:11} memory {memory} -> {beside} KiB, fast p50/p99 {ages} ms, \
             got/dropped/conflated of {publications}: {}",
            self.policy,
            slow.collect::<Vec<_>>().join(", ")
        );
    }

    /// What the policy promises to a slow client.
    fn judge(&self, slow: &Slow) {
        let (tally, published) = (&slow.tally, self.scale.publications);
        let accounted = tally.accounted();
        let what = format!("{} {}: {} got", self.policy, slow.name, tally.received);
        if self.policy == "disconnect" {
            assert_eq!(slow.closed.as_deref(), Some("slow_consumer"), "{what}");
            assert_eq!(tally.withheld(), 0, "{what}");
            assert!(tally.received < published, "{what}");
            return;
        }
        assert_eq!(slow.closed, None, "{what}");
        assert_eq!(accounted, published, "{what}");
        match self.policy {
            "catch_up" => assert_eq!(tally.withheld(), 0, "{what}"),
            "conflate" => assert!(tally.conflated > 0 && tally.dropped == 0, "{what}"),
            _ => assert!(tally.dropped > 0 && tally.conflated == 0, "{what}"),
        }
    }

    /// What the gateway has counted is what clients have got and were told.
    async fn balance(&self, fast: &[Tally], slow: &[(&str, Tally)]) {
        let published = self.scale.publications * self.scale.clients as u64;
        for tally in fast {
            assert_eq!(tally.accounted(), published);
        }
        let sum = |part: fn(&Tally) -> u64| {
            let slow = slow.iter().map(|(_, tally)| tally);
            fast.iter().chain(slow).map(part).sum::<u64>()
        };
        let received = sum(|tally| tally.received);
        let counts = self.settled(received).await;
        let what = format!("{}: {counts:?}, received {received}", self.policy);
        assert_eq!(counts.conflated, sum(|tally| tally.conflated), "{what}");
        match self.policy {
            // Who is closed is told no gap: what waited for it was dropped.
            "disconnect" => assert_eq!(counts.delivered - counts.dropped, received, "{what}"),
            _ => assert_eq!(counts.dropped, sum(|tally| tally.dropped), "{what}"),
        }
    }
}

/// When it was published, and as which of its phase.
fn stamps(payload: &[u8]) -> (u64, u64) {
    let text = std::str::from_utf8(payload).expect("a text");
    let mut words = text.split_ascii_whitespace();
    let mut number = || words.next().and_then(|word| word.parse().ok());
    number().zip(number()).expect("two numbers")
}

fn age_ms(at_us: u64) -> f64 {
    now_us().saturating_sub(at_us) as f64 / 1e3
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_get_what_their_policy_says_and_the_others_do_not_notice() {
    for policy in POLICIES {
        Stage::start(policy).await.run().await;
    }
}
