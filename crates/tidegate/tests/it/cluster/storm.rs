//! Clients that come all at once to a gateway that lets in so many a second.
//!
//! Half of them have lost their gateway and come back to their sessions, the others
//! are new. `TIDEGATE_TEST_CLIENTS` of them, and `TIDEGATE_TEST_ADMISSION` is the rate.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use client::{Builder, Client, State};
use testkit::{Cluster, Layout, Process};
use tokio::{
    net::TcpStream,
    sync::{Barrier, Semaphore, watch},
    task::JoinSet,
    time::timeout,
};

use super::{CONFIG, Spread, clients, setting};

/// Clients that connect at once before the storm.
const CONNECTING: usize = 64;

/// For all to be back, however slow the machine.
const LONG: Duration = Duration::from_secs(300);

/// One client after the storm.
struct Back {
    returns: bool,
    /// Since the storm began.
    after: Duration,
    client: Client,
}

/// What clients wait for before they storm.
struct Start {
    connecting: Semaphore,
    /// All that are to return are connected, and all others ready.
    ready: Barrier,
    /// Where they go, and since when.
    place: watch::Receiver<(std::net::SocketAddr, Instant)>,
}

// === impl Start ===

impl Start {
    fn builder(&self, token: String) -> Builder {
        let place = self.place.clone();
        // No balancer: it would need three descriptors for each client.
        Client::builder("ws://cluster.test/v1/ws")
            .token(token)
            .dial(move || {
                let (address, _) = *place.borrow();
                TcpStream::connect(address)
            })
    }

    /// Has a connection, loses it and gets another one.
    async fn returning(self: Arc<Self>, token: String) -> Back {
        let turn = self.connecting.acquire().await.expect("never closed");
        let client = self.builder(token).connect().await.expect("connects");
        drop(turn);
        let first = client.state().borrow().clone();
        self.ready.wait().await;
        let mut state = client.state();
        let again = |state: &State| matches!(state, State::Connected { .. }) && *state != first;
        state.wait_for(again).await.expect("not closed");
        self.back(true, client)
    }

    /// Comes when the others have lost their connections.
    async fn newcomer(self: Arc<Self>, token: String) -> Back {
        let mut place = self.place.clone();
        self.ready.wait().await;
        place.changed().await.expect("the test goes on");
        // The first try is not repeated by the SDK, and on a slow machine a storm may
        // keep it from being answered in time.
        loop {
            if let Ok(client) = self.builder(token.clone()).connect().await {
                return self.back(false, client);
            }
        }
    }

    fn back(&self, returns: bool, client: Client) -> Back {
        let (_, since) = *self.place.borrow();
        Back {
            returns,
            after: since.elapsed(),
            client,
        }
    }
}

async fn cluster(rate: usize) -> Cluster {
    // Enough for some to be late, and to hold a part for those who return.
    let burst = (rate / 4).max(4);
    let config = format!("{CONFIG}\n[gateway.admission]\nrate = {rate}\nburst = {burst}\n");
    Cluster::start(Layout {
        binary: env!("CARGO_BIN_EXE_tidegate"),
        nats: 1,
        gateways: &["gw1", "gw2"],
        controls: &["control1"],
        config: &config,
    })
    .await
}

async fn admissions(gateway: &Process, verdict: &str) -> f64 {
    let label = format!("verdict=\"{verdict}\"");
    gateway
        .metric("tidegate_edge_admissions_total", &[&label])
        .await
}

/// Prints how many came back in each second, and how long it took; for people.
fn report(all: &[Back]) {
    let mut seconds = vec![0; 1];
    for back in all {
        let second = usize::try_from(back.after.as_secs()).expect("short");
        seconds.resize(seconds.len().max(second + 1), 0);
        seconds[second] += 1;
    }
    println!("back in each second: {seconds:?}");
    println!("returning: {}", spread(all, true));
    println!("new: {}", spread(all, false));
}

fn spread(all: &[Back], returns: bool) -> Spread {
    let those = all.iter().filter(|back| back.returns == returns);
    Spread::of(
        those
            .map(|back| back.after.as_secs_f64() * 1000.0)
            .collect(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_comes_in_at_the_rate_of_admission_and_sessions_first() {
    let clients = clients();
    let rate = setting("TIDEGATE_TEST_ADMISSION", clients / 4);
    let mut cluster = cluster(rate).await;
    let address = |gateway| cluster.process(gateway).address("client_url");
    let (doomed, other) = (address("gw1"), address("gw2"));
    let (place, placed) = watch::channel((doomed, Instant::now()));
    let start = Arc::new(Start {
        connecting: Semaphore::new(CONNECTING),
        ready: Barrier::new(clients + 1),
        place: placed,
    });
    let mut storm = JoinSet::new();
    for number in 0..clients {
        let token = cluster.tokens.token(&format!("user{number}"));
        match number % 2 {
            0 => storm.spawn(start.clone().returning(token)),
            _ => storm.spawn(start.clone().newcomer(token)),
        };
    }
    timeout(LONG, start.ready.wait()).await.expect("all ready");
    let gateway = cluster.process("gw2");
    let before = (gateway.memory(), gateway.cpu());
    // It is drained of nothing: the sockets end, as when its machine fails.
    let doomed = cluster.take("gw1");
    place.send_replace((other, Instant::now()));
    doomed.kill().await;
    let all = timeout(LONG, storm.join_all()).await.expect("all are back");

    let gateway = cluster.process("gw2");
    report(&all);
    let refused = admissions(gateway, "rate").await;
    println!("clients: {clients}, rate: {rate}, refused: {refused}");
    println!(
        "gateway: {:.2} s of CPU, {} KiB before, {} KiB at the most",
        (gateway.cpu() - before.1).as_secs_f64(),
        before.0,
        gateway.peak_memory()
    );
    assert_eq!(admissions(gateway, "admitted").await, clients as f64);
    assert!(refused > 0.0, "too many for the rate");
    let (returning, new) = (spread(&all, true), spread(&all, false));
    assert!(returning.at(0.5) < new.at(0.5), "{returning}, new {new}");
    for back in all {
        back.client.close().await;
    }
}
