//! GetConnection, ListConnections, CountConnections and Disconnect.

use control::client::ConnectionServiceClient;
use tonic::{Code, transport::Channel};
use wire::{
    ConnectionId,
    control::{
        CountConnectionsRequest, DisconnectRequest, GetConnectionRequest, ListConnectionsRequest,
        disconnect_request::Target,
    },
    gateway::{
        Connection, ConnectionCount, ConnectionPage, Disconnected, command::Command,
        command_reply::Reply, target::Target as Meant,
    },
};

use crate::plane::{Plane, gateway};

/// A gateway with so many connections, half of them alice's.
fn holding(name: &'static str, count: u32) -> impl Fn(Command) -> Option<Reply> {
    let all: Vec<(ConnectionId, Connection)> =
        (0..count).map(|slot| connection(name, slot)).collect();
    move |command| {
        let target = match &command {
            Command::ListConnections(list) => list.target.as_ref(),
            Command::CountConnections(count) => count.target.as_ref(),
            Command::Disconnect(disconnect) => disconnect.target.as_ref(),
            _ => None,
        };
        let target = target
            .and_then(|target| target.target.clone())
            .expect("a target");
        let meant: Vec<_> = all
            .iter()
            .filter(|(_, connection)| match &target {
                Meant::User(user) => connection.user == *user,
                Meant::ConnectionId(id) => connection.connection_id == *id,
                Meant::Everybody(_) => true,
                Meant::SessionId(_) | Meant::Label(_) => false,
            })
            .collect();
        let count = meant.len() as u64;
        Some(match command {
            Command::ListConnections(list) => {
                let after: Option<ConnectionId> = list.after_connection_id.parse().ok();
                let mut rest = meant
                    .into_iter()
                    .filter(|(id, _)| after.as_ref().is_none_or(|after| id > after));
                let page = rest.by_ref().take(list.page_size as usize);
                Reply::ConnectionPage(ConnectionPage {
                    connections: page.map(|(_, connection)| connection.clone()).collect(),
                    more: rest.next().is_some(),
                })
            }
            Command::CountConnections(_) => Reply::ConnectionCount(ConnectionCount {
                connections: count,
                users: count.min(2),
            }),
            _ => Reply::Disconnected(Disconnected { count }),
        })
    }
}

fn connection(name: &str, slot: u32) -> (ConnectionId, Connection) {
    let id = ConnectionId {
        gateway: gateway(name),
        shard: 0,
        slot,
        generation: 1,
    };
    let connection = Connection {
        connection_id: id.to_string(),
        user: if slot.is_multiple_of(2) {
            "alice"
        } else {
            "bob"
        }
        .into(),
        connected_at_ms: 1_500,
        channels: vec!["room.1".into()],
        ..Connection::default()
    };
    (id, connection)
}

async fn start() -> (Plane, ConnectionServiceClient<Channel>) {
    let plane = Plane::start().await;
    plane.serve_gateway("a", holding("a", 20));
    plane.serve_gateway("b", holding("b", 5));
    let client = ConnectionServiceClient::new(plane.connect().await);
    (plane, client)
}

#[tokio::test]
async fn pages_go_through_all_gateways_in_order() {
    let (plane, mut client) = start().await;
    let expected: Vec<String> = [("a", 20), ("b", 5)]
        .into_iter()
        .flat_map(|(name, count)| {
            (0..count).map(move |slot| connection(name, slot).1.connection_id)
        })
        .collect();
    // 5 and 20 end a page where a gateway ends.
    for page_size in [1, 3, 5, 20, 25, 100] {
        let mut request = ListConnectionsRequest {
            page_size,
            ..ListConnectionsRequest::default()
        };
        let mut listed = Vec::new();
        loop {
            let page = client
                .list_connections(request.clone())
                .await
                .expect("a page");
            let page = page.into_inner();
            assert!(page.connections.len() <= page_size as usize);
            assert!(
                !page.connections.is_empty(),
                "an empty page, of {page_size}"
            );
            for connection in page.connections {
                let id: ConnectionId = connection.connection_id.parse().expect("an id");
                assert_eq!(connection.gateway, id.gateway.as_str());
                listed.push(connection.connection_id);
            }
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(listed, expected, "pages of {page_size}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn malformed_lists_are_refused() {
    let (plane, mut client) = start().await;
    let large = ListConnectionsRequest {
        page_size: 1001,
        ..ListConnectionsRequest::default()
    };
    let foreign = ListConnectionsRequest {
        page_token: "made up".into(),
        ..ListConnectionsRequest::default()
    };
    for request in [large, foreign] {
        let status = client.list_connections(request).await.expect_err("refused");
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    plane.stop().await;
}

#[tokio::test]
async fn a_connection_can_be_read_while_it_lives() {
    let (plane, mut client) = start().await;
    let get = |id: &str| GetConnectionRequest {
        connection_id: id.into(),
    };
    let found = client.get_connection(get("b.0.3.1")).await.expect("there");
    let found = found.into_inner().connection.expect("in the answer");
    assert_eq!((&*found.user, &*found.gateway), ("bob", "b"));
    assert_eq!(found.channels, ["room.1"]);
    let connected_at = found.connected_at.expect("always known");
    assert_eq!((connected_at.seconds, connected_at.nanos), (1, 500_000_000));
    for (id, code) in [
        ("b.0.3.2", Code::NotFound),
        ("elsewhere.0.3.1", Code::NotFound),
        ("b", Code::InvalidArgument),
    ] {
        let status = client.get_connection(get(id)).await.expect_err(id);
        assert_eq!(status.code(), code, "{id}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn counts_add_up() {
    let (plane, mut client) = start().await;
    for (user, connections, users) in [("", 25, 4), ("alice", 13, 1), ("nobody", 0, 0)] {
        let request = CountConnectionsRequest {
            user: user.into(),
            label: None,
        };
        let count = client.count_connections(request).await.expect("a count");
        let count = count.into_inner();
        assert_eq!(
            (count.connections, count.users),
            (connections, users),
            "{user}"
        );
    }
    plane.stop().await;
}

#[tokio::test]
async fn disconnect_reaches_all_that_are_meant() {
    let (plane, mut client) = start().await;
    let disconnect = |target| DisconnectRequest {
        target: Some(target),
        ..DisconnectRequest::default()
    };
    for (target, expected) in [
        (Target::User("bob".into()), 12),
        (Target::ConnectionId("a.0.0.1".into()), 1),
        (Target::ConnectionId("elsewhere.0.0.1".into()), 0),
    ] {
        let closed = client.disconnect(disconnect(target)).await.expect("done");
        assert_eq!(closed.into_inner().count, expected);
    }
    let mut wordy = disconnect(Target::User("bob".into()));
    wordy.reason = "x".repeat(101);
    let status = client.disconnect(wordy).await.expect_err("refused");
    assert_eq!(status.code(), Code::InvalidArgument);
    plane.stop().await;
}

#[tokio::test]
async fn a_part_never_passes_for_the_whole() {
    let plane = Plane::start().await;
    plane.serve_gateway("a", holding("a", 3));
    let mut client = ConnectionServiceClient::new(plane.connect().await);
    let list = client
        .list_connections(ListConnectionsRequest::default())
        .await;
    assert_eq!(list.expect_err("b is away").code(), Code::Unavailable);
    let count = client
        .count_connections(CountConnectionsRequest::default())
        .await;
    assert_eq!(count.expect_err("b is away").code(), Code::Unavailable);
    plane.stop().await;
}
