//! Clients without a token: let in where the gateway allows it, for what is open to
//! them and nothing else.

use edge::{Access, EdgeConfig};
use testkit::{RawClient, hello, publish, request, subscribe};
use wire::client::{ErrorCode, response::Outcome, server_event::Event};

use crate::gateway::Gateway;

fn open(config: &mut EdgeConfig) {
    config.anonymous = true;
    let room = config.policies.namespaces.get_mut("room");
    let room = room.expect("the tests' gateway has it");
    room.subscribe = Access::Anonymous;
}

async fn enter(gateway: &Gateway) -> (RawClient, String) {
    let mut client = gateway.dial().connect().await;
    client.send(hello("")).await;
    match client.next_event().await {
        Event::Welcome(welcome) => (client, welcome.user),
        other => panic!("unexpected {other:?}"),
    }
}

async fn assert_refused(client: &mut RawClient, id: u32) {
    match client.next_event().await {
        Event::Error(error) => {
            let failure = error.failure.expect("says why");
            assert_eq!(
                (error.id, failure.code()),
                (id, ErrorCode::PermissionDenied)
            );
        }
        other => panic!("unexpected {other:?}"),
    }
}

#[tokio::test]
async fn without_a_token_nobody_gets_in_by_default() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.dial().connect().await;
    client.send(hello("")).await;
    let close = client.expect_close().await;
    assert_eq!((close.code, close.cause()), (4003, "not_authenticated"));
    gateway.finish().await;
}

#[tokio::test]
async fn each_is_somebody_else_and_gets_what_is_open_to_all_alone() {
    let gateway = Gateway::start(open).await;
    gateway.serve("echo", |request| {
        let payload = request.payload.clone();
        request.responder.reply(Ok(payload));
    });
    let (mut client, user) = enter(&gateway).await;
    let (_other, another) = enter(&gateway).await;
    assert!(user.starts_with("anon-"), "{user}");
    assert_ne!(user, another);
    client.subscribe(1, "room.1").await;
    gateway.publish("room.1", "for all").await;
    assert!(matches!(client.next_event().await, Event::Publication(_)));
    client.send(publish(2, "room.1", "not mine to say")).await;
    assert_refused(&mut client, 2).await;
    // Open to every authenticated client, and they are none.
    client.send(subscribe(3, "log.1")).await;
    assert_refused(&mut client, 3).await;
    client.send(request(4, "echo", "hi")).await;
    let echoed = client.response().await.outcome;
    assert_eq!(echoed, Some(Outcome::Payload("hi".into())));
    client.send(request(5, "hold", "hi")).await;
    match client.response().await.outcome {
        Some(Outcome::Failure(failure)) => {
            assert_eq!(failure.code(), ErrorCode::PermissionDenied);
        }
        other => panic!("unexpected {other:?}"),
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_wrong_token_is_not_as_good_as_none() {
    let gateway = Gateway::start(open).await;
    for token in ["wrong", "a.b.c"] {
        let mut client = gateway.dial().connect().await;
        client.send(hello(token)).await;
        let close = client.expect_close().await;
        assert_eq!((close.code, close.cause()), (4002, "invalid_token"));
    }
    let mut client = gateway.client("alice").await;
    client.subscribe(1, "room.1").await;
    gateway.finish().await;
}
