//! What clients may not reach.

use serde_json::json;
use testkit::{RawClient, hello, publish, request, request_within, subscribe};
use wire::client::{ClientEvent, ErrorCode, client_event::Event};

use super::{cluster, dial, permitted};

async fn greeted(cluster: &testkit::Cluster, token: &str) -> RawClient {
    let mut client = dial(cluster, "gw1").await;
    client.send(hello(token)).await;
    client.welcome().await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_at_what_is_anothers() {
    let cluster = cluster(&["gw1"], "").await;
    let own = json!({
        "subscribe": ["user.$user.>", "room.*"], "publish": ["user.$user.>"], "routes": ["shop.*"],
    });
    let token = permitted(&cluster.tokens, "alice", own);
    let mut alice = greeted(&cluster, &token).await;
    alice.subscribe(1, "user.alice.orders").await;
    for (id, channel, code) in [
        (2, "user.bob.orders", ErrorCode::PermissionDenied),
        (3, "user.alice", ErrorCode::PermissionDenied),
        (4, "user.alice.>", ErrorCode::InvalidChannel),
        (5, "user.*.orders", ErrorCode::InvalidChannel),
        (6, "user.alice..orders", ErrorCode::InvalidChannel),
        (7, "user.$user.orders", ErrorCode::InvalidChannel),
        (8, "$SYS.ACCOUNT", ErrorCode::InvalidChannel),
        (9, "tg.ch.room.a", ErrorCode::UnknownNamespace),
        (10, "news.today", ErrorCode::PermissionDenied),
    ] {
        alice.send(subscribe(id, channel)).await;
        assert_eq!(alice.error().await, (id, code), "{channel}");
    }
    for (id, channel, code) in [
        (11, "user.bob.orders", ErrorCode::PermissionDenied),
        (12, "room.a", ErrorCode::PermissionDenied),
        (13, "news.today", ErrorCode::PermissionDenied),
        (14, "user.alice.>", ErrorCode::InvalidChannel),
    ] {
        alice.send(publish(id, channel, "mine")).await;
        assert_eq!(alice.error().await, (id, code), "{channel}");
    }
    for (id, route, code) in [
        (15, "admin.reset", ErrorCode::PermissionDenied),
        (16, "shop.steal", ErrorCode::UnknownRoute),
        (17, "auth.verify", ErrorCode::UnknownRoute),
        (18, "tg.gw.gw1", ErrorCode::UnknownRoute),
        (19, "shop.buy\r\nPUB x 0", ErrorCode::UnknownRoute),
        (20, "shop.*", ErrorCode::UnknownRoute),
    ] {
        alice.send(request(id, route, "please")).await;
        let (answered, failure) = alice.failed_response().await;
        assert_eq!((answered, failure.code()), (id, code), "{route}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whose_name_is_a_pattern_gets_nobodys_channels() {
    let cluster = cluster(&["gw1"], "").await;
    for user in ["*", ">", "bob.orders", "a.b", "\u{e9}ve", "bob "] {
        let own = json!({ "subscribe": ["user.$user.>"] });
        let token = permitted(&cluster.tokens, user, own);
        let mut client = greeted(&cluster, &token).await;
        client.send(subscribe(1, "user.bob.orders")).await;
        let refused = (1, ErrorCode::PermissionDenied);
        assert_eq!(client.error().await, refused, "{user:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_a_client_becomes_a_header_or_a_line_on_the_bus() {
    let cluster = cluster(&["gw1"], "").await;
    let mut client = greeted(&cluster, &cluster.tokens.token("alice")).await;
    let evil = "x\r\nTg-User: admin\r\n\r\nPUB tg.ch.news.today 4\r\nfake";
    let mut bought = request_within(1, "shop.buy", "please", 1_000);
    if let ClientEvent {
        event: Some(Event::Request(request)),
    } = &mut bought
    {
        request.idempotency_key = evil.to_owned();
    }
    client.send(bought).await;
    let (_, failure) = client.failed_response().await;
    assert_eq!(failure.code(), ErrorCode::MalformedMessage);
    for (id, in_key) in [(2, true), (3, false)] {
        let mut published = publish(id, "room.a", "x");
        if let ClientEvent {
            event: Some(Event::Publish(publish)),
        } = &mut published
        {
            let field = match in_key {
                true => &mut publish.key,
                false => &mut publish.publication_id,
            };
            evil.clone_into(field);
        }
        client.send(published).await;
        assert_eq!(client.error().await, (id, ErrorCode::MalformedMessage));
    }
}
