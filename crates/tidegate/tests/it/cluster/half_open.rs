//! Sockets that never get as far as Hello, from many addresses, beside clients that
//! behave: what these notice of it, and that the gateway sheds.
//!
//! `TIDEGATE_TEST_CLIENTS` good ones, `TIDEGATE_TEST_ATTACKERS` sockets one after the
//! other, a thousand a second; those that the gateway has dropped hold no descriptor
//! here, so that as many may come as one likes.

use std::{
    cell::Cell,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use testkit::{Cluster, Dial, Layout, RawClient, eventually, ping};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    task::JoinSet,
    time::interval,
};

use super::{clients, setting};

/// Clients that connect during a measurement.
const NEWCOMERS: usize = 50;

/// What good clients saw.
#[derive(Default)]
struct Seen {
    pongs: Vec<Duration>,
    connects: Vec<Duration>,
}

/// Asks each client for a pong, and lets some connect, meanwhile.
async fn look(cluster: &Cluster, good: &mut [RawClient]) -> Seen {
    let address = cluster.process("gw1").address("client_url");
    let mut seen = Seen::default();
    let step = good.len().div_ceil(NEWCOMERS);
    for (number, client) in good.iter_mut().enumerate() {
        let asked = Instant::now();
        client.send(ping(7)).await;
        client.pong().await;
        seen.pongs.push(asked.elapsed());
        if number % step == 0 {
            let token = cluster
                .tokens
                .token(&format!("newcomer-{}", fastrand::u64(..)));
            let began = Instant::now();
            let newcomer = RawClient::greeted(address, &token).await;
            seen.connects.push(began.elapsed());
            newcomer.leave().await;
        }
    }
    seen.pongs.sort();
    seen.connects.sort();
    seen
}

/// One socket, as far as its kind goes; ends when the gateway drops it.
async fn attack(gateway: SocketAddr, number: usize) {
    let [high, low] = [number / 250 % 250, number % 250 + 1].map(|part| part as u8);
    let socket = TcpSocket::new_v4().expect("a descriptor is left");
    let from = SocketAddr::from((Ipv4Addr::new(127, 1, high, low), 0));
    if socket.bind(from).is_err() {
        return;
    }
    let Ok(mut stream) = socket.connect(gateway).await else {
        return;
    };
    let request = Dial::to(gateway).text();
    let half = &request.as_bytes()[..request.len() / 2];
    let part = match number % 4 {
        0 => &b""[..],
        1 => half,
        2 => request.as_bytes(),
        // A handshake of TLS, begun.
        _ => b"\x16\x03\x01\x02\x00\x01\x00",
    };
    let _ = stream.write_all(part).await;
    let mut answer = [0; 512];
    while matches!(stream.read(&mut answer).await, Ok(1..)) {}
}

fn report(when: &str, seen: &Seen) {
    let at = |all: &[Duration], percent: usize| {
        all[(all.len() * percent / 100).min(all.len() - 1)].as_secs_f64() * 1e3
    };
    for (what, all) in [("pong", &seen.pongs), ("connect", &seen.connects)] {
        let (middle, high, top) = (at(all, 50), at(all, 99), at(all, 100));
        println!("{when}: {what} p50 {middle:.2} p99 {high:.2} max {top:.2} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_sockets_are_shed_and_good_clients_are_served() {
    let (count, attackers) = (clients(), setting("TIDEGATE_TEST_ATTACKERS", 600));
    let places = 2 * count;
    let config = format!(
        "[gateway]\nmax_connections = {places}\nreserved_descriptors = 64\n\
         handshake_timeout = \"10m\"\nheartbeat = \"10m\"\n"
    );
    let cluster = Cluster::start(Layout {
        binary: env!("CARGO_BIN_EXE_tidegate"),
        nats: 1,
        gateways: &["gw1"],
        controls: &["control1"],
        config: &config,
    })
    .await;
    let gateway = cluster.process("gw1").address("client_url");
    let mut good = Vec::new();
    for number in 0..count {
        let token = cluster.tokens.token(&format!("good-{number}"));
        good.push(RawClient::greeted(gateway, &token).await);
    }
    let without = look(&cluster, &mut good).await;

    let mut sockets = JoinSet::new();
    let mut pace = interval(Duration::from_millis(1));
    let attacking = async {
        for number in 0..attackers {
            pace.tick().await;
            sockets.spawn(attack(gateway, number));
            while sockets.try_join_next().is_some() {}
        }
    };
    let is_over = Cell::new(false);
    let attacking = async {
        attacking.await;
        is_over.set(true);
    };
    let looking = async {
        let mut seen = Seen::default();
        while !is_over.get() {
            let more = look(&cluster, &mut good).await;
            seen.pongs.extend(more.pongs);
            seen.connects.extend(more.connects);
        }
        seen.pongs.sort();
        seen.connects.sort();
        seen
    };
    let (with, ()) = tokio::join!(looking, attacking);
    let after = look(&cluster, &mut good).await;
    report("without", &without);
    report("with", &with);
    report("full of slow sockets", &after);
    let shed = async || {
        let process = cluster.process("gw1");
        let name = "tidegate_edge_handshakes_total";
        process.metric(name, &["result=\"shed\""]).await
    };
    println!("attackers: {attackers}, shed: {}", shed().await);
    // All but a quarter of the places, whoever else came and went; those that are no HTTP
    // go by themselves.
    let at_least = (attackers * 3 / 4).saturating_sub(places / 4) as f64;
    eventually("they are shed", async || shed().await >= at_least).await;
    sockets.shutdown().await;
}
