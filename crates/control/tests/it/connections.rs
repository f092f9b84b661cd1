//! GetConnection, CountConnections, Disconnect, Subscribe and Unsubscribe.

use bus::BusError;
use control::client::ConnectionServiceClient;
use tonic::{Code, transport::Channel};
use wire::{
    control::{
        CountConnectionsRequest, DisconnectRequest, GetConnectionRequest, Label, SubscribeRequest,
        UnsubscribeRequest, disconnect_request::Target, subscribe_request, unsubscribe_request,
    },
    gateway::command::Command,
};

use crate::{
    crowd::holding,
    plane::{Asked, Plane, timed},
};

type Client = ConnectionServiceClient<Channel>;

/// A plane with twenty connections at `a` and five at `b`.
async fn start() -> (Plane, Client, [Asked; 2]) {
    let plane = Plane::start().await;
    let a = plane.serve_gateway("a", holding("a", 20));
    let b = plane.serve_gateway("b", holding("b", 5));
    let client = ConnectionServiceClient::new(plane.connect().await);
    (plane, client, [a, b])
}

fn count_of(user: &str) -> CountConnectionsRequest {
    CountConnectionsRequest {
        user: user.into(),
        label: None,
    }
}

fn disconnect(target: Target) -> DisconnectRequest {
    DisconnectRequest {
        target: Some(target),
        ..DisconnectRequest::default()
    }
}

#[tokio::test]
async fn a_connection_can_be_read_while_it_lives() {
    let (plane, mut client, [others, _]) = start().await;
    let get = |id: &str| GetConnectionRequest {
        connection_id: id.into(),
    };
    let found = client.get_connection(get("b.0.0.1")).await.expect("there");
    let found = found.into_inner().connection.expect("in the answer");
    assert_eq!((&*found.user, &*found.gateway), ("alice", "b"));
    assert_eq!((found.labels.len(), found.session_epoch), (1, 1));
    assert_eq!(found.channels, ["room.1"]);
    let connected_at = found.connected_at.expect("always known");
    assert_eq!((connected_at.seconds, connected_at.nanos), (1, 500_000_000));
    for (id, code) in [
        ("b.0.3.2", Code::NotFound),
        ("ended.0.3.1", Code::NotFound),
        ("b", Code::InvalidArgument),
    ] {
        let status = client.get_connection(get(id)).await.expect_err(id);
        assert_eq!(status.code(), code, "{id}");
    }
    assert!(others.lock().is_empty());
    plane.stop().await;
}

#[tokio::test]
async fn counts_add_up() {
    let (plane, mut client, _) = start().await;
    plane.directory.knows(&["a", "b", "ended"]);
    for (user, connections, users) in [("", 25, 4), ("alice", 13, 1), ("nobody", 0, 0)] {
        let count = client.count_connections(count_of(user)).await;
        let count = count.expect("a count").into_inner();
        let counted = (count.connections, count.users);
        assert_eq!(counted, (connections, users), "{user}");
    }
    let mut golden = count_of("");
    golden.label = Some(Label {
        name: "tier".into(),
        value: "gold".into(),
    });
    let count = client.count_connections(golden.clone()).await;
    assert_eq!(count.expect("a count").into_inner().connections, 9);
    golden.user = "alice".into();
    let status = client.count_connections(golden).await;
    let status = status.expect_err("one or the other");
    assert_eq!(status.code(), Code::InvalidArgument);
    plane.stop().await;
}

#[tokio::test]
async fn a_part_never_passes_for_the_whole() {
    let plane = Plane::start().await;
    plane.serve_gateway("a", holding("a", 3));
    plane.serve_gateway("b", |_| None);
    let mut client = ConnectionServiceClient::new(plane.connect().await);
    let count = client.count_connections(timed(count_of(""))).await;
    let status = count.expect_err("b is silent");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    plane.directory.fails(BusError::Unavailable);
    let count = client.count_connections(count_of("alice")).await;
    let status = count.expect_err("nobody knows where alice is");
    assert_eq!(status.code(), Code::Unavailable);
    plane.stop().await;
}

