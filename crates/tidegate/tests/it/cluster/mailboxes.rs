//! Durable messages on real NATS: kept while nobody is there, given to whoever
//! comes, and never to somebody who has dealt with them.

use client::{Client, Direct, DirectEvent, DirectMessages};
use futures_util::StreamExt;
use testkit::{Cluster, eventually, within};
use tonic::transport::Channel;
use wire::control::{
    MailboxRequest, MailboxResponse, SendRequest, SendResponse, send_request::Target,
};

use super::{cluster, connect, grpc, sending};

async fn send(control: &Channel, payload: &str) -> SendResponse {
    let request = SendRequest {
        target: Some(Target::User("bob".into())),
        payload: payload.to_owned().into(),
        durable: true,
        ..SendRequest::default()
    };
    let sent = within("kept", sending(control).send(request)).await;
    sent.expect("kept").into_inner()
}

async fn standing(control: &Channel) -> MailboxResponse {
    let user = "bob".into();
    let standing = sending(control).mailbox(MailboxRequest { user }).await;
    standing.expect("it can be read").into_inner()
}

async fn next(direct: &mut DirectMessages) -> Direct {
    match within("a message", direct.next()).await {
        Some(DirectEvent::Message(direct)) => direct,
        other => panic!("unexpected {other:?}"),
    }
}

/// A client of bob's that knows the gateway `gateway`.
async fn bob(cluster: &Cluster, gateway: &str) -> (Client, DirectMessages) {
    let client = connect(cluster, gateway, "bob").await;
    let direct = client.direct();
    (client, direct)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_to_nobody_reaches_whoever_comes_and_is_confirmed_for_all() {
    let mut cluster = cluster(1, &["gw1", "gw2"], &["control1"]).await;
    let control = grpc(&cluster, "control1").await;
    // Others' messages lie between his.
    let first = send(&control, "one").await;
    assert!(first.receipts.is_empty());
    let second = send(&control, "two").await;
    assert_eq!(standing(&control).await.unacknowledged, 2);

    let (here, mut at_first) = bob(&cluster, "gw1").await;
    let message = next(&mut at_first).await;
    assert_eq!(
        (message.offset, &*message.payload),
        (first.mailbox_offset, &b"one"[..])
    );
    assert_eq!(next(&mut at_first).await.offset, second.mailbox_offset);
    eventually("both are confirmed", async || {
        standing(&control).await.unacknowledged == 0
    })
    .await;

    // Who comes now gets what follows, and so does who was there.
    let (_there, mut at_second) = bob(&cluster, "gw2").await;
    // What the other connection has confirmed when this one's gateway looks is not for it.
    let reads = "tidegate_edge_mailbox_reads_total";
    eventually("its gateway has looked", async || {
        cluster.process("gw2").metric(reads, &[]).await > 0.0
    })
    .await;
    let third = send(&control, "three").await;
    assert_eq!(next(&mut at_first).await.offset, third.mailbox_offset);
    assert_eq!(next(&mut at_second).await.offset, third.mailbox_offset);

    // One gateway dies; what is sent meanwhile comes by the other.
    cluster.take("gw1").kill().await;
    let fourth = send(&control, "four").await;
    assert_eq!(next(&mut at_second).await.offset, fourth.mailbox_offset);
    drop((here, at_first));
    eventually("all are confirmed", async || {
        standing(&control).await.unacknowledged == 0
    })
    .await;
    assert_eq!(standing(&control).await.newest, fourth.mailbox_offset);
}
