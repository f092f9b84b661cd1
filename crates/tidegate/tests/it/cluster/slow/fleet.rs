//! Many fast clients, in processes of their own: this test's program again, because
//! one process may not have sockets enough.

use std::{
    env,
    io::{self, Read},
    mem,
    net::SocketAddr,
    process::Stdio,
    time::Duration,
};

use client::{Client, Subscription, SubscriptionEvent};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::{TcpSocket, TcpStream},
    process::{Child, ChildStderr, Command},
    task::{JoinSet, spawn_blocking},
    time::timeout,
};

use super::{super::Spread, PHASES, age_ms, stamps};

/// Fast clients of a process that connect at once.
const CONNECTING: usize = 32;

/// What the kernel keeps for a fast client, in bytes, if it is allowed to.
const RECEIVE_BUFFER: u32 = 1 << 20;

/// Ages that a fleet tells of those it has seen.
const AGES: usize = 20_000;

/// For a fleet, however large it is.
const LONG: Duration = Duration::from_secs(600);

/// Tells this program that it is a fleet, and of what.
const ORDER: &str = "TIDEGATE_TEST_FLEET";

/// What a process of fast clients is to do.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Order {
    pub(super) gateway: SocketAddr,
    pub(super) token: String,
    pub(super) channel: String,
    pub(super) clients: usize,
    /// In each phase.
    pub(super) publications: u64,
}

/// What clients have got, and what they were told that they have not.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Tally {
    pub(super) received: u64,
    pub(super) dropped: u64,
    pub(super) conflated: u64,
    /// Milliseconds from publisher to client.
    pub(super) ages: Vec<f64>,
}

/// The processes of the fast clients.
pub(super) struct Fleets(Vec<(Child, Lines<BufReader<ChildStderr>>)>);

// === impl Tally ===

impl Tally {
    pub(super) fn withheld(&self) -> u64 {
        self.dropped + self.conflated
    }

    pub(super) fn accounted(&self) -> u64 {
        self.received + self.withheld()
    }

    pub(super) fn add(&mut self, mut other: Self) {
        self.received += other.received;
        self.dropped += other.dropped;
        self.conflated += other.conflated;
        self.ages.append(&mut other.ages);
    }

    /// Few enough ages to be told, spread as all of them.
    pub(super) fn thinned(mut self) -> Self {
        let every = self.ages.len().div_ceil(AGES).max(1);
        let sorted = Spread::of(mem::take(&mut self.ages)).0;
        self.ages = sorted.into_iter().step_by(every).collect();
        self
    }
}

// === impl Fleets ===

impl Fleets {
    /// Starts them and waits until all their clients have subscribed.
    pub(super) async fn start(orders: Vec<Order>) -> Self {
        let program = env::current_exe().expect("this program has a path");
        let clients: usize = orders.iter().map(|order| order.clients).sum();
        let mut all = Self(Vec::new());
        for order in orders {
            let mut child = Command::new(&program)
                .args([
                    "cluster::slow::fleet::fleet",
                    "--exact",
                    "--ignored",
                    "--nocapture",
                ])
                .env(ORDER, serde_json::to_string(&order).expect("plain data"))
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .expect("this program runs");
            let said = child.stderr.take().expect("piped");
            all.0.push((child, BufReader::new(said).lines()));
        }
        let ready: Vec<usize> = all.hear().await;
        assert_eq!(ready.into_iter().sum::<usize>(), clients);
        all
    }

    /// What they say of a phase, added up.
    pub(super) async fn report(&mut self) -> Tally {
        let mut sum = Tally::default();
        for tally in self.hear().await {
            sum.add(tally);
        }
        sum
    }

    /// The next line of each.
    async fn hear<T: DeserializeOwned>(&mut self) -> Vec<T> {
        let mut all = Vec::new();
        for (_, said) in &mut self.0 {
            let line = timeout(LONG, said.next_line()).await;
            let line = line.expect("a fleet says something").expect("text");
            let line = line.expect("a fleet goes on");
            let value = serde_json::from_str(&line);
            all.push(value.unwrap_or_else(|_| panic!("a fleet said: {line}")));
        }
        all
    }
}

/// A socket that takes much unread: no client is slow because its process had to wait.
async fn dial(gateway: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.connect(gateway).await
}

/// A fast client's phase, with which it goes on.
async fn read(mut subscription: Subscription, publications: u64) -> (Tally, Subscription) {
    let mut tally = Tally::default();
    while tally.accounted() < publications {
        match subscription.next().await.expect("still subscribed") {
            SubscriptionEvent::Publication(publication) => {
                tally.received += 1;
                tally.ages.push(age_ms(stamps(&publication.payload).0));
            }
            SubscriptionEvent::Gap(gap) => {
                tally.dropped += gap.dropped;
                tally.conflated += gap.conflated;
            }
            other => panic!("{other:?}"),
        }
    }
    (tally, subscription)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process of fast clients, which the test above starts"]
async fn fleet() {
    let Ok(order) = env::var(ORDER) else { return };
    let order: Order = serde_json::from_str(&order).expect("an order");
    let (order, gateway) = (&order, order.gateway);
    let connecting = (0..order.clients).map(|_| async move {
        let builder = Client::builder("ws://cluster.test/v1/ws")
            .token(&order.token)
            .dial(move || dial(gateway));
        // As much as a phase has: no reader falls behind on its own account.
        let builder = builder.queue(order.publications as usize, 64 << 20);
        let client = builder.connect().await.expect("connects");
        let subscribed = client.subscribe(&order.channel).await;
        subscribed.expect("subscribes")
    });
    let connecting = stream::iter(connecting).buffer_unordered(CONNECTING);
    let mut subscriptions: Vec<_> = connecting.collect().await;
    eprintln!("{}", subscriptions.len());
    for _ in 0..PHASES {
        let mut readers = JoinSet::new();
        for subscription in subscriptions.drain(..) {
            readers.spawn(read(subscription, order.publications));
        }
        let mut sum = Tally::default();
        for (tally, subscription) in readers.join_all().await {
            sum.add(tally);
            subscriptions.push(subscription);
        }
        let sum = serde_json::to_string(&sum.thinned());
        eprintln!("{}", sum.expect("plain data"));
    }
    // Its clients stay connected until it is let go.
    let _ = spawn_blocking(|| io::stdin().read(&mut [0])).await;
}
