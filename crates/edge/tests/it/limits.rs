//! Slow consumers: memory stays bounded, and what is not delivered is told.

use edge::EdgeConfig;
use hub::OutboxLimits;
use testkit::{RawClient, ping};
use wire::client::{Gap, GapCause, server_event::Event};

use crate::gateway::Gateway;

/// Larger than what the kernel takes for a connection that is not read.
const PUBLICATIONS: u64 = 3_000;

pub(crate) async fn tight(change: impl FnOnce(&mut EdgeConfig)) -> Gateway {
    Gateway::start(|config| {
        change(config);
        config.send_buffer_bytes = 4_096;
        config.outbox = OutboxLimits {
            bytes: 32 << 10,
            items: 64,
        };
        config.close_timeout = testkit::DEADLINE;
    })
    .await
}

/// A client that takes little before it must read.
pub(crate) async fn slow(gateway: &Gateway) -> RawClient {
    let mut client = gateway.dial().receive_buffer(4_096).connect().await;
    client.hello(&gateway.tokens.token("slow")).await;
    client
}

/// Publishes, and reads with `fast` as it goes.
async fn flood(gateway: &Gateway, channel: &str, fast: &mut RawClient) {
    for number in 0..PUBLICATIONS {
        let payload = vec![b'x'; 1_000];
        gateway.publish(channel, payload).await;
        assert_eq!(fast.publication().await.payload.len(), 1_000, "{number}");
    }
}

#[tokio::test]
async fn a_slow_consumer_is_told_exactly_what_it_missed_and_the_chain_goes_on() {
    let gateway = tight(|_| {}).await;
    let (mut slow, mut fast) = (slow(&gateway).await, gateway.client("fast").await);
    let mut at = slow
        .subscribe(1, "log.1")
        .await
        .position
        .expect("a log")
        .offset;
    fast.subscribe(1, "log.1").await;
    flood(&gateway, "log.1", &mut fast).await;
    let (mut received, mut dropped, mut gaps) = (0, 0, 0);
    while received + dropped < PUBLICATIONS {
        match slow.next_event().await {
            Event::Publication(publication) => {
                assert_eq!(publication.previous, at, "a hole without a gap");
                at = publication.offset;
                received += 1;
            }
            Event::Gap(Gap {
                from,
                to,
                dropped: lost,
                conflated,
                cause,
                ..
            }) => {
                assert_eq!((from, to), (at + 1, at + lost));
                assert_eq!((conflated, cause), (0, GapCause::SlowConnection.into()));
                at = to;
                dropped += lost;
                gaps += 1;
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    assert!(gaps > 0 && received > 0, "{received} received, {gaps} gaps");
    // Up to date again, and nothing comes twice.
    gateway.publish("log.1", "next").await;
    let next = slow.publication().await;
    assert_eq!((next.previous, &*next.payload), (at, &b"next"[..]));
    drop((slow, fast));
    gateway.finish().await;
}

#[tokio::test]
async fn a_slow_consumer_of_a_strict_channel_is_disconnected_and_others_are_not() {
    let gateway = tight(|_| {}).await;
    let (mut slow, mut fast) = (slow(&gateway).await, gateway.client("fast").await);
    slow.subscribe(1, "strict.1").await;
    fast.subscribe(1, "strict.1").await;
    flood(&gateway, "strict.1", &mut fast).await;
    let close = slow.expect_close().await;
    assert_eq!((close.code, close.cause()), (4101, "slow_consumer"));
    drop((slow, fast));
    gateway.finish().await;
}

#[tokio::test]
async fn answers_come_through_a_flood_that_drops_publications() {
    let gateway = tight(|_| {}).await;
    let (mut slow, mut fast) = (slow(&gateway).await, gateway.client("fast").await);
    slow.subscribe(1, "room.1").await;
    fast.subscribe(1, "room.1").await;
    flood(&gateway, "room.1", &mut fast).await;
    slow.send(ping(5)).await;
    let (mut seen, mut ponged) = (0, false);
    // The gap may come behind the answer, with the last publications.
    while seen < PUBLICATIONS || !ponged {
        match slow.next_event().await {
            Event::Publication(_) => seen += 1,
            Event::Gap(gap) => {
                assert_eq!((gap.from, gap.to), (0, 0), "the channel keeps no log");
                seen += gap.dropped;
            }
            Event::Pong(pong) => ponged = pong.nonce == 5,
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(seen, PUBLICATIONS);
    drop((slow, fast));
    gateway.finish().await;
}

#[tokio::test]
async fn who_asks_and_never_reads_is_disconnected() {
    let gateway = tight(|_| {}).await;
    let mut client = slow(&gateway).await;
    let batch: Vec<_> = (0..1_000).map(ping).collect();
    // Until the gateway takes no more: it answers nothing it can't queue.
    let mut message = Vec::new();
    let events = wire::client::ClientMessage {
        events: batch.clone(),
    };
    let bytes = prost::Message::encode_to_vec(&events);
    wire::websocket::client_frame(
        wire::websocket::OpCode::Binary,
        [1, 2, 3, 4],
        &bytes,
        &mut message,
    );
    for _ in 0..50 {
        if client.try_send_bytes(&message).await.is_err() {
            break;
        }
    }
    let mut pongs = 0;
    while let Some(frame) = client.next_frame_or_end().await {
        pongs += usize::from(frame.opcode == wire::websocket::OpCode::Binary);
    }
    assert!(pongs < 50_000, "nothing bounds the answers");
    drop(client);
    gateway.finish().await;
}

#[tokio::test]
async fn a_message_of_more_events_than_allowed_is_too_large() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("many").await;
    client.send_events(&vec![ping(1); 4_097]).await;
    let close = client.expect_close().await;
    assert_eq!((close.code, close.cause()), (1009, "message_too_large"));
    gateway.finish().await;
}
