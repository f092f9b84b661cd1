//! Gateways that are replaced one after another, under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use client::{Client, SubscriptionEvent};
use futures_util::StreamExt;
use lifecycle::Scope;
use testkit::{Cluster, within};
use tidegate::cluster::balancer::{self, Targets};
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
};
use tonic::transport::Channel;

use super::{clients, cluster, grpc, publish, subscribe, within_a_minute};

const GATEWAYS: [&str; 3] = ["gw1", "gw2", "gw3"];

/// Without a log by channel and by namespace, and with one.
const CHANNELS: [&str; 3] = ["live.a", "room.a", "log.a"];

/// What a subscriber has got.
#[derive(Debug, Default)]
struct Got {
    channel: &'static str,
    numbers: Vec<u64>,
    gaps: u64,
    resubscribed: u64,
}

/// Reads until the publisher's last number has come.
async fn read(
    client: Client,
    channel: &'static str,
    mut end: watch::Receiver<Option<u64>>,
    subscribed: oneshot::Sender<()>,
) -> Got {
    let mut subscription = subscribe(&client, channel).await;
    let mut got = Got {
        channel,
        ..Got::default()
    };
    // The test waits for it, or has failed.
    let _ = subscribed.send(());
    loop {
        if let (Some(last), Some(newest)) = (*end.borrow_and_update(), got.numbers.last())
            && *newest >= last
        {
            return got;
        }
        tokio::select! {
            event = subscription.next() => match event {
                Some(SubscriptionEvent::Publication(publication)) => {
                    let text = String::from_utf8_lossy(&publication.payload);
                    got.numbers.push(text.parse().expect("a number"));
                }
                Some(SubscriptionEvent::Gap(_)) => got.gaps += 1,
                Some(SubscriptionEvent::Resubscribed { .. }) => got.resubscribed += 1,
                other => panic!("{channel}: {other:?}"),
            },
            _ = end.changed() => {}
        }
    }
}

/// Publishes numbers to all channels until told to stop; gives the last one.
async fn publish_until(control: Channel, stop: Arc<AtomicBool>) -> u64 {
    let mut number = 0;
    loop {
        number += 1;
        for channel in CHANNELS {
            publish(&control, channel, number.to_string())
                .await
                .expect("published");
        }
        if stop.load(Ordering::Relaxed) {
            return number;
        }
        // A rate, not a wait for something.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_loses_nothing_for_clients_that_overlap() {
    let mut cluster = cluster(1, &GATEWAYS, &["control1"]).await;
    let control = grpc(&cluster, "control1").await;
    let (scope, targets) = (Scope::root(), Targets::default());
    for gateway in GATEWAYS {
        enter(&cluster, &targets, gateway);
    }
    let address = balancer::serve(0, targets.clone(), "clients", &scope)
        .await
        .expect("a free port");
    let url = format!("ws://{address}/v1/ws");

    let (end, ended) = watch::channel(None);
    let mut readers = JoinSet::new();
    for number in 0..clients() {
        let token = cluster.tokens.token(&format!("user{number}"));
        let client = within("a client", Client::builder(&url).token(token).connect()).await;
        let channel = CHANNELS[number % CHANNELS.len()];
        let (subscribed, told) = tokio::sync::oneshot::channel();
        readers.spawn(read(
            client.expect("connects"),
            channel,
            ended.clone(),
            subscribed,
        ));
        within("subscribed", told).await.expect("subscribed");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let publisher = scope.spawn("publisher", publish_until(control, stop.clone()));

    for gateway in GATEWAYS {
        let process = cluster.take(gateway);
        process.terminate();
        let asked = Instant::now();
        let log = process.log_path();
        let status = within_a_minute("the drain ends", process.ended()).await;
        // For people: `--nocapture` shows it.
        println!("{gateway} drained in {:?}", asked.elapsed());
        assert!(
            status.success(),
            "{gateway}: {status}; see {}",
            log.display()
        );
        cluster.start_gateway(gateway).await;
        enter(&cluster, &targets, gateway);
    }

    stop.store(true, Ordering::Relaxed);
    let last = publisher.await.expect("publishes to the end");
    end.send_replace(Some(last));
    while let Some(got) = within("a reader", readers.join_next()).await {
        let got = got.expect("reads to the end");
        let joined = got.numbers.windows(2).all(|pair| pair[1] == pair[0] + 1);
        assert!(
            joined,
            "{} is missing or repeats: {:?}",
            got.channel,
            broken(&got.numbers)
        );
        assert_eq!((got.gaps, got.resubscribed), (0, 0), "{}", got.channel);
    }
    let _ = scope.drain(Duration::from_secs(5)).await;
}

/// The first place where the numbers do not follow each other.
fn broken(numbers: &[u64]) -> Option<(u64, u64)> {
    let mut pairs = numbers.windows(2).map(|pair| (pair[0], pair[1]));
    pairs.find(|(first, second)| *second != first + 1)
}

/// Makes a gateway known to the balancer.
pub(super) fn enter(cluster: &Cluster, targets: &Targets, gateway: &str) {
    let process = cluster.process(gateway);
    targets.insert(
        gateway,
        process.address("client_url"),
        process.address("admin_url"),
    );
}
