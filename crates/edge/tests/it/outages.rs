//! The bus goes away or loses messages: clients are told, and nothing else
//! happens to them.

use testkit::{RawClient, publish, request, subscribe};
use wire::client::{ErrorCode, GapCause, Notice, server_event::Event};

use crate::{
    faulty_bus::FaultyBus,
    gateway::{Gateway, Site},
};

async fn stage(shards: usize) -> (std::sync::Arc<FaultyBus>, Gateway) {
    let site = Site::new().await;
    let bus = FaultyBus::over(site.bus.clone());
    let gateway = site.open_on(bus.clone(), |config| config.shards = shards);
    (bus, gateway)
}

async fn notice(client: &mut RawClient) -> String {
    match client.next_event().await {
        Event::Notice(Notice { kind, .. }) => kind,
        other => panic!("unexpected {other:?}"),
    }
}

#[tokio::test]
async fn an_outage_is_told_and_what_needs_the_bus_is_refused_at_once() {
    let (bus, gateway) = stage(1).await;
    let mut client = gateway.client("ann").await;
    client.subscribe(1, "room.1").await;
    bus.go_down();
    assert_eq!(notice(&mut client).await, "degraded");
    let asked = bus.asked();
    client.send(subscribe(2, "room.2")).await;
    assert_eq!(client.error().await, (2, ErrorCode::Unavailable));
    client.send(publish(3, "room.1", "lost")).await;
    assert_eq!(client.error().await, (3, ErrorCode::Unavailable));
    client.send(request(4, "echo", "?")).await;
    let (id, failure) = client.failed_response().await;
    assert_eq!(
        (id, failure.code(), failure.retryable),
        (4, ErrorCode::Unavailable, true)
    );
    // Who comes meanwhile is told, too, and gets into channels that flow.
    let mut late = gateway.client("ben").await;
    assert_eq!(notice(&mut late).await, "degraded");
    late.subscribe(1, "room.1").await;
    assert_eq!(bus.asked(), asked, "the bus was left alone");
    bus.come_up();
    for client in [&mut client, &mut late] {
        assert_eq!(notice(client).await, "recovered");
    }
    gateway.publish("room.1", "on").await;
    for client in [&mut client, &mut late] {
        assert_eq!(client.publication().await.payload, "on");
    }
    client.subscribe(5, "room.2").await;
    gateway.finish().await;
}

#[tokio::test]
async fn what_the_bus_lost_is_told_in_its_place_to_every_listener() {
    let (bus, gateway) = stage(2).await;
    let mut clients = Vec::new();
    for user in ["ann", "ben", "cid"] {
        let mut client = gateway.client(user).await;
        client.subscribe(1, "room.1").await;
        clients.push(client);
    }
    gateway.publish("room.1", "before").await;
    bus.lose("room.1", 3);
    gateway.publish("room.1", "after").await;
    for client in &mut clients {
        assert_eq!(client.publication().await.payload, "before");
        let gap = client.gap().await;
        assert_eq!((gap.dropped, gap.cause()), (3, GapCause::Bus));
        assert_eq!(client.publication().await.payload, "after");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_broken_chain_is_a_gap_and_so_is_a_log_that_begins_anew() {
    let (bus, gateway) = stage(1).await;
    let mut client = gateway.client("ann").await;
    client.subscribe(1, "log.1").await;
    for (offset, previous) in [(1, 0), (7, 5), (8, 7), (1, 0), (2, 1)] {
        bus.deliver("log.1", offset, previous);
    }
    let mut seen = Vec::new();
    while seen.len() < 7 {
        seen.push(match client.next_event().await {
            Event::Publication(publication) => publication.offset,
            Event::Gap(gap) if gap.cause() == GapCause::Bus => 0,
            other => panic!("unexpected {other:?}"),
        });
    }
    assert_eq!(seen, [1, 0, 7, 8, 0, 1, 2]);
    // Which log that is nobody knows: there is no position to come back to.
    let mut late = gateway.client("ben").await;
    let subscribed = late.subscribe(1, "log.1").await;
    assert_eq!(subscribed.position, None);
    gateway.finish().await;
}
