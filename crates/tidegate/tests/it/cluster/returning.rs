//! All clients of a killed gateway at once at the one that is left.

use std::time::Duration;

use client::Client;
use lifecycle::Scope;
use testkit::Process;
use tokio::{net::TcpStream, sync::watch};

use super::{cluster, following::Following};

/// What a gateway has read from logs: pages, and publications in them.
async fn log_reads(gateway: &Process) -> (f64, f64) {
    let pages = gateway
        .metric("tidegate_edge_log_reads_total", &["result=\"page\""])
        .await;
    let read = gateway.metric("tidegate_edge_log_read_publications_total", &[]);
    (pages, read.await)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_clients_of_a_killed_gateway_recover_at_another() {
    let mut cluster = cluster(1, &["gw1", "gw2"], &["control1"]).await;
    let scope = Scope::root();
    let address = |gateway| cluster.process(gateway).address("client_url");
    let (doomed, other) = (address("gw1"), address("gw2"));
    let (place, moved) = watch::channel(doomed);
    // No balancer: it would need three descriptors for each client.
    let builder = || {
        let moved = moved.clone();
        Client::builder("ws://cluster.test/v1/ws").dial(move || {
            let address = *moved.borrow();
            TcpStream::connect(address)
        })
    };
    let following = Following::begin(&cluster, builder, &scope).await;
    let idle = cluster.process("gw2").peak_memory();
    let before = log_reads(cluster.process("gw2")).await;

    following.mark();
    place.send_replace(other);
    cluster.take("gw1").kill().await;
    following.all_up_to_date().await;

    let gateway = cluster.process("gw2");
    let after = log_reads(gateway).await;
    println!("log reads: {}", after.0 - before.0);
    println!("publications read from logs: {}", after.1 - before.1);
    println!(
        "peak memory: {} KiB before, {} KiB after",
        idle,
        gateway.peak_memory()
    );
    following.finish().await;
    let _ = scope.drain(Duration::from_secs(5)).await;
}
