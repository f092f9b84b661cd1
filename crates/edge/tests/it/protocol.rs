//! The events of the client protocol: what is refused, how, and what it costs.

use auth::{NewToken, Patterns};
use bytes::Bytes;
use testkit::{RawClient, ack, hello, ping, publish, subscribe, unsubscribe};
use wire::{
    UserId,
    client::{ClientEvent, ErrorCode, server_event::Event},
    websocket::OpCode,
};

use crate::gateway::Gateway;

async fn assert_closed(client: &mut RawClient, code: u16, cause: &str) {
    let close = client.expect_close().await;
    assert_eq!((close.code, close.cause()), (code, cause));
}

async fn assert_still_served(client: &mut RawClient) {
    client.send(ping(77)).await;
    assert_eq!(client.pong().await.nonce, 77);
}

#[tokio::test]
async fn welcome_tells_who_where_and_the_limits() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.dial().connect().await;
    let welcome = client.hello(&gateway.tokens.token("alice")).await;
    assert_eq!(
        (welcome.user.as_str(), welcome.gateway.as_str()),
        ("alice", "gw-test")
    );
    assert!(
        welcome.connection_id.starts_with("gw-test.0."),
        "{welcome:?}"
    );
    assert_eq!(welcome.session_id.len(), 32);
    assert!(welcome.token_expires_at_ms > welcome.server_time_ms);
    let limits = welcome.limits.expect("always told");
    assert_eq!(
        (limits.max_message_bytes, limits.max_subscriptions),
        (65_536, 8)
    );
    assert_eq!((limits.max_in_flight, limits.max_channel_bytes), (4, 64));
    assert_eq!(
        (limits.heartbeat_ms, limits.max_deadline_ms),
        (40_000, 20_000)
    );
    gateway.finish().await;
}

#[tokio::test]
async fn anything_before_hello_closes_with_not_authenticated() {
    let gateway = Gateway::start(|_| {}).await;
    for event in [subscribe(1, "room.1"), ping(1), hello("")] {
        let mut client = gateway.dial().connect().await;
        client.send(event).await;
        assert_closed(&mut client, 4003, "not_authenticated").await;
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_second_hello_closes_with_protocol_violation() {
    let gateway = Gateway::start(|_| {}).await;
    let token = gateway.tokens.token("alice");
    let mut client = gateway.client("alice").await;
    client.send(hello(&token)).await;
    assert_closed(&mut client, 4005, "protocol_violation").await;
    let mut hasty = gateway.dial().connect().await;
    hasty.send_events(&[hello(&token), hello(&token)]).await;
    hasty.welcome().await;
    assert_closed(&mut hasty, 4005, "protocol_violation").await;
    gateway.finish().await;
}

#[tokio::test]
async fn what_comes_with_hello_is_handled_after_welcome() {
    let gateway = Gateway::start(|_| {}).await;
    let token = gateway.tokens.token("alice");
    let mut client = gateway.dial().connect().await;
    client
        .send_events(&[hello(&token), ping(1), subscribe(2, "room.1")])
        .await;
    // And right behind it, before the verdict can be known.
    client.send(ping(3)).await;
    client.welcome().await;
    assert_eq!(client.pong().await.nonce, 1);
    let mut rest = [client.next_event().await, client.next_event().await];
    rest.sort_by_key(|event| matches!(event, Event::Pong(_)));
    assert!(
        matches!(&rest[0], Event::Subscribed(it) if it.id == 2),
        "{rest:?}"
    );
    assert!(
        matches!(&rest[1], Event::Pong(it) if it.nonce == 3),
        "{rest:?}"
    );
    gateway.finish().await;
}

#[tokio::test]
async fn garbage_closes_with_malformed_message() {
    let gateway = Gateway::start(|_| {}).await;
    for garbage in [&b"\xff\xff\xff"[..], b"\x0a\x7f\x01", b"GET / HTTP/1.1"] {
        let mut client = gateway.client("mallory").await;
        client.send_frame(OpCode::Binary, garbage).await;
        assert_closed(&mut client, 4004, "malformed_message").await;
        let mut client = gateway.dial().connect().await;
        client.send_frame(OpCode::Binary, garbage).await;
        assert_closed(&mut client, 4004, "malformed_message").await;
    }
    gateway.finish().await;
}

#[tokio::test]
async fn unknown_fields_are_skipped_in_protobuf() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("alice").await;
    // Field 127, then Ping{nonce: 5, field 15: 1}.
    let message = [
        0xf8, 0x07, 0x01, 0x0a, 0x06, 0x4a, 0x04, 0x08, 0x05, 0x78, 0x01,
    ];
    client.send_frame(OpCode::Binary, &message).await;
    assert_eq!(client.pong().await.nonce, 5);
    gateway.finish().await;
}

#[tokio::test]
async fn unknown_fields_close_a_json_client() {
    let gateway = Gateway::start(|_| {}).await;
    for text in [
        r#"{"evnts":[]}"#,
        r#"{"events":[{"ping":{"nonse":1}}]}"#,
        r#"{"events":[{"png":{}}]}"#,
        r#"{"events":"#,
        "[]",
        "",
    ] {
        let mut client = gateway.json_client("mallory").await;
        client.send_frame(OpCode::Text, text.as_bytes()).await;
        assert_closed(&mut client, 4004, "malformed_message").await;
    }
    gateway.finish().await;
}

#[tokio::test]
async fn events_of_a_later_protocol_are_answered() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("alice").await;
    client.send(ClientEvent { event: None }).await;
    assert_eq!(client.error().await, (0, ErrorCode::Unimplemented));
    // Acks are not answered.
    client.send(ack(9)).await;
    assert_still_served(&mut client).await;
    gateway.finish().await;
}

