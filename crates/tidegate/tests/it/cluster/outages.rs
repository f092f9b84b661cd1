//! NATS goes away and comes back.

use client::{Client, ErrorCode, SubscriptionEvent};
use futures_util::StreamExt;
use testkit::{Cluster, eventually, within};

use super::{cluster, connect, grpc, next, publish, subscribe};

async fn is_ready(cluster: &Cluster, process: &str) -> bool {
    let answer = cluster.process(process).admin("/readyz").await;
    answer.expect("the admin port answers").status == 200
}

async fn refused(client: &Client) -> bool {
    let outcome = client.publish("live.a", "lost?").await;
    outcome.is_err_and(|error| error.code() == Some(ErrorCode::Unavailable) && error.retryable())
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_outlive_nats_and_nothing_is_silent() {
    let cluster = cluster(1, &["gw1"], &["control1"]).await;
    let control = grpc(&cluster, "control1").await;
    let ann = connect(&cluster, "gw1", "ann").await;
    let mut notices = ann.notices();
    let mut live = subscribe(&ann, "live.a").await;
    let mut log = subscribe(&ann, "log.a").await;
    publish(&control, "log.a", "before")
        .await
        .expect("published");
    assert_eq!(next(&mut log).await, "before");

    cluster.nats.kill(0).await;
    eventually("it is not ready", async || !is_ready(&cluster, "gw1").await).await;
    assert_eq!(
        within("a notice", notices.next())
            .await
            .expect("comes")
            .kind,
        "degraded"
    );
    eventually("publishes are refused", async || refused(&ann).await).await;
    let status = publish(&control, "live.a", "x").await.expect_err("no bus");
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");

    cluster.nats.restart(0).await;
    eventually("it is ready again", async || {
        is_ready(&cluster, "gw1").await
    })
    .await;
    assert_eq!(
        within("a notice", notices.next())
            .await
            .expect("comes")
            .kind,
        "recovered"
    );
    // The same connection, the same subscriptions; the log's chain holds, and
    // where none is kept the client is told that something may be missing.
    eventually("publishing works", async || {
        publish(&control, "log.a", "after").await.is_ok()
    })
    .await;
    assert_eq!(next(&mut log).await, "after");
    eventually("publishing without a log works", async || {
        publish(&control, "live.a", "after").await.is_ok()
    })
    .await;
    let gap = within("a gap", live.next()).await;
    assert!(matches!(gap, Some(SubscriptionEvent::Gap(_))), "{gap:?}");
    assert_eq!(next(&mut live).await, "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_server_that_stands_still_is_noticed() {
    let cluster = cluster(1, &["gw1"], &[]).await;
    cluster.nats.pause(0);
    eventually("it is not ready", async || !is_ready(&cluster, "gw1").await).await;
    cluster.nats.resume(0);
    eventually("it is ready again", async || {
        is_ready(&cluster, "gw1").await
    })
    .await;
}
