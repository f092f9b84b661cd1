//! All gateways replaced one after another under channels with history: what each
//! client got, and for how long it got nothing.

use std::time::{Duration, Instant};

use client::Client;
use lifecycle::Scope;
use testkit::Cluster;
use tidegate::cluster::balancer::{self, Targets};

use super::{cluster, drains::enter, following::Following, within_a_minute};

const GATEWAYS: [&str; 3] = ["gw1", "gw2", "gw3"];

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
    let mut cluster = cluster(1, &GATEWAYS, &["control1"]).await;
    let (scope, targets) = (Scope::root(), Targets::default());
    for gateway in GATEWAYS {
        enter(&cluster, &targets, gateway);
    }
    let serving = balancer::serve(0, targets.clone(), "clients", &scope).await;
    let url = format!("ws://{}/v1/ws", serving.expect("a free port"));
    let following = Following::begin(&cluster, || Client::builder(&url), &scope).await;
    following.mark();
    let drains = roll(&mut cluster, &targets).await;
    println!("drains: {drains:.1?}");
    following.finish().await;
    let _ = scope.drain(Duration::from_secs(5)).await;
}
