//! Subscribers that ask for the latest state of a channel.

use std::collections::{BTreeMap, HashMap};

use testkit::{RawClient, history, unsubscribe};
use wire::client::{
    ClientEvent, ErrorCode, Position, Publication, Subscribe, SubscribeOptions, Subscribed,
    Verdict, client_event, server_event::Event,
};

use crate::{
    faulty_bus::FaultyBus,
    gateway::{Gateway, Site},
};

fn latest(id: u32, channel: &str, since: Option<Position>) -> ClientEvent {
    let options = SubscribeOptions {
        latest: true,
        ..SubscribeOptions::default()
    };
    let subscribe = Subscribe {
        id,
        channel: channel.to_owned(),
        since,
        options: Some(options),
    };
    ClientEvent {
        event: Some(client_event::Event::Subscribe(subscribe)),
    }
}

async fn ask(client: &mut RawClient, since: Option<Position>) -> Subscribed {
    client.send(latest(1, "log.1", since)).await;
    client.subscribed().await
}

fn offset(subscribed: &Subscribed) -> u64 {
    subscribed.position.as_ref().expect("it has a log").offset
}

fn pair(publication: &Publication) -> (&str, &[u8]) {
    (&publication.key, &publication.payload)
}

/// Reads the state and what follows it until the publication at `end`; asserts
/// the order and the chain. Gives the newest payload of each key.
async fn follow(
    client: &mut RawClient,
    subscribed: &Subscribed,
    end: u64,
) -> BTreeMap<String, bytes::Bytes> {
    let from = offset(subscribed);
    let (mut state, mut seen, mut chained) = (BTreeMap::new(), 0, from);
    while seen < end {
        let publication = client.publication().await;
        assert!(publication.offset > seen, "in order, each once");
        seen = publication.offset;
        if seen > from {
            assert_eq!(publication.previous, chained);
            chained = seen;
        } else {
            assert!(!state.contains_key(&publication.key), "one of each key");
        }
        state.insert(publication.key, publication.payload);
    }
    state
}

