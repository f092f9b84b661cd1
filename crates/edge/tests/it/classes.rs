//! Subscribers that don't get all of a channel, over real sockets.

use std::collections::HashMap;

use edge::EdgeConfig;
use hub::{Class, Overflow};
use testkit::{RawClient, ping, set_subscription, subscribe};
use wire::client::{
    ClientEvent, ErrorCode, GapCause, SubscribeOptions, client_event, server_event::Event,
};

use crate::{
    gateway::Gateway,
    limits::{slow, tight},
};

/// More than the kernel and an outbox take together.
const PUBLICATIONS: u64 = 4_000;

const KEYS: u64 = 7;

/// What a client has got of `room.1`.
#[derive(Default)]
struct Got {
    by_key: HashMap<String, u64>,
    publications: u64,
    conflated: u64,
    dropped: u64,
}

impl Got {
    /// Takes an event; each key only gets newer.
    fn take(&mut self, event: Event) {
        match event {
            Event::Publication(one) => {
                let number = std::str::from_utf8(&one.payload[..8]).expect("a number");
                let number = number.trim().parse().expect("a number");
                let before = self.by_key.insert(one.key, number);
                assert!(before < Some(number), "{before:?} before {number}");
                self.publications += 1;
            }
            Event::Gap(gap) => {
                self.conflated += gap.conflated;
                self.dropped += gap.dropped;
            }
            Event::Pong(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }

    fn all(&self) -> u64 {
        self.publications + self.conflated + self.dropped
    }
}

fn room(class: Class, overflow: Overflow) -> impl FnOnce(&mut EdgeConfig) {
    move |config| {
        let room = config.policies.namespaces.get_mut("room");
        let delivery = &mut room.expect("it is there").delivery;
        (delivery.class, delivery.overflow) = (class, overflow);
    }
}

fn asking(id: u32, options: SubscribeOptions) -> ClientEvent {
    let mut event = subscribe(id, "room.1");
    if let Some(client_event::Event::Subscribe(subscribe)) = &mut event.event {
        subscribe.options = Some(options);
    }
    event
}

/// Publishes numbers under a few keys, and reads with `fast` as it goes.
async fn flood(gateway: &Gateway, fast: &mut RawClient) {
    for number in 0..PUBLICATIONS {
        let key = (number * number % KEYS).to_string();
        gateway.put("room.1", &key, format!("{number:<1000}")).await;
        fast.publication().await;
    }
}

/// Has one client read only when all is published, and another one as it comes.
async fn stall(gateway: Gateway, options: SubscribeOptions) -> Got {
    let (mut slow, mut fast) = (slow(&gateway).await, gateway.client("fast").await);
    slow.send(asking(1, options)).await;
    assert!(slow.subscribed().await.conflates);
    fast.subscribe(1, "room.1").await;
    flood(&gateway, &mut fast).await;
    let mut got = Got::default();
    while got.all() < PUBLICATIONS {
        got.take(slow.next_event().await);
    }
    for number in 0..PUBLICATIONS {
        let key = (number * number % KEYS).to_string();
        let newest = got.by_key[&key];
        assert!(newest >= number, "{newest} is not the newest of {key}");
    }
    // It keeps up again.
    gateway
        .put("room.1", "a", format!("{PUBLICATIONS:<8}"))
        .await;
    let next = slow.publication().await;
    assert_eq!(next.key, "a");
    drop((slow, fast));
    gateway.finish().await;
    got
}

#[tokio::test]
async fn a_client_that_stalls_gets_the_newest_of_each_key_and_the_number_of_the_others() {
    let gateway = tight(room(Class::Latest, Overflow::DropOldest)).await;
    let got = stall(gateway, SubscribeOptions::default()).await;
    assert_eq!((got.dropped, got.all()), (0, PUBLICATIONS));
    assert!(got.conflated > 0);
}

#[tokio::test]
async fn a_client_may_ask_for_that_by_itself() {
    let gateway = tight(|_| {}).await;
    let options = SubscribeOptions {
        conflate: true,
        ..SubscribeOptions::default()
    };
    let got = stall(gateway, options).await;
    assert_eq!((got.dropped, got.all()), (0, PUBLICATIONS));
}

#[tokio::test]
async fn overflow_may_conflate_a_channel_of_which_all_is_delivered() {
    let gateway = tight(room(Class::All, Overflow::Conflate)).await;
    let got = stall(gateway, SubscribeOptions::default()).await;
    assert_eq!((got.dropped, got.all()), (0, PUBLICATIONS));
}

#[tokio::test]
async fn a_subscription_can_be_sampled_and_back_while_it_flows() {
    let gateway = tight(|_| {}).await;
    let mut client = gateway.client("ann").await;
    client
        .send(set_subscription(7, "room.1", SubscribeOptions::default()))
        .await;
    assert_eq!(client.error().await, (7, ErrorCode::NotSubscribed));
    assert!(!client.subscribe(1, "room.1").await.conflates);
    gateway.put("room.1", "a", "       0").await;
    client.publication().await;
    let rarely = SubscribeOptions {
        max_per_second: 1,
        ..SubscribeOptions::default()
    };
    client.send(set_subscription(2, "room.1", rarely)).await;
    assert_eq!(client.accepted().await.id, 2);
    let mut got = Got::default();
    let mut number = 0;
    while got.publications == 0 {
        number += 1;
        gateway.put("room.1", "a", format!("{number:>8}")).await;
        client.send(ping(1)).await;
        loop {
            match client.next_event().await {
                Event::Pong(_) => break,
                Event::Gap(gap) => {
                    assert_eq!(gap.cause(), GapCause::Sampled);
                    got.take(Event::Gap(gap));
                }
                event => got.take(event),
            }
        }
    }
    assert!(got.conflated > 0, "{number} in a second");
    let all = SubscribeOptions::default();
    client.send(set_subscription(3, "room.1", all)).await;
    loop {
        match client.next_event().await {
            Event::Accepted(accepted) => break assert_eq!(accepted.id, 3),
            event => got.take(event),
        }
    }
    for last in number + 1..number + 20 {
        gateway.put("room.1", "a", format!("{last:>8}")).await;
    }
    while got.all() < number + 19 {
        got.take(client.next_event().await);
    }
    assert!(got.publications >= 20);
    drop(client);
    gateway.finish().await;
}
