//! Commands of the control plane, as they come over the bus.

mod closing;
mod explaining;
mod listing;
mod sending;
mod subscribing;

use std::time::Duration;

use auth::{Labels, NewToken};
use prost::Message;
use testkit::RawClient;
use wire::{
    UserId,
    gateway::{
        CommandReply, Connection, ConnectionCount, ConnectionPage, CountConnections, Deliver,
        Delivered, Disconnect, GatewayStatus, Label, Level, ListConnections, Receipt, Status,
        Target, command::Command, command_reply::Reply, target,
    },
};

use crate::gateway::Gateway;

fn to(target: target::Target) -> Option<Target> {
    Some(Target {
        target: Some(target),
    })
}

fn to_user(user: &str) -> Option<Target> {
    to(target::Target::User(user.to_owned()))
}

fn to_connection(id: &str) -> Option<Target> {
    to(target::Target::ConnectionId(id.to_owned()))
}

fn to_label(name: &str, value: &str) -> Option<Target> {
    let (name, value) = (name.to_owned(), value.to_owned());
    to(target::Target::Label(Label { name, value }))
}

/// A welcomed client whose token has labels.
async fn labelled(gateway: &Gateway, user: &str, labels: &[(&str, &str)]) -> RawClient {
    let user = UserId::new(user).expect("valid");
    let token = NewToken {
        labels: Labels::new(labels.iter().copied()).expect("valid"),
        ..NewToken::new(user, Duration::from_secs(3600))
    };
    let token = gateway.tokens.issue(&token);
    RawClient::greeted(gateway.address, &token).await
}

async fn welcomed(gateway: &Gateway, user: &str) -> (RawClient, String, String) {
    let mut client = gateway.dial().connect().await;
    let welcome = client.hello(&gateway.tokens.token(user)).await;
    (client, welcome.connection_id, welcome.session_id)
}

async fn deliver(gateway: &Gateway, target: Option<Target>, await_level: Level) -> Vec<Receipt> {
    delivered(gateway, target, await_level).await.receipts
}

async fn delivered(gateway: &Gateway, target: Option<Target>, await_level: Level) -> Delivered {
    let deliver = Deliver {
        target,
        payload: "direct".into(),
        await_level: await_level.into(),
        ..Deliver::default()
    };
    match gateway.command(Command::Deliver(deliver)).await {
        Reply::Delivered(delivered) => delivered,
        other => panic!("unexpected {other:?}"),
    }
}

async fn disconnect(gateway: &Gateway, target: Option<Target>) -> u64 {
    let disconnect = Disconnect {
        target,
        ..Disconnect::default()
    };
    match gateway.command(Command::Disconnect(disconnect)).await {
        Reply::Disconnected(disconnected) => disconnected.count,
        other => panic!("unexpected {other:?}"),
    }
}

async fn count(gateway: &Gateway, target: Option<Target>) -> (u64, u64) {
    let count = CountConnections { target };
    match gateway.command(Command::CountConnections(count)).await {
        Reply::ConnectionCount(ConnectionCount { connections, users }) => (connections, users),
        other => panic!("unexpected {other:?}"),
    }
}

async fn list(gateway: &Gateway, list: ListConnections) -> (Vec<Connection>, bool) {
    match gateway.command(Command::ListConnections(list)).await {
        Reply::ConnectionPage(ConnectionPage { connections, more }) => (connections, more),
        other => panic!("unexpected {other:?}"),
    }
}

#[tokio::test]
async fn what_is_no_command_is_answered_with_a_failure() {
    let gateway = Gateway::start(|_| {}).await;
    for garbage in [&b"\xff\xff"[..], b""] {
        let reply = gateway.command_bytes(garbage).await;
        let reply = CommandReply::decode(reply).expect("a reply").reply;
        assert!(matches!(reply, Some(Reply::Failure(_))), "{reply:?}");
    }
    let deliver = Command::Deliver(Deliver {
        target: to_connection("not an id"),
        ..Deliver::default()
    });
    assert!(matches!(gateway.command(deliver).await, Reply::Failure(_)));
    gateway.finish().await;
}

#[tokio::test]
async fn a_gateway_says_how_it_is() {
    let gateway = Gateway::start(|config| config.shards = 2).await;
    let mut alice = gateway.client("alice").await;
    let _bob = gateway.client("bob").await;
    alice.subscribe(1, "room.1").await;
    alice.subscribe(2, "room.2").await;
    let status = match gateway.command(Command::Status(Status {})).await {
        Reply::GatewayStatus(status) => status,
        other => panic!("unexpected {other:?}"),
    };
    let expected = GatewayStatus {
        connections: 2,
        draining: false,
        version: env!("CARGO_PKG_VERSION").into(),
        started_at_ms: status.started_at_ms,
        channels: 2,
    };
    assert_eq!(status, expected);
    assert!(status.started_at_ms > 0);
    gateway.finish().await;
}
