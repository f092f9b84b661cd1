//! All clients of a killed gateway at once at the one that is left.

use std::time::Duration;

use lifecycle::Scope;
use testkit::Process;
use tidegate::cluster::balancer::{self, Targets};

use super::{cluster, drains::enter, following::Following};

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
    let (scope, targets) = (Scope::root(), Targets::default());
    enter(&cluster, &targets, "gw1");
    let serving = balancer::serve(0, targets.clone(), "clients", &scope).await;
    let url = format!("ws://{}/v1/ws", serving.expect("a free port"));
    let following = Following::begin(&cluster, url, &scope).await;
    let idle = cluster.process("gw2").peak_memory();
    let before = log_reads(cluster.process("gw2")).await;

    following.mark();
    targets.remove("gw1");
    enter(&cluster, &targets, "gw2");
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