#[tokio::test]
async fn names_that_are_no_channel_names_are_refused() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("mallory").await;
    let (endless, long) = ("x".repeat(10 << 10), format!("room.{}", "x".repeat(60)));
    let names = [
        "",
        "*",
        ">",
        "room.*",
        "room.>",
        ".room",
        "room.",
        "room..1",
        "room 1",
        "room.\u{e9}",
        "room.\0",
        "room.\r\nPUB x",
        &endless,
        &long,
    ];
    for name in names {
        let events = [
            subscribe(1, name),
            publish(2, name, "x"),
            unsubscribe(3, name),
        ];
        client.send_events(&events).await;
        for id in [1, 2, 3] {
            assert_eq!(
                client.error().await,
                (id, ErrorCode::InvalidChannel),
                "{name:?}"
            );
        }
        // Nobody asked to be told.
        client.send(publish(0, name, "x")).await;
    }
    assert_still_served(&mut client).await;
    gateway.finish().await;
}

#[tokio::test]
async fn policies_and_tokens_decide_who_may_do_what() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("alice").await;
    let denied = ErrorCode::PermissionDenied;
    for (event, code) in [
        (subscribe(1, "nowhere.1"), ErrorCode::UnknownNamespace),
        (publish(1, "nowhere.1", "x"), ErrorCode::UnknownNamespace),
        (publish(1, "news.1", "x"), denied),
        (subscribe(1, "vip.1"), denied),
        (publish(1, "vip.1", "x"), denied),
    ] {
        client.send(event).await;
        assert_eq!(client.error().await, (1, code));
    }
    client.subscribe(2, "news.1").await;

    let patterns = |text| Some(Patterns::parse(&[text]).expect("valid"));
    let mut claims = NewToken::new(
        UserId::new("bob").expect("valid"),
        std::time::Duration::from_secs(600),
    );
    claims.subscribe = patterns("vip.*");
    claims.publish = patterns("vip.1");
    let token = gateway.tokens.issue(&claims);
    let mut client = RawClient::greeted(gateway.address, &token).await;
    client.subscribe(1, "vip.2").await;
    for event in [
        publish(2, "vip.2", "x"),
        subscribe(2, "room.1"),
        publish(2, "news.1", "x"),
    ] {
        client.send(event).await;
        assert_eq!(client.error().await, (2, denied));
    }
    client.send(publish(3, "vip.1", "x")).await;
    assert_eq!(client.accepted().await.id, 3);
    gateway.finish().await;
}

#[tokio::test]
async fn ids_are_unique_among_operations_in_flight_and_never_zero() {
    let gateway = Gateway::start(|_| {}).await;
    // Answered when the client's Cancel ends it.
    gateway.serve("hold", std::mem::forget);
    let mut client = gateway.client("alice").await;
    client.send(subscribe(0, "room.1")).await;
    assert_eq!(client.error().await, (0, ErrorCode::ProtocolViolation));
    client.send(testkit::request(1, "hold", "")).await;
    client.send(subscribe(1, "room.1")).await;
    assert_eq!(client.error().await, (1, ErrorCode::DuplicateId));
    client.send(testkit::cancel(1)).await;
    let (id, failure) = client.failed_response().await;
    assert_eq!((id, failure.code()), (1, ErrorCode::Cancelled));
    client.subscribe(2, "room.1").await;
    gateway.finish().await;
}

#[tokio::test]
async fn subscriptions_are_limited_and_each_is_held_once() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("alice").await;
    for id in 1..=8 {
        client.subscribe(id, &format!("room.{id}")).await;
    }
    client.send(subscribe(9, "room.9")).await;
    assert_eq!(client.error().await, (9, ErrorCode::TooManySubscriptions));
    client.send(unsubscribe(9, "room.9")).await;
    assert_eq!(client.error().await, (9, ErrorCode::NotSubscribed));
    client.send(unsubscribe(9, "room.8")).await;
    assert_eq!(client.unsubscribed().await.id, 9);
    client.send(subscribe(9, "room.1")).await;
    assert_eq!(client.error().await, (9, ErrorCode::AlreadySubscribed));
    // The refusal costs nothing.
    client.subscribe(9, "room.8").await;
    gateway.finish().await;
}

#[tokio::test]
async fn batches_are_answered_in_order() {
    let gateway = Gateway::start(|_| {}).await;
    let events: Vec<_> = (1..=500).map(ping).collect();
    for mut client in [
        gateway.client("alice").await,
        gateway.json_client("bob").await,
    ] {
        client.send_events(&events).await;
        for nonce in 1..=500 {
            assert_eq!(client.pong().await.nonce, nonce);
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn empty_messages_are_fine() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("alice").await;
    client.send_frame(OpCode::Binary, &Bytes::new()).await;
    client.send_events(&[]).await;
    assert_still_served(&mut client).await;
    gateway.finish().await;
}
