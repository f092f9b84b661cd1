//! All gateways replaced one after another under channels with history: what each
//! client got, and for how long it got nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use client::{Client, Subscription, SubscriptionEvent, Verdict};
use futures_util::StreamExt;
use lifecycle::Scope;
use testkit::{Cluster, within};
use tidegate::cluster::balancer::{self, Targets};
use tokio::{
    sync::{Semaphore, oneshot, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tonic::transport::Channel;

use super::{
    Spread, clients, cluster, drains::enter, grpc, publish, setting, subscribe, within_a_minute,
};

const GATEWAYS: [&str; 3] = ["gw1", "gw2", "gw3"];

/// Between two publications of a channel.
const PERIOD: Duration = Duration::from_millis(100);

/// Clients that connect at once.
const CONNECTING: usize = 64;

/// What all of the run share.
struct Shared {
    /// The gateways are being replaced.
    rolling: AtomicBool,
    /// Subscribed so far.
    subscribed: AtomicU64,
    connecting: Semaphore,
    url: String,
}

/// What a client has got of its channel.
#[derive(Debug, Default)]
struct Got {
    first: u64,
    last: u64,
    missing: u64,
    again: u64,
    gaps: u64,
    recovered: u64,
    otherwise: u64,
    /// The longest time between two publications, before and meanwhile.
    pauses: [Duration; 2],
    /// Microseconds from publisher to client, before and meanwhile.
    ages: [Vec<u32>; 2],
}

// === impl Got ===

impl Got {
    fn take(&mut self, payload: &[u8], phase: usize, since: Duration) {
        let text = std::str::from_utf8(payload).expect("a text");
        let (number, at) = text.split_once(' ').expect("a number and a time");
        let number: u64 = number.parse().expect("a number");
        let at: u64 = at.parse().expect("a time");
        self.ages[phase].push(now_us().saturating_sub(at).try_into().unwrap_or(u32::MAX));
        if self.first == 0 {
            (self.first, self.last) = (number, number);
            return;
        }
        self.pauses[phase] = self.pauses[phase].max(since);
        match number.checked_sub(self.last + 1) {
            Some(missing) => self.missing += missing,
            None => self.again += 1,
        }
        self.last = self.last.max(number);
    }
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_micros() as u64
}

/// One client: until the last publication of its channel has come.
async fn follow(
    shared: Arc<Shared>,
    token: String,
    channel: String,
    mut ended: watch::Receiver<Option<Vec<u64>>>,
    index: usize,
) -> Got {
    let (_client, mut subscription) = enter_channel(&shared, &token, &channel).await;
    let mut got = Got::default();
    let mut newest = Instant::now();
    loop {
        let end = ended.borrow_and_update().as_ref().map(|ends| ends[index]);
        if end.is_some_and(|end| got.last >= end) {
            return got;
        }
        let event = tokio::select! {
            event = subscription.next() => event,
            _ = ended.changed() => continue,
        };
        match event.expect("still subscribed") {
            SubscriptionEvent::Publication(publication) => {
                let phase = usize::from(shared.rolling.load(Ordering::Relaxed));
                got.take(&publication.payload, phase, newest.elapsed());
                newest = Instant::now();
            }
            SubscriptionEvent::Gap(_) => got.gaps += 1,
            SubscriptionEvent::Resubscribed {
                verdict: Verdict::Recovered,
            } => got.recovered += 1,
            SubscriptionEvent::Resubscribed { .. } => got.otherwise += 1,
            other => panic!("{channel}: {other:?}"),
        }
    }
}

async fn enter_channel(shared: &Shared, token: &str, channel: &str) -> (Client, Subscription) {
    let _turn = shared.connecting.acquire().await.expect("never closed");
    let connecting = Client::builder(&shared.url).token(token).connect();
    let client = within_a_minute("a client connects", connecting).await;
    let client = client.expect("connects");
    let subscription = subscribe(&client, channel).await;
    shared.subscribed.fetch_add(1, Ordering::Relaxed);
    (client, subscription)
}

/// Publishes numbers and times to one channel; gives the last number.
async fn publish_until(control: Channel, to: String, stop: watch::Receiver<bool>) -> u64 {
    let mut clock = interval(PERIOD);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // A rate, not a wait for something; and not all at once.
    sleep(PERIOD.mul_f64(fastrand::f64())).await;
    for number in 1.. {
        clock.tick().await;
        let payload = format!("{number} {}", now_us());
        publish(&control, &to, payload).await.expect("published");
        if *stop.borrow() {
            return number;
        }
    }
    unreachable!("numbers do not end")
}

/// Replaces every gateway; gives how long their drains took.
async fn roll(cluster: &mut Cluster, targets: &Targets) -> Vec<Duration> {
    let mut took = Vec::new();
    for gateway in GATEWAYS {
        let process = cluster.take(gateway);
        let asked = Instant::now();
        process.terminate();
        let status = within_a_minute("the drain ends", process.ended()).await;
        took.push(asked.elapsed());
        assert!(status.success(), "{gateway}: {status}");
        cluster.start_gateway(gateway).await;
        enter(cluster, targets, gateway);
    }
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_loses_nothing_of_history() {
    let count = clients();
    let channels = setting("TIDEGATE_TEST_CHANNELS", 10);
    let before = Duration::from_secs(setting("TIDEGATE_TEST_SECONDS", 1) as u64);
    let mut cluster = cluster(1, &GATEWAYS, &["control1"]).await;
    let (scope, targets) = (Scope::root(), Targets::default());
    for gateway in GATEWAYS {
        enter(&cluster, &targets, gateway);
    }
    let serving = balancer::serve(0, targets.clone(), "clients", &scope).await;
    let shared = Arc::new(Shared {
        rolling: AtomicBool::new(false),
        subscribed: AtomicU64::new(0),
        connecting: Semaphore::new(CONNECTING),
        url: format!("ws://{}/v1/ws", serving.expect("a free port")),
    });

    let (end, ended) = watch::channel(None);
    let mut readers = JoinSet::new();
    for number in 0..count {
        let index = number % channels;
        readers.spawn(follow(
            shared.clone(),
            cluster.tokens.token(&format!("user{number}")),
            format!("log.{index}"),
            ended.clone(),
            index,
        ));
    }
    within_a_minute("all are subscribed", async {
        while shared.subscribed.load(Ordering::Relaxed) < count as u64 {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;

    let (stop, stopped) = watch::channel(false);
    let mut publishers = Vec::new();
    let control = grpc(&cluster, "control1").await;
    for index in 0..channels {
        let (control, to) = (control.clone(), format!("log.{index}"));
        let (told, last) = oneshot::channel();
        let stopped = stopped.clone();
        scope.spawn("publisher", async move {
            // The test waits for it, or has failed.
            let _ = told.send(publish_until(control, to, stopped).await);
        });
        publishers.push(last);
    }
    // A time to compare with.
    sleep(before).await;
    shared.rolling.store(true, Ordering::Relaxed);
    let drains = roll(&mut cluster, &targets).await;
    stop.send_replace(true);
    let mut ends = Vec::new();
    for last in publishers {
        ends.push(within("a publisher", last).await.expect("publishes"));
    }
    let published: u64 = ends.iter().sum();
    end.send_replace(Some(ends));
    let mut all = Vec::new();
    while let Some(got) = within_a_minute("a reader", readers.join_next()).await {
        all.push(got.expect("reads to the end"));
    }
    println!(
        "clients: {count}\nchannels: {channels}\npublished: {published}\ndrains: {drains:.1?}"
    );
    report(&mut all);
    let _ = scope.drain(Duration::from_secs(5)).await;
}

/// Prints what came and how, and demands that nothing is missing.
fn report(all: &mut [Got]) {
    let sum = |of: fn(&Got) -> u64| all.iter().map(of).sum::<u64>();
    let faults = [
        ("missing", sum(|got| got.missing)),
        ("again or out of order", sum(|got| got.again)),
        ("gaps told", sum(|got| got.gaps)),
        ("verdicts but recovered", sum(|got| got.otherwise)),
    ];
    let reconnects = sum(|got| got.recovered);
    // All were subscribed before anything was published.
    let late = sum(|got| u64::from(got.first != 1));
    for (what, count) in faults {
        println!("{what}: {count}");
    }
    println!("reconnects without overlap, recovered: {reconnects}");
    for (phase, name) in ["before", "meanwhile"].into_iter().enumerate() {
        let ages = all.iter_mut().flat_map(|got| got.ages[phase].drain(..));
        let ages: Vec<_> = ages.map(|age| f64::from(age) / 1e3).collect();
        println!("deliveries {name}: {}", ages.len());
        println!("age {name}: {}", Spread::of(ages));
        let pauses = all.iter().map(|got| got.pauses[phase]);
        let pauses = pauses.map(|pause| pause.saturating_sub(PERIOD).as_secs_f64() * 1e3);
        println!("longest wait {name}: {}", Spread::of(pauses.collect()));
    }
    assert_eq!(late, 0, "every client gets its channel from the first one");
    assert!(faults.iter().all(|(_, count)| *count == 0), "{faults:?}");
}
