//! What a gateway measures of its connections and of its own loop.

use std::time::Duration;

use client::SubscribeOptions;
use testkit::{Cluster, Dial, Layout, Process, RawClient, eventually};
use tokio::time::sleep;

use super::{CONFIG, cluster, connect, grpc, next, publish, subscribe};

const STATES: &str = "tidegate_edge_connection_states";

async fn state(gateway: &Process, state: &str) -> f64 {
    let label = format!("state=\"{state}\"");
    gateway.metric(STATES, &[&label]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_counted_as_stalled_with_what_waits_for_him() {
    let cluster = cluster(1, &["gw1"], &["control1"]).await;
    let gateway = cluster.process("gw1");
    let address = gateway.address("client_url");
    let mut deaf = RawClient::greeted(address, &cluster.tokens.token("deaf")).await;
    deaf.subscribe(1, "live.news").await;
    eventually("it is live", async || state(gateway, "live").await == 1.0).await;
    assert_eq!(state(gateway, "stalled").await, 0.0);

    let control = grpc(&cluster, "control1").await;
    let near = "tidegate_edge_near_limit_connections";
    eventually("its outbox is nearly full", async || {
        for _ in 0..8 {
            let sent = publish(&control, "live.news", vec![7; 60_000]).await;
            sent.expect("published");
        }
        gateway.metric(near, &["limit=\"outbox\""]).await == 1.0
    })
    .await;
    assert_eq!(state(gateway, "stalled").await, 1.0);
    assert_eq!(state(gateway, "live").await, 0.0);
    eventually("its stalled seconds count, and its outbox", async || {
        let seconds = "tidegate_edge_write_stalled_seconds_total";
        let bytes = "tidegate_edge_stalled_outbox_bytes_sum";
        let age = "tidegate_edge_stalled_outbox_age_seconds_sum";
        gateway.metric(seconds, &[]).await > 1.0
            && gateway.metric(bytes, &[]).await > 60_000.0
            && gateway.metric(age, &[]).await > 1.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_measured_by_class_and_by_age_and_the_loop_measures_itself() {
    let cluster = cluster(1, &["gw1"], &["control1"]).await;
    let gateway = cluster.process("gw1");
    let (ann, ben) = (
        connect(&cluster, "gw1", "ann").await,
        connect(&cluster, "gw1", "ben").await,
    );
    let mut all = subscribe(&ann, "live.news").await;
    let options = SubscribeOptions {
        max_per_second: 1_000,
        ..SubscribeOptions::default()
    };
    let mut samples = ben
        .subscribe_with("live.news", options)
        .await
        .expect("subscribes");
    let control = grpc(&cluster, "control1").await;
    publish(&control, "live.news", "one")
        .await
        .expect("published");
    next(&mut all).await;
    next(&mut samples).await;
    eventually("both classes are counted", async || {
        let delivered = async |class: &str| {
            let label = format!("class=\"{class}\"");
            let name = "tidegate_edge_deliveries_total";
            gateway.metric(name, &[&label]).await
        };
        delivered("all").await == 1.0 && delivered("sampled").await == 1.0
    })
    .await;
    let bytes = "tidegate_edge_delivered_bytes_total";
    assert!(gateway.metric(bytes, &["class=\"sampled\""]).await > 3.0);
    let age = "tidegate_edge_publication_age_seconds";
    let looked_at = gateway.metric(&format!("{age}_count"), &[]).await;
    assert!([1.0, 2.0].contains(&looked_at), "on one shard or on two");
    assert!(gateway.metric(&format!("{age}_sum"), &[]).await < 20.0);
    let ready = gateway.metric("tidegate_process_ready", &[]).await;
    assert!(ready > 1.0, "{ready} conditions hold");

    // As when the machine takes its processors away: longer than a turn may last.
    let slow = async || {
        let delay = "tidegate_edge_loop_delay_seconds";
        let count = gateway.metric(&format!("{delay}_count"), &[]).await;
        let quick = gateway
            .metric(&format!("{delay}_bucket"), &["le=\"0.5\""])
            .await;
        count - quick
    };
    let before = slow().await;
    gateway.pause();
    // Nothing to wait for: this time is what is measured.
    sleep(Duration::from_secs(1)).await;
    gateway.resume();
    eventually("it was late", async || slow().await > before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_at_the_door_is_seen_to_get_shorter_though_nobody_comes() {
    let config = format!("{CONFIG}\n[gateway.admission]\nrate = 2\nburst = 1\n");
    let cluster = Cluster::start(Layout {
        binary: env!("CARGO_BIN_EXE_tidegate"),
        nats: 1,
        gateways: &["gw1"],
        controls: &[],
        config: &config,
    })
    .await;
    let gateway = cluster.process("gw1");
    let mut put_off = 0;
    for _ in 0..8 {
        let dial = Dial::to(gateway.address("client_url"));
        put_off += usize::from(dial.try_connect().await.is_err());
    }
    assert!(put_off > 3, "{put_off}");
    let backlog = async || {
        let name = "tidegate_edge_admission_backlog_seconds";
        gateway.metric(name, &[]).await
    };
    eventually("there is a line", async || backlog().await > 0.0).await;
    eventually("the line is gone", async || backlog().await == 0.0).await;
}
