//! What `tidegate explain` says of a client that does not read.

use serde_json::Value;
use testkit::{Cluster, Dial, Layout, RawClient, eventually};

use super::{grpc, publish};
use crate::dev_process::{failure, run, stdout, tidegate};

const CONFIG: &str = r#"
[gateway]
outbox_bytes = "64KiB"
send_buffer = "16KiB"

[[namespace]]
name = "market"
overflow = "catch_up"
history = { messages = 10000, age = "10m" }
subscribe = "anyone"

[[namespace]]
name = "feed"
delivery = "latest"
subscribe = "anyone"
"#;

/// A client with two subscriptions that never reads again.
async fn deaf(cluster: &Cluster) -> RawClient {
    let place = cluster.process("gw1").address("client_url");
    let mut client = Dial::to(place).receive_buffer(4_096).connect().await;
    client.hello(&cluster.tokens.token("deaf")).await;
    client.subscribe(1, "market.x").await;
    client.subscribe(2, "feed.x").await;
    client
}

fn explain(cluster: &Cluster, args: &[&str]) -> std::process::Output {
    let mut command = tidegate(&[&["explain"], args].concat());
    command.env("TIDEGATE_GRPC", cluster.grpc_url("control1"));
    run(command)
}

fn object(cluster: &Cluster, args: &[&str]) -> Value {
    let printed = stdout(&explain(cluster, &[args, &["--json"]].concat()));
    serde_json::from_str(&printed).expect("one object")
}

fn codes(explained: &Value) -> Vec<&str> {
    let findings = explained["findings"].as_array().expect("a list").iter();
    findings.filter_map(|it| it["code"].as_str()).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}"))
}

/// Both subscriptions have yet to be given much of what was published up to `last`.
fn assert_lag(explained: &Value, last: u64) {
    let [feed, market] = &explained["subscriptions"].as_array().expect("a list")[..] else {
        panic!("two: {explained}");
    };
    assert_eq!(
        (&feed["channel"], &feed["class"]),
        (&"feed.x".into(), &"latest".into())
    );
    assert!(number(&feed["lag_publications"]) > 100, "{feed}");
    assert_eq!(
        (&market["channel"], &market["overflow"]),
        (&"market.x".into(), &"catch_up".into())
    );
    assert_eq!(
        (&market["is_behind"], &market["head"]),
        (&true.into(), &last.into())
    );
    assert!(number(&market["position"]) < last, "{market}");
    assert!(number(&market["lag_publications"]) > 0, "{market}");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_found_out() {
    let cluster = Cluster::start(Layout {
        binary: env!("CARGO_BIN_EXE_tidegate"),
        nats: 1,
        gateways: &["gw1"],
        controls: &["control1"],
        config: CONFIG,
    })
    .await;
    let control = grpc(&cluster, "control1").await;
    let client = deaf(&cluster).await;
    let well = object(&cluster, &["--user", "deaf"]);
    assert!(codes(&well).is_empty(), "{well}");
    let mut last = 0;
    for _ in 0..200 {
        last = publish(&control, "market.x", vec![b'x'; 2_000])
            .await
            .expect("published");
        publish(&control, "feed.x", vec![b'x'; 2_000])
            .await
            .expect("published");
    }

    // Nothing leaves any more, which is said once it has lasted for a second.
    eventually("it is found out", async || {
        let explained = object(&cluster, &["--user", "deaf"]);
        codes(&explained).contains(&"client_does_not_read")
    })
    .await;
    let explained = object(&cluster, &["--user", "deaf"]);
    let found = codes(&explained);
    assert!(found.contains(&"subscriptions_behind"), "{explained}");
    let (outbox, tcp) = (&explained["outbox"], &explained["tcp"]);
    assert_eq!(outbox["blocked"], true);
    assert!(number(&outbox["bytes"]) > 0, "{outbox}");
    assert!(number(&outbox["waiting_ms"]) >= 1_000, "{outbox}");
    assert!(number(&tcp["unsent_bytes"]) > 0, "{tcp}");
    assert_lag(&explained, last);

    let id = explained["connection"]["connection_id"]
        .as_str()
        .expect("an id");
    let page = stdout(&explain(&cluster, &[id]));
    for line in [
        "client_does_not_read",
        "the kernel's buffer is full",
        "market.x",
    ] {
        assert!(page.contains(line), "{line:?} in\n{page}");
    }
    drop(client);
    eventually("it is gone", async || {
        let explained = explain(&cluster, &[id]);
        !explained.status.success() && failure(&explained).1.contains("NOT_CONNECTED")
    })
    .await;
}
