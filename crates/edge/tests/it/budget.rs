//! All outboxes together near what they may hold.

use hub::OutboxLimits;
use testkit::{RawClient, eventually};
use wire::client::server_event::Event;

use crate::{gateway::Gateway, limits::slow};

/// Publications of each channel: what any one outbox holds alone.
const PUBLICATIONS: u64 = 200;

const CHANNELS: [&str; 4] = ["room.1", "room.2", "room.3", "room.4"];

async fn narrow() -> Gateway {
    let gateway = Gateway::start(|config| {
        config.send_buffer_bytes = 4_096;
        config.close_timeout = testkit::DEADLINE;
        config.outbox = OutboxLimits {
            bytes: 512 << 10,
            items: 1_000,
        };
        config.outbox_budget = 300 << 10;
    });
    gateway.await
}

/// Reads to the end; returns what came, and what was let go.
async fn read(client: &mut RawClient) -> (u64, u64) {
    let (mut came, mut dropped) = (0, 0);
    while came + dropped < PUBLICATIONS {
        match client.next_event().await {
            Event::Publication(_) => came += 1,
            Event::Gap(gap) => dropped += gap.dropped,
            other => panic!("unexpected {other:?}"),
        }
    }
    (came, dropped)
}

#[tokio::test]
async fn near_the_budget_new_clients_wait_and_the_fullest_let_go() {
    let gateway = narrow().await;
    let mut deaf = Vec::new();
    for channel in CHANNELS {
        let mut client = slow(&gateway).await;
        client.subscribe(1, channel).await;
        deaf.push(client);
    }
    let mut fast = gateway.client("fast").await;
    for (id, channel) in (1..).zip(CHANNELS) {
        fast.subscribe(id, channel).await;
    }
    for _ in 0..PUBLICATIONS {
        for channel in CHANNELS {
            gateway.publish(channel, vec![b'x'; 1_000]).await;
            fast.publication().await;
        }
    }
    let refused = gateway.dial().try_connect().await;
    let refusal = refused.expect_err("no memory");
    assert_eq!((refusal.status, refusal.code()), (503, "memory".into()));
    assert!(refusal.header("retry-after").is_some());
    let mut dropped = 0;
    for client in &mut deaf {
        dropped += read(client).await.1;
    }
    assert!(dropped > 0, "alone each would have been given all");
    let mut next = None;
    eventually("there is room again", async || {
        next = gateway.dial().try_connect().await.ok();
        next.is_some()
    })
    .await;
    drop((deaf, fast, next));
    gateway.finish().await;
}
