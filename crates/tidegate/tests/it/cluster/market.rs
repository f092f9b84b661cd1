//! A market's prices to a client whose link carries a small part of them, and what
//! else it gets over the same connection: confirmations of orders, which go first,
//! and chat, which does not.
//!
//! `TIDEGATE_TEST_RATE` is what the link carries, in bytes a second,
//! `TIDEGATE_TEST_KEYS` how many prices there are, `TIDEGATE_TEST_UPDATES` how often
//! a second they change together, for `TIDEGATE_TEST_SECONDS`.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use client::{Client, Subscription, SubscriptionEvent};
use control::client::PublishServiceClient;
use futures_util::StreamExt;
use testkit::{Cluster, Layout, Rate, Throttled, within};
use tokio::{
    net::TcpSocket,
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tonic::transport::Channel;
use wire::control::{NewPublication, PublishBatchRequest};

use super::{Spread, grpc, setting, subscribe, throttled::now_us, within_a_minute};

const CONFIG: &str = r#"
[[namespace]]
name = "market"
delivery = "latest"
subscribe = "anyone"

[[namespace]]
name = "orders"
priority = 9
subscribe = "anyone"

[[namespace]]
name = "chat"
subscribe = "anyone"
"#;

/// What comes beside the prices, ten times a second each.
const BESIDE: [&str; 2] = ["orders.slow", "chat.slow"];

/// Batches published in a second.
const BATCHES: usize = 100;

/// Batches from one with messages beside the prices to the next.
const BESIDE_EVERY: usize = BATCHES / 10;

/// Bytes of an update.
const UPDATE: usize = 64;

/// What the kernel keeps for the slow client, in bytes; it doubles that.
const RECEIVE_BUFFER: u32 = 4_096;

/// What a client has got.
#[derive(Debug, Default)]
struct Got {
    by_key: HashMap<String, u64>,
    updates: u64,
    conflated: u64,
    /// Milliseconds from publisher to client.
    ages: Vec<f64>,
}

// === impl Got ===

impl Got {
    /// Takes what came: each key only gets newer, and nothing is dropped.
    fn take(&mut self, event: SubscriptionEvent) {
        match event {
            SubscriptionEvent::Publication(update) => {
                let text = std::str::from_utf8(&update.payload).expect("a text");
                let mut words = text.split_ascii_whitespace();
                let mut number = || words.next().and_then(|word| word.parse().ok());
                let (at, nth): (u64, u64) = number().zip(number()).expect("two numbers");
                let before = self.by_key.insert(update.key, nth);
                assert!(before < Some(nth), "{nth} after {before:?}");
                self.updates += 1;
                self.ages.push(now_us().saturating_sub(at) as f64 / 1e3);
            }
            SubscriptionEvent::Gap(gap) => {
                assert_eq!(gap.dropped, 0, "{gap:?}");
                self.conflated += gap.conflated;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Reads until all that was published is got or told.
async fn read(mut prices: Subscription, mut published: watch::Receiver<Option<u64>>) -> Got {
    let mut got = Got::default();
    loop {
        if *published.borrow_and_update() == Some(got.updates + got.conflated) {
            return got;
        }
        tokio::select! {
            event = prices.next() => got.take(event.expect("still subscribed")),
            _ = published.changed() => {}
        }
    }
}

/// Reads so many messages, none of which may be missing; returns their ages in
/// milliseconds.
async fn read_beside(mut messages: Subscription, count: usize) -> Vec<f64> {
    let mut ages = Vec::with_capacity(count);
    while ages.len() < count {
        match messages.next().await.expect("still subscribed") {
            SubscriptionEvent::Publication(message) => {
                let text = std::str::from_utf8(&message.payload).expect("a text");
                let at: u64 = text.trim_end().parse().expect("a number");
                ages.push(now_us().saturating_sub(at) as f64 / 1e3);
            }
            other => panic!("{other:?}"),
        }
    }
    ages
}

async fn dial(place: SocketAddr, rate: Rate) -> std::io::Result<Throttled<tokio::net::TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    Ok(Throttled::new(socket.connect(place).await?, rate))
}

/// Publishes for so many seconds; returns how many updates.
async fn publish(control: &Channel, keys: usize, updates: usize, seconds: usize) -> u64 {
    let mut backend = PublishServiceClient::new(control.clone());
    let mut clock = interval(Duration::from_secs(1) / BATCHES as u32);
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut nth = 0_u64;
    for batch in 0..BATCHES * seconds {
        clock.tick().await;
        let prices = (0..updates / BATCHES).map(|_| {
            nth += 1;
            // Every key in turn, some far more often than others.
            let key = (nth as usize * nth as usize) % keys;
            NewPublication {
                channel: "market.prices".to_owned(),
                key: format!("k{key}"),
                payload: format!("{:<1$}", format!("{} {nth}", now_us()), UPDATE).into(),
                ..NewPublication::default()
            }
        });
        let beside = BESIDE.iter().filter(|_| batch % BESIDE_EVERY == 0);
        let beside = beside.map(|channel| NewPublication {
            channel: (*channel).to_owned(),
            payload: format!("{:<UPDATE$}", now_us()).into(),
            ..NewPublication::default()
        });
        let publications = prices.chain(beside).collect();
        let batch = PublishBatchRequest { publications };
        let answer = backend.publish_batch(batch).await;
        answer.expect("published");
    }
    nth
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_on_a_thin_link_sees_the_newest_prices_in_order() {
    let (rate, keys) = (
        setting("TIDEGATE_TEST_RATE", 32_000),
        setting("TIDEGATE_TEST_KEYS", 500),
    );
    let (updates, seconds) = (
        setting("TIDEGATE_TEST_UPDATES", 2_000),
        setting("TIDEGATE_TEST_SECONDS", 2),
    );
    let layout = Layout {
        binary: env!("CARGO_BIN_EXE_tidegate"),
        nats: 1,
        gateways: &["gw1"],
        controls: &["control1"],
        config: CONFIG,
    };
    let cluster = Cluster::start(layout).await;
    let control = grpc(&cluster, "control1").await;
    let place = cluster.process("gw1").address("client_url");
    let slowly = Rate::default();
    slowly.set(rate as u64);
    let url = cluster.client_url("gw1");
    let slow = Client::builder(&url)
        .token(cluster.tokens.token("slow"))
        .dial(move || dial(place, slowly.clone()));
    let slow = within("the slow client", slow.connect()).await;
    let fast = Client::builder(&url).token(cluster.tokens.token("fast"));
    let fast = within("the fast client", fast.connect()).await;
    let (slow, fast) = (slow.expect("connects"), fast.expect("connects"));
    let published = watch::Sender::new(None);
    let mut readers = JoinSet::new();
    for (name, client) in [("slow", &slow), ("fast", &fast)] {
        let prices = subscribe(client, "market.prices").await;
        let published = published.subscribe();
        readers.spawn(async move { (name, read(prices, published).await) });
    }
    let mut beside = JoinSet::new();
    for channel in BESIDE {
        let messages = subscribe(&slow, channel).await;
        let count = BATCHES * seconds / BESIDE_EVERY;
        beside.spawn(async move { (channel, read_beside(messages, count).await) });
    }
    let memory = cluster.process("gw1").memory();
    let count = publish(&control, keys, updates, seconds).await;
    let grown = cluster.process("gw1").memory().saturating_sub(memory);
    published.send_replace(Some(count));
    println!("published: {count} updates of {keys} keys in {seconds} s");
    println!("link of the slow client: {rate} bytes/s");
    println!("gateway's memory grew by: {grown} KiB");
    while let Some(read) = within_a_minute("a reader", readers.join_next()).await {
        let (name, got) = read.expect("reads to the end");
        println!("{name} client got: {} updates", got.updates);
        println!("{name} client was told of: {} conflated", got.conflated);
        println!("{name} client's age: {}", Spread::of(got.ages));
        assert_eq!(got.updates + got.conflated, count);
    }
    while let Some(read) = within_a_minute("a reader", beside.join_next()).await {
        let (channel, ages) = read.expect("reads to the end");
        println!(
            "{channel}: {} messages, age: {}",
            ages.len(),
            Spread::of(ages.clone())
        );
    }
}
