//! ListConnections and CountConnections.

use std::collections::BTreeSet;

use super::*;

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
async fn labels_of_a_connection_are_listed() {
    let gateway = Gateway::start(|_| {}).await;
    let labels = [("tier", "gold"), ("region", "eu")];
    let _alice = labelled(&gateway, "alice", &labels).await;
    let (connections, _) = list(&gateway, ListConnections::default()).await;
    let expected = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(connections[0].labels, expected.into());
    gateway.finish().await;
}

#[tokio::test]
async fn only_subscribers_of_a_channel_are_listed_if_one_is_named() {
    let gateway = Gateway::start(|config| config.shards = 3).await;
    let mut clients = Vec::new();
    let mut subscribers = BTreeSet::new();
    for number in 0..9 {
        let (mut client, id, _) = welcomed(&gateway, "alice").await;
        if number % 3 == 0 {
            client.subscribe(1, "room.1").await;
            subscribers.insert(id);
        }
        clients.push(client);
    }
    let of_channel = |channel: &str| ListConnections {
        channel: channel.to_owned(),
        page_size: 3,
        ..ListConnections::default()
    };
    let (connections, more) = list(&gateway, of_channel("room.1")).await;
    let listed: BTreeSet<_> = connections.into_iter().map(|it| it.connection_id).collect();
    assert_eq!((listed, more), (subscribers, false));
    assert_eq!(list(&gateway, of_channel("room.2")).await, (vec![], false));
    let none = Command::ListConnections(of_channel("room.*"));
    assert!(matches!(gateway.command(none).await, Reply::Failure(_)));
    gateway.finish().await;
}