#[tokio::test]
async fn a_fresh_subscriber_gets_the_newest_of_each_key_then_what_follows() {
    let gateway = Gateway::start(|_| {}).await;
    let clients = [
        (gateway.client("ann").await, "log.1"),
        (gateway.json_client("ben").await, "log.2"),
    ];
    let puts = [
        ("a", "1"),
        ("b", "2"),
        ("", "3"),
        ("a", "4"),
        ("", "5"),
        ("c", "6"),
    ];
    for (mut client, channel) in clients {
        for (key, payload) in puts {
            gateway.put(channel, key, payload).await;
        }
        client.send(latest(1, channel, None)).await;
        let subscribed = client.subscribed().await;
        assert_eq!(
            (subscribed.verdict(), offset(&subscribed)),
            (Verdict::Fresh, 6)
        );
        let state = client.publications(4).await;
        let state: Vec<_> = state.iter().map(pair).collect();
        let expected = [("b", "2"), ("a", "4"), ("", "5"), ("c", "6")];
        assert_eq!(
            state,
            expected.map(|(key, payload)| (key, payload.as_bytes()))
        );
        gateway.put(channel, "", "5").await;
        gateway.put(channel, "c", "6").await;
        let follows = client.publications(2).await;
        let follows: Vec<_> = follows.iter().map(|it| (it.previous, it.offset)).collect();
        assert_eq!(follows, [(6, 7), (7, 8)]);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn nothing_comes_where_there_is_no_state() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("ann").await;
    let subscribed = ask(&mut client, None).await;
    assert_eq!(
        (subscribed.verdict(), offset(&subscribed)),
        (Verdict::Fresh, 0)
    );
    client.send(latest(2, "room.1", None)).await;
    let without_log = client.subscribed().await;
    assert_eq!(
        (without_log.verdict(), without_log.position),
        (Verdict::Fresh, None)
    );
    gateway.put("log.1", "a", "1").await;
    assert_eq!(client.publication().await.previous, 0);
    gateway.finish().await;
}

#[tokio::test]
async fn who_can_go_on_gets_no_state_and_who_can_not_does() {
    let gateway = Gateway::start(|_| {}).await;
    let first = gateway.put("log.1", "a", "1").await;
    let last = gateway.put("log.1", "a", "2").await;
    let mut client = gateway.client("ann").await;
    let epoch = {
        let mut other = gateway.client("eve").await;
        let subscribed = ask(&mut other, None).await;
        subscribed.position.expect("it has a log").epoch
    };
    let held = Position {
        epoch,
        offset: first,
    };
    let subscribed = ask(&mut client, Some(held.clone())).await;
    assert_eq!(subscribed.verdict(), Verdict::Recovered);
    assert_eq!(client.publication().await.offset, last);
    let mut client = gateway.client("ben").await;
    let strange = Position {
        epoch: "another".to_owned(),
        ..held
    };
    let subscribed = ask(&mut client, Some(strange)).await;
    assert_eq!(
        (subscribed.verdict(), offset(&subscribed)),
        (Verdict::Resnapshot, last)
    );
    assert_eq!(pair(&client.publication().await), ("a", &b"2"[..]));
    let next = gateway.put("log.1", "a", "3").await;
    let publication = client.publication().await;
    assert_eq!((publication.previous, publication.offset), (last, next));
    gateway.finish().await;
}

/// The log has let go of what follows the position: only a read shows that.
#[tokio::test]
async fn a_position_that_has_left_the_log_is_answered_with_the_state() {
    let gateway = Gateway::start(|_| {}).await;
    for number in 0..10_100_u32 {
        gateway
            .put("log.1", &(number % 3).to_string(), number.to_string())
            .await;
    }
    let mut client = gateway.client("ann").await;
    client.send(history(9, "log.1")).await;
    let epoch = client.history().await.position.expect("told").epoch;
    let subscribed = ask(&mut client, Some(Position { epoch, offset: 5 })).await;
    assert_eq!(subscribed.verdict(), Verdict::Resnapshot);
    let payloads: Vec<_> = client.publications(3).await;
    let payloads: Vec<_> = payloads.iter().map(|it| &*it.payload).collect();
    assert_eq!(payloads, [b"10097", b"10098", b"10099"]);
    gateway.finish().await;
}

#[tokio::test]
async fn a_state_too_large_for_an_outbox_is_told_as_lost() {
    let gateway = Gateway::start(|config| config.outbox.bytes = 32 << 10).await;
    for key in 0..4 {
        gateway
            .put("log.1", &key.to_string(), vec![7; 6 << 10])
            .await;
    }
    let mut client = gateway.client("ann").await;
    let subscribed = ask(&mut client, None).await;
    assert_eq!(
        (subscribed.verdict(), offset(&subscribed)),
        (Verdict::Lost, 4)
    );
    gateway.put("log.1", "a", "1").await;
    assert_eq!(client.publication().await.previous, 4);
    gateway.finish().await;
}

#[tokio::test]
async fn states_that_do_not_fit_together_come_one_after_another() {
    let gateway = Gateway::start(|config| {
        config.outbox.bytes = 64 << 10;
        config.session.max_in_flight = 8;
    })
    .await;
    for channel in 0..8 {
        for key in ["a", "b", "c"] {
            gateway
                .put(&format!("log.{channel}"), key, vec![7; 8 << 10])
                .await;
        }
    }
    let mut client = gateway.client("ann").await;
    let asked: Vec<_> = (0..8)
        .map(|id| latest(id + 1, &format!("log.{id}"), None))
        .collect();
    client.send_events(&asked).await;
    let mut of_channel = HashMap::new();
    for _ in 0..8 * 4 {
        match client.next_event().await {
            Event::Subscribed(subscribed) => {
                assert_eq!(subscribed.verdict(), Verdict::Fresh);
                of_channel.insert(subscribed.alias, 0);
            }
            Event::Publication(it) => *of_channel.get_mut(&it.alias).expect("subscribed") += 1,
            other => panic!("unexpected {other:?}"),
        }
    }
    assert!(of_channel.len() == 8 && of_channel.values().all(|count| *count == 3));
    gateway.finish().await;
}

async fn stage() -> (std::sync::Arc<FaultyBus>, Gateway) {
    let site = Site::new().await;
    let bus = FaultyBus::over(site.bus.clone());
    let gateway = site.open_on(bus.clone(), |_| {});
    (bus, gateway)
}

#[tokio::test]
async fn who_comes_together_shares_one_read_and_misses_nothing_meanwhile() {
    let (bus, gateway) = stage().await;
    for number in 0..10 {
        gateway
            .put("log.1", &(number % 4).to_string(), number.to_string())
            .await;
    }
    bus.hold_reads();
    let mut clients = Vec::new();
    for user in 0..10 {
        let mut client = gateway.client(&format!("user-{user}")).await;
        client.send(latest(1, "log.1", None)).await;
        // It was heard once the pong is here.
        client.send(testkit::ping(7)).await;
        client.pong().await;
        clients.push(client);
        gateway.put("log.1", "live", user.to_string()).await;
    }
    bus.held_reads(1).await;
    assert_eq!(bus.holding(), 1);
    bus.release_reads();
    let last = gateway.put("log.1", "live", "last").await;
    for client in &mut clients {
        let subscribed = client.subscribed().await;
        assert_eq!(subscribed.verdict(), Verdict::Fresh);
        let state = follow(client, &subscribed, last).await;
        let state: Vec<_> = state
            .iter()
            .map(|(key, payload)| (&**key, &**payload))
            .collect();
        let expected = [
            ("0", "8"),
            ("1", "9"),
            ("2", "6"),
            ("3", "7"),
            ("live", "last"),
        ];
        assert_eq!(
            state,
            expected.map(|(key, payload)| (key, payload.as_bytes()))
        );
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_state_of_many_pages_is_whole_while_the_channel_flows() {
    let gateway = Gateway::start(|_| {}).await;
    let mut last = 0;
    for number in 0..2_000_u32 {
        last = gateway
            .put("log.1", &(number % 700).to_string(), number.to_string())
            .await;
    }
    let mut clients = Vec::new();
    for user in 0..20 {
        let mut client = gateway.client(&format!("user-{user}")).await;
        client.send(latest(1, "log.1", None)).await;
        for number in 0..20 {
            last = gateway.put("log.1", "live", number.to_string()).await;
        }
        clients.push(client);
    }
    for client in &mut clients {
        let subscribed = client.subscribed().await;
        let state = follow(client, &subscribed, last).await;
        assert_eq!(state.len(), 701);
        assert_eq!(&*state["live"], b"19");
        for key in 0..700_u32 {
            let newest = if key < 600 { 1_400 + key } else { 700 + key };
            assert_eq!(state[&key.to_string()], newest.to_string());
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn who_leaves_while_the_log_is_read_gets_nothing() {
    let (bus, gateway) = stage().await;
    gateway.put("log.1", "a", "1").await;
    bus.hold_reads();
    let mut gone = gateway.client("ann").await;
    gone.send(latest(1, "log.1", None)).await;
    bus.held_reads(1).await;
    gone.leave().await;
    // Takes the slot.
    let mut next = gateway.client("ben").await;
    next.send_events(&[latest(1, "log.1", None), unsubscribe(2, "log.1")])
        .await;
    bus.release_reads();
    assert_eq!(next.subscribed().await.verdict(), Verdict::Fresh);
    assert_eq!(pair(&next.publication().await), ("a", &b"1"[..]));
    assert_eq!(next.unsubscribed().await.id, 2);
    gateway.put("log.1", "a", "2").await;
    next.subscribe(3, "room.1").await;
    gateway.finish().await;
}

#[tokio::test]
async fn a_log_that_can_not_be_read_refuses_the_subscription() {
    let (bus, gateway) = stage().await;
    gateway.put("log.1", "a", "1").await;
    bus.hold_reads();
    let mut client = gateway.client("ann").await;
    client.send(latest(1, "log.1", None)).await;
    bus.held_reads(1).await;
    bus.fail_held_reads();
    assert_eq!(client.error().await, (1, ErrorCode::Unavailable));
    let subscribed = ask(&mut client, None).await;
    assert_eq!(
        (subscribed.verdict(), offset(&subscribed)),
        (Verdict::Fresh, 1)
    );
    gateway.finish().await;
}
