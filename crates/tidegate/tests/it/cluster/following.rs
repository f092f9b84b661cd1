//! Clients that follow channels with history while something happens to their
//! gateways, and what they say of it in the end.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use client::{Builder, Client, Publication, Subscription, SubscriptionEvent, Verdict};
use futures_util::StreamExt;
use lifecycle::Scope;
use testkit::{Cluster, within};
use tokio::{
    sync::{Semaphore, oneshot, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tonic::transport::Channel;

use super::{Spread, clients, grpc, publish, setting, subscribe, within_a_minute};

/// Between two publications of a channel.
const PERIOD: Duration = Duration::from_millis(100);

/// Clients that connect at once.
const CONNECTING: usize = 64;

/// A publication that is younger was not waited for: its client is up to date.
const YOUNG: Duration = Duration::from_millis(500);

/// The clients and publishers of one run.
pub(super) struct Following {
    shared: Arc<Shared>,
    readers: JoinSet<Got>,
    publishers: Vec<oneshot::Receiver<u64>>,
    stop: watch::Sender<bool>,
    /// The last number of each channel.
    end: watch::Sender<Option<Vec<u64>>>,
}

struct Shared {
    clients: usize,
    connecting: Semaphore,
    subscribed: AtomicU64,
    /// When it began to happen.
    marked: OnceLock<Instant>,
    up_to_date: AtomicU64,
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
    /// From the mark to the first publication on a new connection, and to the
    /// first young one.
    back: Option<Duration>,
    up_to_date: Option<Duration>,
}

// === impl Following ===

impl Following {
    /// Connects the clients by `builder` and begins to publish. Returns after a time
    /// to compare with, when all of that flows.
    pub(super) async fn begin(
        cluster: &Cluster,
        builder: impl Fn() -> Builder,
        scope: &Scope,
    ) -> Self {
        let (clients, channels) = (clients(), setting("TIDEGATE_TEST_CHANNELS", 10));
        let shared = Arc::new(Shared {
            clients,
            connecting: Semaphore::new(CONNECTING),
            subscribed: AtomicU64::new(0),
            marked: OnceLock::new(),
            up_to_date: AtomicU64::new(0),
        });
        let (end, ended) = watch::channel(None);
        let mut readers = JoinSet::new();
        for number in 0..clients {
            let token = cluster.tokens.token(&format!("user{number}"));
            let (builder, index) = (builder(), number % channels);
            let reader = follow(shared.clone(), builder, token, index, ended.clone());
            readers.spawn(reader);
        }
        within_a_minute("all are subscribed", async {
            while shared.subscribed.load(Ordering::Relaxed) < clients as u64 {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let (stop, stopped) = watch::channel(false);
        let mut publishers = Vec::new();
        let control = grpc(cluster, "control1").await;
        for index in 0..channels {
            let (control, stopped) = (control.clone(), stopped.clone());
            let (told, last) = oneshot::channel();
            scope.spawn("publisher", async move {
                // The test waits for it, or has failed.
                let _ = told.send(publish_until(control, index, stopped).await);
            });
            publishers.push(last);
        }
        sleep(Duration::from_secs(
            setting("TIDEGATE_TEST_SECONDS", 1) as u64
        ))
        .await;
        Self {
            shared,
            readers,
            publishers,
            stop,
            end,
        }
    }

    /// Here it begins to happen.
    pub(super) fn mark(&self) {
        self.shared.marked.get_or_init(Instant::now);
    }

    /// Waits until all have come back and got what they missed.
    pub(super) async fn all_up_to_date(&self) {
        let limit = Duration::from_secs(120);
        let all = async {
            while self.shared.up_to_date.load(Ordering::Relaxed) < self.shared.clients as u64 {
                sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(
            timeout(limit, all).await.is_ok(),
            "{} of {} are back",
            self.shared.up_to_date.load(Ordering::Relaxed),
            self.shared.clients
        );
    }

    /// Ends publishing and prints what came and how, for people: `--nocapture` shows
    /// it.
    ///
    /// # Panics
    /// If anything is missing, came again or out of order, or was told as lost.
    pub(super) async fn finish(mut self) {
        self.stop.send_replace(true);
        let mut ends = Vec::new();
        for last in self.publishers {
            ends.push(within("a publisher", last).await.expect("publishes"));
        }
        println!("clients: {}\nchannels: {}", self.shared.clients, ends.len());
        println!("published: {}", ends.iter().sum::<u64>());
        self.end.send_replace(Some(ends));
        let mut all = Vec::new();
        while let Some(got) = within_a_minute("a reader", self.readers.join_next()).await {
            all.push(got.expect("reads to the end"));
        }
        report(&mut all);
    }
}

/// One client: until the last publication of its channel has come.
async fn follow(
    shared: Arc<Shared>,
    builder: Builder,
    token: String,
    index: usize,
    mut ended: watch::Receiver<Option<Vec<u64>>>,
) -> Got {
    let (_client, mut subscription) = enter_channel(&shared, builder.token(token), index).await;
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
                let was_late = got.up_to_date.is_none();
                let since_mark = shared.marked.get().map(Instant::elapsed);
                got.take(&publication, since_mark, newest.elapsed());
                newest = Instant::now();
                let is_in_time = was_late && got.up_to_date.is_some();
                shared
                    .up_to_date
                    .fetch_add(u64::from(is_in_time), Ordering::Relaxed);
            }
            SubscriptionEvent::Gap(_) => got.gaps += 1,
            SubscriptionEvent::Resubscribed {
                verdict: Verdict::Recovered,
            } => got.recovered += 1,
            SubscriptionEvent::Resubscribed { .. } => got.otherwise += 1,
            other => panic!("channel {index}: {other:?}"),
        }
    }
}

async fn enter_channel(shared: &Shared, builder: Builder, index: usize) -> (Client, Subscription) {
    let _turn = shared.connecting.acquire().await.expect("never closed");
    let client = within_a_minute("a client connects", builder.connect()).await;
    let client = client.expect("connects");
    let subscription = subscribe(&client, &channel(index)).await;
    shared.subscribed.fetch_add(1, Ordering::Relaxed);
    (client, subscription)
}

/// Publishes numbers and times to a channel; gives the last number.
async fn publish_until(control: Channel, index: usize, stop: watch::Receiver<bool>) -> u64 {
    let to = channel(index);
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

fn channel(index: usize) -> String {
    format!("log.{index}")
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_micros() as u64
}

// === impl Got ===

impl Got {
    fn take(&mut self, publication: &Publication, since_mark: Option<Duration>, pause: Duration) {
        let text = std::str::from_utf8(&publication.payload).expect("a text");
        let mut words = text.split(' ').map(str::parse::<u64>);
        let mut word = || words.next().expect("two words").expect("a number");
        let (number, at) = (word(), word());
        let age = now_us().saturating_sub(at);
        let phase = usize::from(since_mark.is_some());
        self.ages[phase].push(age.try_into().unwrap_or(u32::MAX));
        if self.recovered > 0 {
            self.back = self.back.or(since_mark);
            let is_young = u128::from(age) < YOUNG.as_micros();
            self.up_to_date = self.up_to_date.or(since_mark.filter(|_| is_young));
        }
        if self.first == 0 {
            (self.first, self.last) = (number, number);
            return;
        }
        self.pauses[phase] = self.pauses[phase].max(pause);
        match number.checked_sub(self.last + 1) {
            Some(missing) => self.missing += missing,
            None => self.again += 1,
        }
        self.last = self.last.max(number);
    }
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
    // All were subscribed before anything was published.
    let late = sum(|got| u64::from(got.first != 1));
    for (what, count) in &faults {
        println!("{what}: {count}");
    }
    println!(
        "reconnects without overlap, recovered: {}",
        sum(|got| got.recovered)
    );
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    for (name, of) in [
        ("back after", (|got| got.back) as fn(&Got) -> _),
        ("up to date after", |got| got.up_to_date),
    ] {
        let times: Vec<_> = all.iter().filter_map(of).map(milliseconds).collect();
        println!("{name}: {} clients, {}", times.len(), Spread::of(times));
    }
    for (phase, name) in ["before", "meanwhile"].into_iter().enumerate() {
        let ages = all.iter_mut().flat_map(|got| got.ages[phase].drain(..));
        let ages: Vec<_> = ages.map(|age| f64::from(age) / 1e3).collect();
        println!("deliveries {name}: {}", ages.len());
        println!("age {name}: {}", Spread::of(ages));
        let pauses = all.iter().map(|got| got.pauses[phase]);
        let pauses = pauses.map(|pause| milliseconds(pause.saturating_sub(PERIOD)));
        println!("longest wait {name}: {}", Spread::of(pauses.collect()));
    }
    assert_eq!(late, 0, "every client gets its channel from the first one");
    assert!(faults.iter().all(|(_, count)| *count == 0), "{faults:?}");
}
