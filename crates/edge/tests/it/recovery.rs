//! Clients that come back, and slow ones, are given what they missed from the
//! log; or the truth.

use std::{sync::Arc, time::Duration};

use bus::{BusExt, Log, LogLimits, Pattern};
use edge::EdgeConfig;
use hub::{OutboxLimits, Overflow};
use testkit::{RawClient, subscribe, subscribe_since, unsubscribe};
use wire::client::{ErrorCode, Position, Verdict, server_event::Event};

use crate::{
    faulty_bus::FaultyBus,
    gateway::{Gateway, Site},
};

fn catch_up(config: &mut EdgeConfig) {
    let log = config.policies.namespaces.get_mut("log");
    log.expect("it is there").delivery.overflow = Overflow::CatchUp;
}

/// Has the log keep so many messages of each channel.
async fn keep(site: &Site, messages: usize) {
    let log = Log {
        name: "log".into(),
        patterns: vec![Pattern::new("tg.ch.log.>").expect("valid")],
        limits: LogLimits {
            messages,
            age: Duration::from_secs(3600),
        },
    };
    site.bus.keep_log(log).await.expect("memory keeps logs");
}

/// Where a client is that has seen all there is.
async fn position(gateway: &Gateway) -> Position {
    let mut client = gateway.client("first").await;
    let subscribed = client.subscribe(1, "log.1").await;
    subscribed.position.expect("a log")
}

async fn publish(gateway: &Gateway, count: usize) {
    for number in 0..count {
        gateway.publish("log.1", number.to_string()).await;
    }
}

/// Reads `count` publications, each of which follows the one before.
async fn follow(client: &mut RawClient, at: &mut u64, count: usize) {
    for publication in client.publications(count).await {
        assert_eq!(publication.previous, *at);
        *at = publication.offset;
    }
}

async fn resume(client: &mut RawClient, since: &Position) -> Verdict {
    client
        .send(subscribe_since(1, "log.1", since.clone()))
        .await;
    let subscribed = client.subscribed().await;
    if subscribed.verdict() == Verdict::Recovered {
        assert_eq!(subscribed.position.as_ref(), Some(since));
    }
    subscribed.verdict()
}

/// A gateway that nobody listens on yet, and one that knows where the log is.
async fn two_gateways() -> (Site, Arc<FaultyBus>, Gateway, Gateway) {
    let site = Site::new().await;
    let bus = FaultyBus::over(site.bus.clone());
    let first = site.open(|_| {});
    let second = site.open_on(bus.clone(), |config| {
        config.shards = 1;
        catch_up(config);
    });
    (site, bus, first, second)
}