#[tokio::test]
async fn disconnect_reaches_all_that_are_meant() {
    let (plane, mut client, _) = start().await;
    let label = Label {
        name: "tier".into(),
        value: "gold".into(),
    };
    for (target, expected) in [
        (Target::User("bob".into()), 12),
        (Target::ConnectionId("a.0.0.1".into()), 1),
        (Target::ConnectionId("ended.0.0.1".into()), 0),
        (Target::SessionId("ab".repeat(16)), 0),
        (Target::Label(label), 9),
    ] {
        let closed = client.disconnect(disconnect(target)).await.expect("done");
        assert_eq!(closed.into_inner().count, expected);
    }
    plane.stop().await;
}

#[tokio::test]
async fn a_close_code_must_say_what_the_client_may_do() {
    let (plane, mut client, [_, asked]) = start().await;
    let with_code = |close_code, may_reconnect| DisconnectRequest {
        close_code,
        may_reconnect,
        ..disconnect(Target::ConnectionId("b.0.0.1".into()))
    };
    for (code, may_reconnect) in [
        (0, false),
        (0, true),
        (4050, false),
        (4099, false),
        (4150, true),
        (4199, true),
    ] {
        let closed = client.disconnect(with_code(code, may_reconnect)).await;
        closed.expect("a code for backends");
        let Some(Command::Disconnect(command)) = asked.lock().pop() else {
            panic!("a Disconnect was expected")
        };
        let told = (command.close_code, command.may_reconnect);
        assert_eq!(told, (code, may_reconnect));
    }
    let mut wordy = with_code(0, false);
    wordy.reason = "x".repeat(101);
    for refused in [
        wordy,
        with_code(4049, false),
        with_code(4100, false),
        with_code(4150, false),
        with_code(4050, true),
        with_code(4149, true),
        with_code(4200, true),
        with_code(1000, false),
        DisconnectRequest::default(),
    ] {
        let status = client.disconnect(refused.clone()).await;
        let status = status.expect_err("refused");
        assert_eq!(status.code(), Code::InvalidArgument, "{refused:?}");
    }
    assert!(asked.lock().is_empty());
    plane.stop().await;
}

#[tokio::test]
async fn subscriptions_are_changed_where_the_user_is() {
    let (plane, mut client, [others, asked]) = start().await;
    plane.directory.holders("alice", &["b"]);
    let subscribe = SubscribeRequest {
        target: Some(subscribe_request::Target::User("alice".into())),
        channel: "room.7".into(),
    };
    let done = client.subscribe(subscribe).await.expect("begun");
    let done = done.into_inner();
    assert_eq!((done.count, done.refused), (3, 1));
    let unsubscribe = UnsubscribeRequest {
        target: Some(unsubscribe_request::Target::ConnectionId("b.0.4.1".into())),
        channel: "room.7".into(),
    };
    let done = client.unsubscribe(unsubscribe).await.expect("ended");
    assert_eq!(done.into_inner().count, 1);
    let asked = std::mem::take(&mut *asked.lock());
    let [Command::Subscribe(first), Command::Unsubscribe(second)] = &asked[..] else {
        panic!("a Subscribe and an Unsubscribe were expected, not {asked:?}")
    };
    assert_eq!((&*first.channel, &*second.channel), ("room.7", "room.7"));
    assert!(others.lock().is_empty());
    plane.stop().await;
}

#[tokio::test]
async fn malformed_subscriptions_are_refused() {
    let (plane, mut client, asked) = start().await;
    let alice = || subscribe_request::Target::User("alice".into());
    for (target, channel, code) in [
        (None, "room.1", Code::InvalidArgument),
        (Some(alice()), "room.*", Code::InvalidArgument),
        (Some(alice()), "", Code::InvalidArgument),
        (Some(alice()), "lobby.1", Code::NotFound),
    ] {
        let channel = channel.to_owned();
        let request = SubscribeRequest { target, channel };
        let status = client.subscribe(request.clone()).await;
        let status = status.expect_err("refused");
        assert_eq!(status.code(), code, "{request:?}");
    }
    for (target, channel) in [(None, "room.1"), (Some("alice"), "..")] {
        let request = UnsubscribeRequest {
            target: target.map(|user| unsubscribe_request::Target::User(user.into())),
            channel: channel.into(),
        };
        let status = client.unsubscribe(request).await.expect_err("refused");
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    assert!(asked.iter().all(|asked| asked.lock().is_empty()));
    plane.stop().await;
}
