//! Wills, whatever dies.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bus::{Bus, Handler, Incoming, Subject};
use bytes::Bytes;
use client::Client;
use lifecycle::Scope;
use parking_lot::Mutex;
use testkit::{Cluster, RawClient, arm_will, eventually, within};
use tidegate::cluster::balancer::{self, Targets};
use wire::client::server_event::Event;

use super::{cluster, drains::enter, within_a_minute};

const GRACE: Duration = Duration::from_secs(2);

/// Clients that die, each time; `TIDEGATE_TEST_WILLS` for more.
fn dying() -> usize {
    let told = std::env::var("TIDEGATE_TEST_WILLS").ok();
    told.and_then(|count| count.parse().ok()).unwrap_or(10)
}

/// Clients that stay, through a gateway's death and a drain.
fn staying() -> usize {
    dying().max(20)
}

/// What workers were asked to do, by who had left it.
#[derive(Default)]
struct Done(Mutex<HashMap<String, Vec<Instant>>>);

impl Handler for Done {
    fn handle(&self, request: Incoming) {
        let user = request.context.user.map(|user| user.to_string());
        let key = request.context.idempotency_key;
        assert!(key.starts_with("will-"), "{key}");
        let mut done = self.0.lock();
        done.entry(user.unwrap_or_default())
            .or_default()
            .push(Instant::now());
        request.responder.reply(Ok(Bytes::new()));
    }
}

impl Done {
    /// How often, for a user.
    fn by(&self, user: &str) -> usize {
        self.0.lock().get(user).map_or(0, Vec::len)
    }

    /// How long after `lost` it took, for all of this name.
    fn delays(&self, name: &str, lost: Instant) -> Vec<Duration> {
        let done = self.0.lock();
        let of_name = done.iter().filter(|(user, _)| user.starts_with(name));
        let mut delays: Vec<_> = of_name.map(|(_, times)| times[0] - lost).collect();
        delays.sort_unstable();
        delays
    }
}

/// A worker of the route `shop.buy`, in this process.
async fn worker(cluster: &Cluster) -> (Arc<Done>, Arc<dyn Bus>) {
    let done = Arc::new(Done::default());
    let bus = cluster.nats.bus().await;
    bus.serve(Subject::of_route("shop.buy").expect("valid"), done.clone());
    (done, bus)
}

async fn arm(client: &Client) {
    let armed = client.arm_will("shop.buy", "cancel all", GRACE);
    within("the will is armed", armed).await.expect("armed");
}

/// A client that does not come back.
async fn armed_socket(cluster: &Cluster, gateway: &str, user: &str) -> RawClient {
    let address = cluster.process(gateway).address("client_url");
    let mut client = RawClient::greeted(address, &cluster.tokens.token(user)).await;
    client
        .send(arm_will(1, "shop.buy", "cancel all", 2_000))
        .await;
    let answer = client.next_event().await;
    assert!(matches!(answer, Event::Accepted(_)), "{answer:?}");
    client
}

/// Clients that do not come back.
async fn armed_sockets(cluster: &Cluster, gateway: &str, name: &str) -> Vec<RawClient> {
    let mut sockets = Vec::new();
    for number in 0..dying() {
        sockets.push(armed_socket(cluster, gateway, &format!("{name}-{number}")).await);
    }
    sockets
}

/// Waits until something was done for each of them.
async fn acted_for(done: &Done, name: &str, lost: Instant) {
    eventually("all are acted for", async || {
        (0..dying()).all(|number| done.by(&format!("{name}-{number}")) > 0)
    })
    .await;
    let delays = done.delays(name, lost);
    let at = |share: usize| delays[(delays.len() - 1) * share / 100];
    // For people: `--nocapture` shows it.
    println!(
        "{name}, {} wills with a grace of {GRACE:?}: fired after {:?}, median {:?}, p99 {:?}, {:?}",
        delays.len(),
        at(0),
        at(50),
        at(99),
        at(100)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wills_are_fired_once_for_those_who_are_gone_and_never_for_others() {
    let mut cluster = cluster(1, &["gw1", "gw2"], &["control1", "control2"]).await;
    let (done, _bus) = worker(&cluster).await;
    let (scope, targets) = (Scope::root(), Targets::default());
    for gateway in ["gw1", "gw2"] {
        enter(&cluster, &targets, gateway);
    }
    let address = balancer::serve(0, targets.clone(), "clients", &scope)
        .await
        .expect("a free port");
    let mut living = Vec::new();
    for number in 0..staying() {
        let token = cluster.tokens.token(&format!("lives-{number}"));
        let client = Client::builder(&format!("ws://{address}/v1/ws")).token(token);
        let client = within("a client", client.connect())
            .await
            .expect("connects");
        arm(&client).await;
        living.push(client);
    }

    drop(armed_sockets(&cluster, "gw1", "client-died").await);
    acted_for(&done, "client-died", Instant::now()).await;

    // The gateway, and one of those who look after what it leaves.
    let sockets = armed_sockets(&cluster, "gw1", "gateway-died").await;
    cluster.take("control1").kill().await;
    cluster.take("gw1").kill().await;
    let lost = Instant::now();
    drop(sockets);
    acted_for(&done, "gateway-died", lost).await;

    cluster.start_gateway("gw1").await;
    enter(&cluster, &targets, "gw1");
    let drained = cluster.take("gw2");
    drained.terminate();
    let status = within_a_minute("the drain ends", drained.ended()).await;
    assert!(status.success(), "{status}");
    drop(armed_sockets(&cluster, "gw1", "died-later").await);
    acted_for(&done, "died-later", Instant::now()).await;

    println!("{} clients stayed", living.len());
    // Who is told so has not been acted for, nor will be.
    for client in &living {
        let taken_back = within_a_minute("an answer", client.disarm_will()).await;
        assert!(taken_back.is_ok(), "{taken_back:?}");
    }
    let done = done.0.lock();
    assert_eq!(done.len(), 3 * dying(), "{done:?}");
    assert!(done.values().all(|times| times.len() == 1), "{done:?}");
}