#[tokio::test]
async fn who_comes_back_to_another_gateway_gets_what_was_missed_and_then_what_comes() {
    let (_site, _bus, first, second) = two_gateways().await;
    let held = position(&first).await;
    publish(&first, 600).await;
    let mut client = second.client("ann").await;
    assert_eq!(resume(&mut client, &held).await, Verdict::Recovered);
    let mut at = held.offset;
    follow(&mut client, &mut at, 600).await;
    publish(&first, 3).await;
    follow(&mut client, &mut at, 3).await;
    // And so does who leaves in the middle of it.
    client.send(unsubscribe(2, "log.1")).await;
    assert_eq!(client.unsubscribed().await.id, 2);
    for id in 3..6 {
        let again = subscribe_since(id, "log.1", held.clone());
        client
            .send_events(&[again, unsubscribe(id + 10, "log.1")])
            .await;
        loop {
            match client.next_event().await {
                Event::Unsubscribed(unsubscribed) => break assert_eq!(unsubscribed.id, id + 10),
                Event::Subscribed(_) | Event::Publication(_) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }
    assert_eq!(resume(&mut client, &held).await, Verdict::Recovered);
    let mut at = held.offset;
    follow(&mut client, &mut at, 603).await;
    finish(first, second).await;
}

async fn finish(first: Gateway, second: Gateway) {
    first.finish().await;
    second.finish().await;
}

#[tokio::test]
async fn a_crowd_that_comes_back_has_the_log_read_once() {
    let (_site, bus, first, second) = two_gateways().await;
    let held = position(&first).await;
    publish(&first, 100).await;
    bus.hold_reads();
    let mut clients = Vec::new();
    for number in 0..20 {
        let mut client = second.client(&format!("user-{number}")).await;
        let since = Position {
            offset: held.offset + number % 4,
            ..held.clone()
        };
        client
            .send(subscribe_since(1, "log.1", since.clone()))
            .await;
        clients.push((client, since));
    }
    bus.held_reads(1).await;
    // What comes meanwhile comes behind what was missed.
    publish(&first, 10).await;
    bus.release_reads();
    for (client, since) in &mut clients {
        let subscribed = client.subscribed().await;
        assert_eq!(subscribed.verdict(), Verdict::Recovered);
        let mut at = since.offset;
        let missed = 110 - (since.offset - held.offset);
        follow(client, &mut at, missed as usize).await;
    }
    let mut late = second.client("late").await;
    assert_eq!(resume(&mut late, &held).await, Verdict::Recovered);
    assert!(bus.read() <= 2, "{} reads", bus.read());
    finish(first, second).await;
}

#[tokio::test]
async fn who_missed_more_than_the_log_has_learns_it() {
    let (site, _bus, first, second) = two_gateways().await;
    keep(&site, 10).await;
    let held = position(&first).await;
    publish(&first, 30).await;
    let foreign = Position {
        epoch: "another".into(),
        ..held.clone()
    };
    let invented = Position {
        offset: u64::MAX,
        ..held.clone()
    };
    for since in [&held, &foreign, &invented] {
        let mut client = second.client("ann").await;
        assert_eq!(resume(&mut client, since).await, Verdict::Lost);
        // It is where the channel is.
        publish(&first, 1).await;
        client.publication().await;
    }
    finish(first, second).await;
}

#[tokio::test]
async fn a_slow_client_is_given_everything_in_order() {
    let gateway = Gateway::start(|config| {
        catch_up(config);
        config.send_buffer_bytes = 4_096;
        config.outbox = OutboxLimits {
            bytes: 32 << 10,
            items: 64,
        };
    })
    .await;
    let mut slow = gateway.dial().receive_buffer(4_096).connect().await;
    slow.hello(&gateway.tokens.token("slow")).await;
    let mut fast = gateway.client("fast").await;
    let held = slow.subscribe(1, "log.1").await.position.expect("a log");
    fast.subscribe(1, "log.1").await;
    let mut seen = held.offset;
    for _ in 0..1_200 {
        gateway.publish("log.1", vec![b'x'; 1_000]).await;
        follow(&mut fast, &mut seen, 1).await;
    }
    let mut at = held.offset;
    follow(&mut slow, &mut at, 1_200).await;
    gateway.publish("log.1", "live").await;
    assert_eq!(slow.publication().await.payload, "live");
    gateway.finish().await;
}

#[tokio::test]
async fn a_slow_client_learns_what_the_log_let_go_meanwhile() {
    let site = Site::new().await;
    keep(&site, 100).await;
    let gateway = site.open(|config| {
        catch_up(config);
        config.send_buffer_bytes = 4_096;
        config.outbox = OutboxLimits {
            bytes: 32 << 10,
            items: 64,
        };
    });
    let mut slow = gateway.dial().receive_buffer(4_096).connect().await;
    slow.hello(&gateway.tokens.token("slow")).await;
    let held = slow.subscribe(1, "log.1").await.position.expect("a log");
    for _ in 0..3_000 {
        gateway.publish("log.1", vec![b'x'; 1_000]).await;
    }
    let last = gateway.publish("log.1", "last").await.offset.0;
    let (mut at, mut gaps) = (held.offset, 0);
    while at < last {
        match slow.next_event().await {
            Event::Publication(publication) => {
                assert_eq!(publication.previous, at, "a hole without a gap");
                at = publication.offset;
            }
            Event::Gap(gap) => {
                assert_eq!(gap.from, at + 1);
                at = gap.to;
                gaps += 1;
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    assert!(gaps > 0, "the log can't have had all of it");
    gateway.finish().await;
}

#[tokio::test]
async fn what_the_bus_did_not_deliver_is_read_from_the_log() {
    let (site, bus, first, gateway) = two_gateways().await;
    let mut client = gateway.client("ann").await;
    let held = client.subscribe(1, "log.1").await.position.expect("a log");
    // The log has what the gateway was not given.
    let other = site.open(|_| {});
    bus.lose("log.1", 0);
    publish(&other, 2).await;
    let mut at = held.offset;
    follow(&mut client, &mut at, 2).await;
    finish(first, gateway).await;
    other.finish().await;
}

#[tokio::test]
async fn who_waits_for_a_log_that_can_not_be_read_is_refused() {
    let (_site, bus, first, second) = two_gateways().await;
    let held = position(&first).await;
    publish(&first, 5).await;
    let mut staying = second.client("staying").await;
    staying.subscribe(1, "log.1").await;
    let mut client = second.client("ann").await;
    bus.hold_reads();
    client
        .send_events(&[
            subscribe_since(1, "log.1", held.clone()),
            subscribe(2, "log.2"),
        ])
        .await;
    // Others do not wait for it.
    assert_eq!(client.subscribed().await.id, 2);
    bus.held_reads(1).await;
    bus.fail_reads();
    assert_eq!(client.error().await, (1, ErrorCode::Unavailable));
    assert_eq!(resume(&mut client, &held).await, Verdict::Recovered);
    let mut at = held.offset;
    follow(&mut client, &mut at, 5).await;
    drop(staying);
    finish(first, second).await;
}

#[tokio::test]
async fn a_client_that_goes_while_its_log_is_read_leaves_nothing_behind() {
    let (_site, bus, first, second) = two_gateways().await;
    let held = position(&first).await;
    publish(&first, 5).await;
    bus.hold_reads();
    let mut gone = second.client("gone").await;
    gone.send(subscribe_since(1, "log.1", held.clone())).await;
    bus.held_reads(1).await;
    gone.send_close(1000, "").await;
    gone.expect_close().await;
    // It may get the slot, and must not get what was read for the other.
    let mut next = second.client("next").await;
    next.subscribe(1, "log.2").await;
    bus.release_reads();
    first.publish("log.2", "mine").await;
    assert_eq!(next.publication().await.payload, "mine");
    finish(first, second).await;
}
