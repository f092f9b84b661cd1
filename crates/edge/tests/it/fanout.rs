//! How channels reach a gateway, as its clients see it: there is no difference.

use edge::{EdgeConfig, FanoutMode};
use testkit::subscribe_since;
use wire::client::{Position, Verdict};

use crate::{
    faulty_bus::FaultyBus,
    gateway::{Gateway, Site},
};

fn whole(config: &mut EdgeConfig) {
    config.shards = 3;
    for policy in config.policies.namespaces.values_mut() {
        policy.fanout = FanoutMode::Namespace;
    }
}

#[tokio::test]
async fn channels_of_a_whole_namespace_flow_to_those_who_subscribed_and_nobody_else() {
    let gateway = Gateway::start(whole).await;
    gateway.publish("log.1", "before").await;
    let mut clients = Vec::new();
    for (user, own) in ["log.1", "log.2", "room.1", "room.2"].iter().enumerate() {
        for reader in 0..3 {
            let mut client = gateway.client(&format!("user-{user}-{reader}")).await;
            client.subscribe(1, own).await;
            clients.push((client, *own));
        }
    }
    for number in 0..50 {
        for channel in ["log.1", "log.2", "log.3", "room.1", "room.2", "room.3"] {
            gateway
                .publish(channel, format!("{channel} {number}"))
                .await;
        }
    }
    for (client, own) in &mut clients {
        let publications = client.publications(50).await;
        for (number, publication) in publications.iter().enumerate() {
            assert_eq!(publication.payload, format!("{own} {number}"));
        }
        if own.starts_with("log") {
            let chain = publications.windows(2);
            assert!(chain.clone().count() > 0);
            for pair in chain {
                assert_eq!(pair[1].previous, pair[0].offset);
            }
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn channels_of_a_whole_namespace_are_entered_at_their_position() {
    let gateway = Gateway::start(whole).await;
    for number in 0..3 {
        gateway.publish("log.1", format!("{number}")).await;
    }
    let mut first = gateway.client("ann").await;
    let position = first.subscribe(1, "log.1").await.position;
    let position = position.expect("it keeps a log");
    let newest = gateway.publish("log.1", "more").await.offset.0;
    let publication = first.publications(1).await.remove(0);
    assert_eq!(
        (publication.previous, publication.offset),
        (position.offset, newest)
    );
    // Nothing was missed since, so nothing need be read.
    let held = Position {
        offset: newest,
        ..position
    };
    let mut second = gateway.client("ben").await;
    second.send(subscribe_since(1, "log.1", held.clone())).await;
    let subscribed = second.subscribed().await;
    assert_eq!(subscribed.verdict(), Verdict::Recovered);
    assert_eq!(subscribed.position, Some(held));
    // Without a log there is no position.
    let subscribed = second.subscribe(2, "room.1").await;
    assert_eq!(
        (subscribed.verdict(), subscribed.position),
        (Verdict::Fresh, None)
    );
    gateway.finish().await;
}

#[tokio::test]
async fn clients_that_come_back_find_their_channels_flowing() {
    let site = Site::new().await;
    let bus = FaultyBus::over(site.bus.clone());
    let gateway = site.open_on(bus.clone(), |_| {});
    let mut client = gateway.client("ann").await;
    let before = client.subscribe(1, "log.1").await;
    client.leave().await;
    gateway.publish("log.1", "meanwhile").await;
    let asked = bus.asked();
    let mut again = gateway.client("ann").await;
    let after = again.subscribe(1, "log.1").await;
    assert_eq!((after.alias, bus.asked()), (before.alias, asked));
    let offset = |subscribed: &wire::client::Subscribed| {
        subscribed.position.as_ref().map(|position| position.offset)
    };
    assert!(offset(&after) > offset(&before));
    let newest = gateway.publish("log.1", "now").await.offset.0;
    let publication = again.publications(1).await.remove(0);
    assert_eq!(Some(publication.previous), offset(&after));
    assert_eq!(publication.offset, newest);
    gateway.finish().await;
}
