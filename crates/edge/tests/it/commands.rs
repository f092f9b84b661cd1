//! Commands of the control plane, as they come over the bus.

use std::collections::BTreeSet;

use hub::OutboxLimits;
use prost::Message;
use testkit::{RawClient, ack};
use wire::gateway::{
    CommandReply, Connection, ConnectionCount, ConnectionPage, CountConnections, Deliver,
    Disconnect, Level, ListConnections, Receipt, Target, command::Command, command_reply::Reply,
    target,
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

async fn welcomed(gateway: &Gateway, user: &str) -> (RawClient, String, String) {
    let mut client = gateway.dial().connect().await;
    let welcome = client.hello(&gateway.tokens.token(user)).await;
    (client, welcome.connection_id, welcome.session_id)
}

async fn deliver(gateway: &Gateway, target: Option<Target>, await_written: bool) -> Vec<Receipt> {
    let deliver = Deliver {
        target,
        payload: "direct".into(),
        await_level: if await_written {
            Level::Written.into()
        } else {
            Level::Enqueued.into()
        },
    };
    match gateway.command(Command::Deliver(deliver)).await {
        Reply::Delivered(delivered) => delivered.receipts,
        other => panic!("unexpected {other:?}"),
    }
}

async fn disconnect(gateway: &Gateway, target: Option<Target>, may_reconnect: bool) -> u64 {
    let disconnect = Disconnect {
        close_code: 0,
        target,
        reason: "tidying up".into(),
        may_reconnect,
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
async fn direct_messages_reach_every_connection_of_a_user_on_all_shards() {
    let gateway = Gateway::start(|config| config.shards = 3).await;
    let (mut clients, mut ids) = (Vec::new(), BTreeSet::new());
    for _ in 0..6 {
        let (client, id, _) = welcomed(&gateway, "alice").await;
        clients.push(client);
        ids.insert(id);
    }
    let mut bob = gateway.client("bob").await;
    for (await_written, level) in [(false, Level::Enqueued), (true, Level::Written)] {
        let receipts = deliver(&gateway, to_user("alice"), await_written).await;
        assert!(
            receipts.iter().all(|it| it.level() == level),
            "{receipts:?}"
        );
        let told: BTreeSet<_> = receipts.into_iter().map(|it| it.connection_id).collect();
        assert_eq!(told, ids);
        for client in &mut clients {
            assert_eq!(client.direct().await.payload, "direct");
        }
    }
    // Nothing of it came to somebody else.
    bob.send_events(&[ack(1), testkit::ping(1)]).await;
    assert_eq!(bob.pong().await.nonce, 1);
    gateway.finish().await;
}

#[tokio::test]
async fn connections_and_sessions_can_be_meant_alone() {
    let gateway = Gateway::start(|config| config.shards = 3).await;
    let (mut one, one_id, one_session) = welcomed(&gateway, "alice").await;
    let (mut two, two_id, _) = welcomed(&gateway, "alice").await;
    let connection = |id: &str| to(target::Target::ConnectionId(id.to_owned()));
    for (target, id) in [
        (connection(&one_id), &one_id),
        (to(target::Target::SessionId(one_session)), &one_id),
    ] {
        let receipts = deliver(&gateway, target, true).await;
        assert_eq!(receipts.len(), 1);
        assert_eq!(&receipts[0].connection_id, id);
        one.direct().await;
    }
    assert_eq!(deliver(&gateway, connection(&two_id), true).await.len(), 1);
    two.direct().await;
    assert_eq!(
        deliver(&gateway, to(target::Target::Everybody(true)), true)
            .await
            .len(),
        2
    );
    one.direct().await;
    two.direct().await;
    gateway.finish().await;
}

#[tokio::test]
async fn who_is_not_here_gets_no_receipt() {
    let gateway = Gateway::start(|config| config.shards = 2).await;
    let _greeting = gateway.dial().connect().await;
    let (client, gone, _) = welcomed(&gateway, "gone").await;
    client.leave().await;
    let nobody = [
        to_user("nobody"),
        to_user(""),
        to(target::Target::ConnectionId(gone)),
        to(target::Target::ConnectionId("elsewhere.0.0.1".into())),
        to(target::Target::ConnectionId("gw-test.3f.0.1".into())),
        to(target::Target::SessionId("no such session".into())),
        None,
    ];
    for target in nobody {
        for await_written in [false, true] {
            assert_eq!(deliver(&gateway, target.clone(), await_written).await, []);
        }
        assert_eq!(disconnect(&gateway, target, false).await, 0);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_connection_that_ends_before_it_read_is_reported_gone() {
    let gateway = Gateway::start(|config| {
        config.send_buffer_bytes = 4_096;
        config.outbox = OutboxLimits {
            bytes: 8 << 20,
            items: 10_000,
        };
    })
    .await;
    let mut client = gateway.dial().receive_buffer(4_096).connect().await;
    client.hello(&gateway.tokens.token("slow")).await;
    client.subscribe(1, "room.1").await;
    for _ in 0..100 {
        gateway.publish("room.1", vec![0; 50_000]).await;
    }
    let leaves = async {
        // Not before the command has come to the shard.
        testkit::eventually("the message is queued", async || {
            let (connections, _) = list(&gateway, ListConnections::default()).await;
            connections[0].outbox_bytes > 0
        })
        .await;
        drop(client);
    };
    let (receipts, ()) = tokio::join!(deliver(&gateway, to_user("slow"), true), leaves);
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].level(), Level::Gone);
    gateway.finish().await;
}

#[tokio::test]
async fn disconnected_clients_are_told_why_and_whether_to_come_back() {
    let gateway = Gateway::start(|config| config.shards = 2).await;
    for (may_reconnect, code, cause) in [
        (false, 4006, "disconnected_by_server"),
        (true, 4104, "reconnect_requested"),
    ] {
        let (mut one, mut two) = (gateway.client("alice").await, gateway.client("alice").await);
        let mut bob = gateway.client("bob").await;
        assert_eq!(
            disconnect(&gateway, to_user("alice"), may_reconnect).await,
            2
        );
        for client in [&mut one, &mut two] {
            let close = client.expect_close().await;
            assert_eq!((close.code, close.cause()), (code, cause));
            assert_eq!(close.reason, "tidying up");
            let closing = close.closing.expect("told");
            assert_eq!(closing.message, "tidying up");
            assert_eq!(closing.retry_after_ms > 0, may_reconnect);
        }
        bob.send(testkit::ping(1)).await;
        assert_eq!(bob.pong().await.nonce, 1);
        bob.leave().await;
    }
    gateway.finish().await;
}

#[tokio::test]
async fn pages_hold_every_connection_once_in_order() {
    let gateway = Gateway::start(|config| config.shards = 3).await;
    let mut clients = Vec::new();
    let mut expected = BTreeSet::new();
    for number in 0..20 {
        let (client, id, _) = welcomed(&gateway, &format!("user-{}", number % 7)).await;
        clients.push(client);
        expected.insert(id.parse::<wire::ConnectionId>().expect("an id"));
    }
    for page_size in [1, 3, 7, 20, 50] {
        let mut seen: Vec<wire::ConnectionId> = Vec::new();
        let mut after = String::new();
        loop {
            let page = ListConnections {
                page_size,
                after_connection_id: after,
                ..ListConnections::default()
            };
            let (connections, more) = list(&gateway, page).await;
            assert!(connections.len() <= page_size as usize);
            let ids = connections
                .iter()
                .map(|it| it.connection_id.parse().expect("an id"));
            seen.extend(ids);
            if !more {
                break;
            }
            after = connections
                .last()
                .expect("more than none")
                .connection_id
                .clone();
        }
        assert_eq!(seen, expected.iter().cloned().collect::<Vec<_>>());
    }
    assert_eq!(count(&gateway, None).await, (20, 7));
    assert_eq!(count(&gateway, to_user("user-0")).await, (3, 1));
    assert_eq!(count(&gateway, to_user("nobody")).await, (0, 0));
    gateway.finish().await;
}

#[tokio::test]
async fn a_listed_connection_is_described() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.json_client("alice").await;
    client.subscribe(1, "room.1").await;
    let _greeting = gateway.dial().connect().await;
    let all = ListConnections {
        with_channels: true,
        ..ListConnections::default()
    };
    let (connections, more) = list(&gateway, all).await;
    let [connection] = &connections[..] else {
        panic!("one is established: {connections:?}");
    };
    assert!(!more);
    assert_eq!(connection.user, "alice");
    assert_eq!(connection.subprotocol, "tidegate.v1.json");
    assert_eq!(
        (
            connection.client_name.as_str(),
            connection.client_version.as_str()
        ),
        ("testkit", "1")
    );
    assert_eq!(
        (connection.subscriptions, &connection.channels[..]),
        (1, &["room.1".to_owned()][..])
    );
    assert!(connection.remote_address.starts_with("127.0.0.1:"));
    assert!(connection.connected_at_ms > 0);
    gateway.finish().await;
}

#[tokio::test]
async fn what_is_no_command_is_answered_with_a_failure() {
    let gateway = Gateway::start(|_| {}).await;
    for garbage in [&b"\xff\xff"[..], b""] {
        let reply = gateway.command_bytes(garbage).await;
        let reply = CommandReply::decode(reply).expect("a reply").reply;
        assert!(matches!(reply, Some(Reply::Failure(_))), "{reply:?}");
    }
    let malformed = to(target::Target::ConnectionId("not an id".into()));
    let deliver = Command::Deliver(Deliver {
        target: malformed,
        ..Deliver::default()
    });
    assert!(matches!(gateway.command(deliver).await, Reply::Failure(_)));
    gateway.finish().await;
}
