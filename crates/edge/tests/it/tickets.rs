//! Sessions that are taken up again, and tickets that are worth nothing.

use std::sync::Arc;

use auth::{KeyMaterial, TicketKey, TicketKeys};
use testkit::{RawClient, Tokens, hello, hello_again, subscribe_since};
use wire::{
    client::{ErrorCode, Verdict, Welcome},
    gateway::{Connection, ListConnections, command::Command, command_reply::Reply},
};

use crate::gateway::{Gateway, Site};

/// Keys of the secret that the gateways of a cluster share.
pub(crate) fn shared_keys() -> Arc<TicketKeys> {
    let secret = KeyMaterial::new("A".repeat(43));
    let key = TicketKey::new(&secret).expect("long enough");
    Arc::new(TicketKeys::new(vec![key]))
}

/// Two gateways of one cluster.
async fn pair() -> (Gateway, Gateway) {
    let tokens = Arc::new(Tokens::new());
    let first = Gateway::start_with(tokens.clone(), |config| config.tickets = shared_keys());
    let second = Gateway::start_with(tokens, |config| config.tickets = shared_keys());
    (first.await, second.await)
}

async fn greet(gateway: &Gateway, user: &str, ticket: &[u8]) -> (RawClient, Welcome) {
    let mut client = gateway.dial().connect().await;
    let token = gateway.tokens.token(user);
    client.send(hello_again(&token, ticket.to_vec())).await;
    let welcome = client.welcome().await;
    (client, welcome)
}

pub(crate) async fn connections(gateway: &Gateway) -> Vec<Connection> {
    let list = Command::ListConnections(ListConnections::default());
    match gateway.command(list).await {
        Reply::ConnectionPage(page) => page.connections,
        other => panic!("expected a page, got {other:?}"),
    }
}

#[tokio::test]
async fn a_ticket_keeps_the_session_and_raises_its_epoch_on_another_gateway() {
    let (first, second) = pair().await;
    let (_client, welcome) = greet(&first, "alice", b"").await;
    assert_eq!(welcome.capabilities, ["migrate"]);
    assert_eq!(connections(&first).await[0].session_epoch, 1);

    let (_again, moved) = greet(&second, "alice", &welcome.session_ticket).await;
    assert_eq!(moved.session_id, welcome.session_id);
    let there = connections(&second).await;
    assert_eq!(there[0].session_id, welcome.session_id);
    assert_eq!(there[0].session_epoch, 2);

    let (_back, returned) = greet(&first, "alice", &moved.session_ticket).await;
    assert_eq!(returned.session_id, welcome.session_id);
    let epochs = connections(&first).await;
    let epochs: Vec<_> = epochs.iter().map(|it| it.session_epoch).collect();
    assert_eq!(epochs, [1, 3]);
    first.drain().await;
    second.drain().await;
}

#[tokio::test]
async fn subscriptions_go_on_in_the_message_of_hello() {
    let site = Site::new().await;
    let [first, second] =
        ["gw-a", "gw-b"].map(|name| site.register(name, |config| config.tickets = shared_keys()));
    let (mut client, welcome) = greet(&first, "alice", b"").await;
    let held = client.subscribe(1, "log.a").await.position;
    let mut again = second.dial().connect().await;
    let token = second.tokens.token("alice");
    let held = held.expect("a log");
    again
        .send_events(&[
            hello_again(&token, welcome.session_ticket),
            subscribe_since(1, "log.a", held.clone()),
            subscribe_since(2, "vip.a", held),
        ])
        .await;
    assert_eq!(again.welcome().await.session_id, welcome.session_id);
    // By the token of now: what it does not grant any more is refused.
    assert_eq!(again.error().await, (2, ErrorCode::PermissionDenied));
    let subscribed = again.subscribed().await;
    assert_eq!(
        (subscribed.id, subscribed.verdict()),
        (1, Verdict::Recovered)
    );
    first.drain().await;
    second.drain().await;
}

#[tokio::test]
async fn a_ticket_of_a_json_client_is_as_good() {
    let (first, second) = pair().await;
    let (_client, welcome) = greet(&first, "alice", b"").await;
    let mut json = second.dial().json().connect().await;
    let token = second.tokens.token("alice");
    json.send(hello_again(&token, welcome.session_ticket)).await;
    assert_eq!(json.welcome().await.session_id, welcome.session_id);
    first.drain().await;
    second.drain().await;
}

#[tokio::test]
async fn forged_truncated_and_foreign_tickets_are_ignored() {
    let (first, second) = pair().await;
    let (_client, welcome) = greet(&first, "alice", b"").await;
    let ticket = welcome.session_ticket;
    let mut forged = ticket.to_vec();
    forged[20] ^= 1;
    let cases: [(&str, &[u8]); 4] = [
        ("alice", &forged),
        ("alice", &ticket[..ticket.len() - 1]),
        ("alice", &[0; 5000]),
        ("mallory", &ticket),
    ];
    for (user, ticket) in cases {
        let (client, new) = greet(&second, user, ticket).await;
        assert_ne!(new.session_id, welcome.session_id);
        assert_eq!(connections(&second).await[0].session_epoch, 1);
        client.leave().await;
    }
    first.drain().await;
    second.finish().await;
}

#[tokio::test]
async fn without_a_common_secret_every_gateway_makes_its_own_sessions() {
    let tokens = Arc::new(Tokens::new());
    let first = Gateway::start_with(tokens.clone(), |_| {}).await;
    let second = Gateway::start_with(tokens, |_| {}).await;
    let (_client, welcome) = greet(&first, "alice", b"").await;
    let (_stranger, new) = greet(&second, "alice", &welcome.session_ticket).await;
    assert_ne!(new.session_id, welcome.session_id);
    let (_same, again) = greet(&first, "alice", &welcome.session_ticket).await;
    assert_eq!(again.session_id, welcome.session_id);
    first.drain().await;
    second.drain().await;
}

#[tokio::test]
async fn a_hello_behind_a_token_in_the_request_tells_capabilities_and_keeps_the_new_session() {
    let gateway = Gateway::start(|_| {}).await;
    let (_client, welcome) = greet(&gateway, "alice", b"").await;
    let token = gateway.tokens.token("alice");
    let mut late = gateway.dial().query_token(&token).connect().await;
    let first = late.welcome().await;
    assert!(first.capabilities.is_empty());
    late.send(hello_again("", welcome.session_ticket)).await;
    let second = late.welcome().await;
    assert_eq!(second.capabilities, ["migrate"]);
    assert_eq!(second.session_id, first.session_id);
    assert_ne!(second.session_id, welcome.session_id);
    let mut plain = gateway.dial().connect().await;
    plain.send(hello(&token)).await;
    assert!(plain.welcome().await.capabilities.is_empty());
    gateway.drain().await;
}
