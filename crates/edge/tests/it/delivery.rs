//! Publications: from any publisher to every subscriber, in order, unbroken.

use testkit::{RawClient, publish, subscribe, subscribe_since, unsubscribe};
use wire::client::{ErrorCode, Position, Publication, Verdict, server_event::Event};

use crate::gateway::Gateway;

fn payload(number: usize) -> String {
    format!("message {number}")
}

/// Reads until it has so many publications; answers may come between.
async fn collect(client: &mut RawClient, count: usize) -> Vec<Publication> {
    let mut publications = Vec::new();
    while publications.len() < count {
        match client.next_event().await {
            Event::Publication(publication) => publications.push(publication),
            Event::Accepted(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    publications
}

#[tokio::test]
async fn subscribers_on_all_shards_get_every_publication_in_order() {
    let gateway = Gateway::start(|config| config.shards = 3).await;
    let channels = ["room.1", "room.2", "log.1"];
    let mut clients = Vec::new();
    for user in 0..9 {
        let mut client = gateway.client(&format!("user-{user}")).await;
        let mut aliases = Vec::new();
        for (id, channel) in (1..).zip(channels) {
            aliases.push(client.subscribe(id, channel).await.alias);
        }
        clients.push((client, aliases));
    }
    let aliases = clients[0].1.clone();
    assert!(clients.iter().all(|(_, others)| *others == aliases));
    for number in 0..100 {
        for channel in channels {
            gateway.publish(channel, payload(number)).await;
        }
    }
    for (client, _) in &mut clients {
        let publications = client.publications(300).await;
        for alias in &aliases {
            let of_channel = publications.iter().filter(|it| it.alias == *alias);
            let payloads: Vec<_> = of_channel.map(|it| it.payload.clone()).collect();
            let expected: Vec<_> = (0..100).map(payload).collect();
            assert_eq!(payloads, expected);
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn clients_on_different_shards_talk_to_each_other() {
    let gateway = Gateway::start(|config| config.shards = 3).await;
    let mut clients = Vec::new();
    for user in 0..6 {
        let mut client = gateway.client(&format!("user-{user}")).await;
        client.subscribe(1, "room.1").await;
        clients.push(client);
    }
    for client in &mut clients {
        let batch: Vec<_> = (10..14)
            .map(|id| publish(id, "room.1", payload(id as usize)))
            .collect();
        client.send_events(&batch).await;
    }
    for client in &mut clients {
        let all = collect(client, 24).await;
        // Four from each, in the order that each sent them.
        for number in 10..14 {
            let same = all
                .iter()
                .filter(|it| it.payload == payload(number))
                .count();
            assert_eq!(same, 6);
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn json_and_protobuf_subscribers_get_the_same() {
    let gateway = Gateway::start(|_| {}).await;
    let mut clients = [
        gateway.client("alice").await,
        gateway.json_client("bob").await,
    ];
    for client in &mut clients {
        client.subscribe(1, "log.1").await;
    }
    let bytes: Vec<u8> = (0..=255).collect();
    for _ in 0..20 {
        gateway.publish("log.1", bytes.clone()).await;
    }
    let [alice, bob] = &mut clients;
    let seen = alice.publications(20).await;
    assert_eq!(seen, bob.publications(20).await);
    assert!(
        seen.iter()
            .all(|it| *it.payload == *bytes && it.published_at_us > 0)
    );
    gateway.finish().await;
}

#[tokio::test]
async fn offsets_and_the_chain_of_previous_ones_are_unbroken() {
    let gateway = Gateway::start(|_| {}).await;
    let mut publisher = gateway.client("publisher").await;
    publisher.send(publish(1, "log.1", payload(0))).await;
    let first = publisher.accepted().await.offset;
    assert!(first > 0);
    let mut client = gateway.client("alice").await;
    let subscribed = client.subscribe(1, "log.1").await;
    assert_eq!(subscribed.verdict(), Verdict::Fresh);
    let mut at = subscribed.position.expect("the channel keeps a log");
    assert_eq!(at.offset, first);
    for number in 1..50 {
        publisher.send(publish(2, "log.1", payload(number))).await;
        let accepted = publisher.accepted().await;
        let publication = client.publication().await;
        assert_eq!(publication.previous, at.offset);
        assert_eq!((accepted.id, accepted.offset), (2, publication.offset));
        assert_eq!(publication.payload, payload(number));
        at.offset = publication.offset;
    }
    let late = gateway.client("late").await.subscribe(1, "log.1").await;
    assert_eq!(late.position, Some(at));
    gateway.finish().await;
}

#[tokio::test]
async fn channels_without_a_log_have_no_offsets() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("alice").await;
    let subscribed = client.subscribe(1, "room.1").await;
    assert_eq!(
        (subscribed.position, subscribed.verdict),
        (None, Verdict::Fresh.into())
    );
    assert_eq!(gateway.publish("room.1", "x").await.offset.0, 0);
    let publication = client.publication().await;
    assert_eq!((publication.offset, publication.previous), (0, 0));
    gateway.finish().await;
}

#[tokio::test]
async fn who_comes_back_learns_whether_something_was_missed() {
    let gateway = Gateway::start(|_| {}).await;
    gateway.publish("log.1", "one").await;
    let mut client = gateway.client("alice").await;
    let held = client.subscribe(1, "log.1").await.position.expect("a log");
    let mut returning = gateway.client("alice").await;
    returning
        .send(subscribe_since(1, "log.1", held.clone()))
        .await;
    assert_eq!(returning.subscribed().await.verdict(), Verdict::Recovered);
    gateway.publish("log.1", "two").await;
    client.publication().await;
    let foreign = Position {
        epoch: "another".into(),
        ..held.clone()
    };
    for (since, verdict) in [(held, Verdict::Recovered), (foreign, Verdict::Lost)] {
        let mut late = gateway.client("alice").await;
        late.send(subscribe_since(1, "log.1", since)).await;
        assert_eq!(late.subscribed().await.verdict(), verdict);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn nothing_comes_after_unsubscribed() {
    let gateway = Gateway::start(|config| config.shards = 2).await;
    let (mut leaving, mut staying) = (gateway.client("a").await, gateway.client("b").await);
    let alias = leaving.subscribe(1, "room.1").await.alias;
    staying.subscribe(1, "room.1").await;
    gateway.publish("room.1", "before").await;
    assert_eq!(leaving.publication().await.payload, "before");
    leaving.send(unsubscribe(2, "room.1")).await;
    let unsubscribed = leaving.unsubscribed().await;
    assert_eq!((unsubscribed.id, unsubscribed.alias), (2, alias));
    assert_eq!(unsubscribed.code(), ErrorCode::Unspecified);
    gateway.publish("room.1", "after").await;
    assert_eq!(staying.publications(2).await[1].payload, "after");
    leaving.send(testkit::ping(1)).await;
    assert_eq!(leaving.pong().await.nonce, 1);
    leaving.subscribe(3, "room.1").await;
    gateway.publish("room.1", "again").await;
    assert_eq!(leaving.publication().await.payload, "again");
    gateway.finish().await;
}

#[tokio::test]
async fn a_channel_that_everybody_left_can_be_joined_again() {
    let gateway = Gateway::start(|config| config.shards = 2).await;
    let (mut one, mut two) = (gateway.client("a").await, gateway.client("b").await);
    for round in 0..50 {
        // In a batch: the unsubscribe waits for its subscribe.
        for client in [&mut one, &mut two] {
            client
                .send_events(&[subscribe(1, "log.x"), unsubscribe(2, "log.x")])
                .await;
        }
        for client in [&mut one, &mut two] {
            assert_eq!(client.subscribed().await.id, 1, "round {round}");
            assert_eq!(client.unsubscribed().await.id, 2, "round {round}");
        }
    }
    one.subscribe(1, "log.x").await;
    gateway.publish("log.x", "x").await;
    assert_eq!(one.publication().await.payload, "x");
    gateway.finish().await;
}

#[tokio::test]
async fn a_publisher_without_an_id_gets_no_answer() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("alice").await;
    client.subscribe(1, "room.1").await;
    let batch: Vec<_> = (0..20)
        .map(|number| publish(0, "room.1", payload(number)))
        .collect();
    client.send_events(&batch).await;
    for (number, publication) in client.publications(20).await.into_iter().enumerate() {
        assert_eq!(publication.payload, payload(number));
    }
    client.send(testkit::ping(1)).await;
    assert_eq!(client.pong().await.nonce, 1);
    gateway.finish().await;
}

#[tokio::test]
async fn subscribing_while_publications_flow_leaves_no_hole() {
    let gateway = Gateway::start(|config| config.shards = 3).await;
    let mut clients = Vec::new();
    for user in 0..6 {
        let mut client = gateway.client(&format!("user-{user}")).await;
        client.send(subscribe(1, "log.1")).await;
        for number in 0..20 {
            gateway.publish("log.1", payload(number)).await;
        }
        clients.push(client);
    }
    let last = gateway.publish("log.1", "last").await.offset.0;
    for client in &mut clients {
        let mut at = client.subscribed().await.position.expect("a log").offset;
        while at != last {
            let publication = client.publication().await;
            assert_eq!(publication.previous, at);
            at = publication.offset;
        }
    }
    gateway.finish().await;
}
