//! What goes before what on a connection that is slow, over real sockets.

use wire::client::server_event::Event;

use crate::limits::{slow, tight};

#[tokio::test]
async fn what_is_urgent_comes_before_what_waits() {
    let gateway = tight(|config| {
        let orders = config.policies.namespaces.get_mut("news");
        orders.expect("it is there").delivery.priority = 9;
    });
    let gateway = gateway.await;
    let mut client = slow(&gateway).await;
    client.subscribe(1, "room.1").await;
    client.subscribe(2, "news.orders").await;
    let mut fast = gateway.client("fast").await;
    fast.subscribe(1, "room.1").await;
    for _ in 0..2_000 {
        gateway.publish("room.1", vec![b'x'; 1_000]).await;
        fast.publication().await;
    }
    gateway.publish("news.orders", b"bought".to_vec()).await;
    // What it has not been sent yet comes behind that, or is told by a gap.
    let (mut came, mut dropped, mut behind) = (0, 0, None);
    while came + dropped < 2_000 {
        match client.next_event().await {
            Event::Publication(one) if one.payload == b"bought"[..] => behind = Some(0),
            Event::Publication(_) => {
                came += 1;
                behind = behind.map(|behind| behind + 1);
            }
            Event::Gap(gap) => dropped += gap.dropped,
            other => panic!("unexpected {other:?}"),
        }
    }
    assert!(behind > Some(10), "{behind:?} of {came}");
    drop((client, fast));
    gateway.finish().await;
}
