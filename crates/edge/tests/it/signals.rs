//! Clients that send each other signals.

use testkit::{RawClient, signal_connection, signal_session, signal_user};
use wire::client::ErrorCode;

use crate::{
    gateway::Gateway,
    presence::{Watcher, finish, pair, quick},
};

/// A subscribed client, and its session and connection.
async fn member(gateway: &Gateway, user: &str) -> (RawClient, String, String) {
    let mut client = gateway.dial().connect().await;
    let welcome = client.hello(&gateway.tokens.token(user)).await;
    client.subscribe(1, "room.1").await;
    (client, welcome.session_id, welcome.connection_id)
}

#[tokio::test]
async fn a_signal_reaches_a_user_a_session_or_a_connection_wherever_it_is() {
    let gateways = pair(|_| {}).await;
    let [one, other] = &gateways;
    let (mut bob, session, connection) = member(other, "bob").await;
    let (mut second, _, _) = member(one, "bob").await;
    let mut ann = Watcher::new(one, "ann", "room.1").await;
    while ann.last.sessions != 3 {
        ann.last = ann.client.presence_change().await;
    }
    let mut ann = ann.client;
    ann.send(signal_user(2, "room.1", "bob", "offer")).await;
    let accepted = ann.accepted().await;
    assert_eq!((accepted.id, accepted.reached), (2, 2));
    for client in [&mut bob, &mut second] {
        let heard = client.signalled().await;
        assert_eq!(heard.payload, "offer");
        let from = heard.from.expect("it says who sent it");
        assert_eq!(from.user, "ann");
        // The way back.
        let answer = signal_session(3, "room.1", &from.session_id, "answer");
        client.send(answer).await;
        assert_eq!(client.accepted().await.reached, 1);
        assert_eq!(ann.signalled().await.payload, "answer");
    }
    for signal in [
        signal_session(4, "room.1", &session, "one"),
        signal_connection(4, "room.1", &connection, "one"),
    ] {
        ann.send(signal).await;
        assert_eq!(ann.accepted().await.reached, 1);
        assert_eq!(bob.signalled().await.payload, "one");
    }
    finish(gateways).await;
}

#[tokio::test]
async fn who_is_not_there_is_not_reached() {
    let gateways = pair(|_| {}).await;
    let [one, other] = &gateways;
    let mut ann = Watcher::new(one, "ann", "room.1").await.client;
    // Connected, but not in the channel.
    let mut bob = other.dial().connect().await;
    let welcome = bob.hello(&other.tokens.token("bob")).await;
    bob.subscribe(1, "room.2").await;
    let nobody = format!("{:032x}", 77);
    for signal in [
        signal_user(2, "room.1", "bob", ""),
        signal_session(2, "room.1", &welcome.session_id, ""),
        signal_session(2, "room.1", &nobody, ""),
        signal_connection(2, "room.1", &welcome.connection_id, ""),
        signal_connection(2, "room.1", "gone.0.0.1", ""),
        // Nobody signals to himself.
        signal_user(2, "room.1", "ann", ""),
    ] {
        ann.send(signal).await;
        assert_eq!(ann.error().await, (2, ErrorCode::NobodyThere));
    }
    ann.send(signal_user(3, "room.2", "bob", "")).await;
    assert_eq!(ann.error().await, (3, ErrorCode::NotSubscribed));
    finish(gateways).await;
}

#[tokio::test]
async fn signals_are_for_namespaces_that_permit_them() {
    let gateway = Gateway::start(|config| {
        quick(config);
        let room = config.policies.namespaces.get_mut("room");
        room.expect("there is such a namespace").signals = false;
    })
    .await;
    let mut ann = Watcher::new(&gateway, "ann", "room.1").await.client;
    ann.send(signal_user(2, "room.1", "ann", "")).await;
    assert_eq!(ann.error().await, (2, ErrorCode::NoSignals));
    ann.send(signal_user(3, "strict.1", "ann", "")).await;
    assert_eq!(ann.error().await, (3, ErrorCode::NoPresence));
    gateway.drain().await;
}
