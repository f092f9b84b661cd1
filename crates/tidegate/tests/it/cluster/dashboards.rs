//! Every panel of `deploy/grafana` has data in a real Prometheus that scrapes a run.

use std::{
    io::{Write, stderr},
    time::Duration,
};

use client::RequestOptions;
use testkit::{Cluster, RawClient, eventually};
use tokio::time::{Instant, timeout_at};
use wire::control::BroadcastRequest;
use worker::Worker;

use super::{
    cluster, connect, grpc, next,
    prometheus::{PROGRAM, Prometheus, Query, panels},
    publish, sending, subscribe,
};

const PROCESSES: [&str; 3] = ["gw1", "gw2", "control1"];

/// How long a panel may take to get data: some scrapes.
const PATIENCE: Duration = Duration::from_secs(60);

async fn has_data(prometheus: &Prometheus, query: &Query) -> bool {
    let series = prometheus.now(query).await;
    series.iter().any(|series| !series.samples.is_empty())
}

/// One of each of what dashboards show.
async fn traffic(cluster: &Cluster) {
    let client = connect(cluster, "gw1", "ann").await;
    let mut listening = subscribe(&client, "live.news").await;
    let control = grpc(cluster, "control1").await;
    publish(&control, "live.news", "one")
        .await
        .expect("published");
    next(&mut listening).await;
    // For one who does not read.
    for _ in 0..32 {
        let sent = publish(&control, "live.flood", vec![7; 60_000]).await;
        sent.expect("published");
    }
    let options = RequestOptions {
        idempotency_key: "one".to_owned(),
        ..RequestOptions::default()
    };
    eventually("the worker answers", async || {
        client.request("shop.buy", "one").await.is_ok()
    })
    .await;
    let bought = client.request_with("shop.buy", "one", options).await;
    bought.expect("answered");
    let broadcast = BroadcastRequest {
        payload: "to all".into(),
        level: wire::control::DeliveryLevel::Enqueued.into(),
        ..BroadcastRequest::default()
    };
    let told = sending(&control).broadcast(broadcast).await;
    told.expect("told");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_has_data_in_a_run_that_feeds_it() {
    let cluster = cluster(1, &["gw1", "gw2"], &["control1"]).await;
    let Some(prometheus) = Prometheus::start(cluster.folder().join("prometheus"), &[]).await else {
        // Past the capture of the test's output: whoever runs it must see this.
        let told = writeln!(
            stderr(),
            "SKIPPED, no prometheus on the path or in {PROGRAM}"
        );
        told.expect("standard error");
        return;
    };
    let address = |name: &str| cluster.process(name).address("admin_url");
    let targets = PROCESSES.map(|name| (name.to_owned(), address(name)));
    prometheus.scrape(&targets.into());
    let address = cluster.process("gw2").address("client_url");
    let mut deaf = RawClient::greeted(address, &cluster.tokens.token("deaf")).await;
    deaf.subscribe(1, "live.flood").await;
    let bus = cluster.nats.bus().await;
    let worker = Worker::new("shop").on("buy", |_| async { Ok("bought".into()) });
    let serving = worker.start(&bus).expect("starts");
    let watching = async {
        let end = Instant::now() + PATIENCE;
        let all = panels();
        let mut open = Vec::new();
        for panel in &all {
            let title = format!("{}: {}", panel.dashboard, panel.title);
            open.extend(panel.queries.iter().map(|query| (title.clone(), query)));
        }
        assert!(open.len() > 60, "{} queries", open.len());
        while !open.is_empty() && Instant::now() < end {
            traffic(&cluster).await;
            let mut left = Vec::new();
            for (title, query) in open {
                let asked = timeout_at(end, has_data(&prometheus, query)).await;
                if !asked.unwrap_or(false) {
                    left.push((title, query));
                }
            }
            open = left;
        }
        let empty: Vec<String> = open
            .iter()
            .map(|(title, query)| format!("{title}\n    {}", query.expr))
            .collect();
        assert!(empty.is_empty(), "no data for\n{}", empty.join("\n"));
    };
    tokio::select! {
        () = watching => {}
        ended = serving.until(std::future::pending::<()>()) => panic!("the worker ended: {ended:?}"),
    }
}
