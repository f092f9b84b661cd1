//! Processes that are killed.

use std::{collections::HashMap, time::Instant};

use futures_util::StreamExt;
use testkit::{Cluster, eventually, within};
use tonic::transport::Channel;
use wire::control::{
    ConnectionEventKind, CountConnectionsRequest, WatchRequest, watch_response::Item,
};

use super::{clients, cluster, connect, connections, grpc, next, publish, subscribe};

async fn count(control: &Channel) -> Option<u64> {
    let request = CountConnectionsRequest::default();
    let count = connections(control).count_connections(request).await;
    count.ok().map(|count| count.into_inner().connections)
}

/// What was seen of each connection: opened, closed with "gateway_lost",
/// closed otherwise.
#[derive(Debug, Default)]
struct Life {
    opened: u32,
    lost: u32,
    closed: u32,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_leaves_no_ghosts_and_each_end_is_told_once() {
    let mut cluster = cluster(1, &["gw1", "gw2"], &["control1", "control2"]).await;
    let (control, other) = (
        grpc(&cluster, "control1").await,
        grpc(&cluster, "control2").await,
    );
    let watched = connections(&other).watch(WatchRequest::default()).await;
    let mut events = watched.expect("watched").into_inner();
    let clients = clients();

    // Sockets of their own, so that they end with the gateway.
    let mut doomed = Vec::new();
    for number in 0..clients {
        doomed.push(connect(&cluster, "gw1", &format!("user{number}")).await);
    }
    let _stays = connect(&cluster, "gw2", "stays").await;
    let all = clients as u64 + 1;
    eventually("all are registered", async || {
        count(&control).await == Some(all)
    })
    .await;
    let mut lives: HashMap<String, Life> = HashMap::new();
    let opened =
        |lives: &HashMap<String, Life>| lives.values().filter(|life| life.opened > 0).count();
    while opened(&lives) < clients + 1 {
        take(&mut events, &mut lives).await;
    }

    cluster.take("gw1").kill().await;
    let killed = Instant::now();
    // Before they find each other again through a balancer, which there is
    // none: the clients come back in vain.
    drop(doomed);
    let lost = |lives: &HashMap<String, Life>| lives.values().filter(|life| life.lost > 0).count();
    while lost(&lives) < clients {
        take(&mut events, &mut lives).await;
    }
    let told = killed.elapsed();
    eventually("no ghosts are left", async || {
        count(&control).await == Some(1)
    })
    .await;
    assert_registry_holds(&cluster, 1).await;
    // For people: `--nocapture` shows it.
    let clean = killed.elapsed();
    println!(
        "{clients} connections killed: every end told after {told:?}, registry clean after {clean:?}"
    );
    for (connection, life) in &lives {
        assert!(
            life.opened == 1 && life.lost + life.closed <= 1,
            "{connection}: {life:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_and_lists_go_on_when_a_control_plane_is_killed() {
    let mut cluster = cluster(1, &["gw1"], &["control1", "control2"]).await;
    let other = grpc(&cluster, "control2").await;
    let ann = connect(&cluster, "gw1", "ann").await;
    let mut room = subscribe(&ann, "live.a").await;
    cluster.take("control1").kill().await;
    publish(&other, "live.a", "still here")
        .await
        .expect("published");
    assert_eq!(next(&mut room).await, "still here");
    eventually("it is listed", async || count(&other).await == Some(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_goes_on_after_the_election_when_its_leader_is_killed() {
    let cluster = cluster(3, &["gw1", "gw2"], &["control1"]).await;
    let control = grpc(&cluster, "control1").await;
    let (ann, bob) = (
        connect(&cluster, "gw1", "ann").await,
        connect(&cluster, "gw2", "bob").await,
    );
    let (mut a, mut b) = (
        subscribe(&ann, "log.a").await,
        subscribe(&bob, "log.a").await,
    );
    publish(&control, "log.a", "0").await.expect("published");
    assert_eq!(next(&mut a).await, "0");
    assert_eq!(next(&mut b).await, "0");
    let leader = cluster.nats.leader_of("TG_CH_LOG").await;
    cluster.nats.kill(leader).await;
    for number in 1..=20 {
        // Refused or late while there is no leader: the caller tries again,
        // with an id, so that nothing is stored twice.
        eventually("it is published", async || {
            publish_once(&control, "log.a", number).await
        })
        .await;
        let expected = number.to_string();
        assert_eq!(next(&mut a).await, expected);
        assert_eq!(next(&mut b).await, expected);
    }
}

async fn publish_once(control: &Channel, to: &str, number: u32) -> bool {
    use control::client::PublishServiceClient;
    use wire::control::{NewPublication, PublishRequest};
    let publication = NewPublication {
        channel: to.to_owned(),
        payload: number.to_string().into(),
        publication_id: format!("publication-{number}"),
        ..NewPublication::default()
    };
    let mut publisher = PublishServiceClient::new(control.clone());
    let request = PublishRequest {
        publication: Some(publication),
    };
    publisher.publish(request).await.is_ok()
}

async fn take(
    events: &mut tonic::Streaming<wire::control::WatchResponse>,
    lives: &mut HashMap<String, Life>,
) {
    let event = within("an event", events.next()).await;
    let item = event.expect("goes on").expect("no failure").item;
    let Some(Item::Event(event)) = item else {
        panic!("the watch missed something: {item:?}");
    };
    let connection = event.connection.clone().unwrap_or_default().connection_id;
    let life = lives.entry(connection).or_default();
    match event.kind() {
        ConnectionEventKind::Opened => life.opened += 1,
        ConnectionEventKind::Closed if event.cause == "gateway_lost" => life.lost += 1,
        ConnectionEventKind::Closed => life.closed += 1,
        ConnectionEventKind::Unspecified => panic!("{event:?}"),
    }
}

/// Entries in the registry itself.
async fn assert_registry_holds(cluster: &Cluster, expected: usize) {
    use bus::{BusExt, Pattern, Table};
    let bus = cluster.nats.bus().await;
    registry::declare(&*bus).await.expect("it is there");
    eventually("the registry is clean", async || {
        let all = vec![Pattern::new(">").expect("valid")];
        let entries = bus.look_up(Table("tg_registry"), all).await;
        entries.is_ok_and(|entries| entries.len() == expected)
    })
    .await;
}
