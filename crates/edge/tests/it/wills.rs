//! Wills: what a gateway takes, refuses, and answers.

use testkit::{RawClient, arm_will, disarm_will};
use wire::{
    client::{Accepted, ErrorCode, Failure, Notice, server_event::Event},
    control::Will,
};

use crate::{
    faulty_bus::FaultyBus,
    gateway::{Gateway, Site},
    user_limit::registered,
};

async fn stage() -> (Gateway, RawClient) {
    let site = Site::new().await;
    let gateway = site.register("gw-a", |_| {});
    let client = gateway.client("ann").await;
    registered(&gateway, "ann").await;
    (gateway, client)
}

async fn kept(gateway: &Gateway) -> Vec<Will> {
    wills::list(&*gateway.bus, None).await.expect("declared")
}

async fn accepted(client: &mut RawClient) -> u32 {
    match client.next_event().await {
        Event::Accepted(Accepted { id, .. }) => id,
        other => panic!("unexpected {other:?}"),
    }
}

async fn refused(client: &mut RawClient) -> (u32, Failure) {
    match client.next_event().await {
        Event::Error(error) => (error.id, error.failure.unwrap_or_default()),
        other => panic!("unexpected {other:?}"),
    }
}

#[tokio::test]
async fn a_will_is_kept_when_it_is_accepted_and_gone_when_it_was_taken_back() {
    let (gateway, mut client) = stage().await;
    client.send(arm_will(1, "echo", "cancel all", 5_000)).await;
    assert_eq!(accepted(&mut client).await, 1);
    let wills = kept(&gateway).await;
    let [will] = wills.as_slice() else {
        panic!("{wills:?}");
    };
    assert_eq!((will.user.as_str(), will.route.as_str()), ("ann", "echo"));
    assert_eq!(will.grace_ms, 5_000);
    client.send(disarm_will(2)).await;
    assert_eq!(accepted(&mut client).await, 2);
    assert_eq!(kept(&gateway).await, []);
    client.send(disarm_will(3)).await;
    assert_eq!(accepted(&mut client).await, 3);
    gateway.finish().await;
}

#[tokio::test]
async fn orders_of_one_session_are_done_in_turn() {
    let (gateway, mut client) = stage().await;
    for round in 0..50 {
        let id = round * 4;
        let orders = [
            arm_will(id + 1, "echo", "one", 5_000),
            disarm_will(id + 2),
            arm_will(id + 3, "echo", "two", 5_000),
            disarm_will(id + 4),
        ];
        client.send_events(&orders).await;
        for order in 1..=4 {
            assert_eq!(accepted(&mut client).await, id + order);
        }
        assert_eq!(kept(&gateway).await, []);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn what_no_gateway_keeps_is_refused_and_says_why() {
    let (gateway, mut client) = stage().await;
    client.send(arm_will(1, "secret", "", 5_000)).await;
    let (id, failure) = refused(&mut client).await;
    assert_eq!((id, failure.code()), (1, ErrorCode::UnknownRoute));
    for grace_ms in [0, 999, 60_001] {
        client.send(arm_will(2, "echo", "", grace_ms)).await;
        let (_, failure) = refused(&mut client).await;
        assert_eq!(failure.code(), ErrorCode::MalformedMessage);
        assert!(failure.message.contains("1000 to 60000 ms"), "{failure:?}");
    }
    client.send(arm_will(3, "echo", vec![0; 1025], 5_000)).await;
    let (_, failure) = refused(&mut client).await;
    assert_eq!(failure.code(), ErrorCode::MessageTooLarge);
    assert_eq!(kept(&gateway).await, []);
    gateway.finish().await;
}

#[tokio::test]
async fn nothing_is_armed_while_the_bus_is_away() {
    let site = Site::new().await;
    let bus = FaultyBus::over(site.bus.clone());
    let gateway = site.register_on(bus.clone(), "gw-a", |_| {});
    let mut client = gateway.client("ann").await;
    bus.go_down();
    let notice = client.next_event().await;
    assert!(matches!(&notice, Event::Notice(Notice { kind, .. }) if kind == "degraded"));
    for order in [arm_will(1, "echo", "", 5_000), disarm_will(1)] {
        client.send(order).await;
        let (_, failure) = refused(&mut client).await;
        assert_eq!(failure.code(), ErrorCode::Unavailable);
        assert!(failure.retryable);
    }
    bus.come_up();
    let notice = client.next_event().await;
    assert!(matches!(&notice, Event::Notice(Notice { kind, .. }) if kind == "recovered"));
    gateway.finish().await;
}

#[tokio::test]
async fn a_gateway_that_nobody_looks_into_keeps_no_wills() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("ann").await;
    client.send(arm_will(1, "echo", "", 5_000)).await;
    assert_eq!(client.error().await, (1, ErrorCode::Unimplemented));
    gateway.finish().await;
}
