//! Explain.

use hub::Class;
use testkit::{publish, unsubscribe};
use wire::{
    control::{ConnectionState, Explanation, FlightRecording, UnreadReason},
    gateway::{Explain, Explained},
};

use super::*;
use crate::limits::{slow, tight};

async fn explained(gateway: &Gateway, target: Option<Target>, record_ms: u64) -> Explained {
    let explain = Explain { target, record_ms };
    match gateway.command(Command::Explain(explain)).await {
        Reply::Explained(explained) => explained,
        other => panic!("unexpected {other:?}"),
    }
}

/// The one connection of `user`.
async fn explain(gateway: &Gateway, user: &str, record_ms: u64) -> Explanation {
    let explained = explained(gateway, to_user(user), record_ms).await;
    let [one] = &explained.connections[..] else {
        panic!("one is there: {explained:?}");
    };
    let connection = one.connection.as_ref().expect("with it");
    assert_eq!(connection.user, user);
    one.explanation.clone().expect("with it")
}

/// Kinds and subjects of what was recorded, pings and acknowledgements left out.
fn recorded(recording: Option<FlightRecording>) -> Vec<(bool, String, String)> {
    let entries = recording.expect("it is recorded").entries.into_iter();
    let entries = entries.map(|entry| {
        assert!(entry.bytes > 0 && entry.at.is_some(), "{entry:?}");
        (entry.is_inbound, entry.kind, entry.subject)
    });
    entries.collect()
}

#[tokio::test]
async fn a_connection_that_is_well_is_seen_whole() {
    let gateway = Gateway::start(|config| {
        config.shards = 2;
        (config.upstream.messages, config.upstream.bytes) = (100, 0);
    })
    .await;
    let mut alice = gateway.client("alice").await;
    alice.subscribe(1, "log.1").await;
    alice.subscribe(2, "room.1").await;
    let offset = gateway.publish("log.1", "x").await.offset.0;
    alice.publication().await;
    let explanation = explain(&gateway, "alice", 0).await;
    assert_eq!(explanation.state(), ConnectionState::Live);
    let outbox = explanation.outbox.expect("always there");
    assert_eq!(
        (outbox.bytes, outbox.waiting_ms, outbox.blocked),
        (0, 0, false)
    );
    assert_eq!(outbox.lanes.iter().map(|lane| lane.frames).sum::<u64>(), 0);
    let upstream = explanation.upstream.expect("always there");
    // Hello and two subscribes.
    assert_eq!((upstream.messages, upstream.in_flight), (3, 0));
    assert_eq!(upstream.unread(), UnreadReason::Unspecified);
    let bucket = upstream.message_bucket.expect("there is a limit");
    assert_eq!(bucket.per_second, 100);
    assert!(bucket.left <= bucket.burst && bucket.left > 0, "{bucket:?}");
    assert_eq!(upstream.byte_bucket, None);
    let tcp = explanation.tcp.expect("Linux tells");
    assert!(tcp.received_bytes > 0 && tcp.rtt_us > 0, "{tcp:?}");
    let [log, room] = &explanation.subscriptions[..] else {
        panic!("two: {:?}", explanation.subscriptions);
    };
    assert_eq!(
        (&*log.channel, log.position, log.head),
        ("log.1", offset, offset)
    );
    assert_eq!(
        (&*room.channel, room.head, &*room.class),
        ("room.1", 0, "all")
    );
    assert!(!log.is_behind && log.queued_publications == 0, "{log:?}");
    assert!(explanation.recording.is_none() && explanation.past_closes.is_empty());
    gateway.finish().await;
}

#[tokio::test]
async fn nobody_there_is_no_failure_and_several_come_in_order() {
    let gateway = Gateway::start(|config| config.shards = 3).await;
    let nobody = explained(&gateway, to_user("nobody"), 0).await;
    assert_eq!(nobody, Explained::default());
    let gone = explained(&gateway, to_connection("test.0.7.9"), 0).await;
    assert_eq!(gone, Explained::default());
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(gateway.client("alice").await);
    }
    let all = explained(&gateway, to_user("alice"), 0).await;
    assert!(all.more);
    let ids = all.connections.iter().map(|it| {
        let connection = it.connection.as_ref().expect("with it");
        connection.connection_id.parse().expect("an id")
    });
    let ids: Vec<wire::ConnectionId> = ids.collect();
    assert_eq!(ids.len(), 16);
    assert!(ids.is_sorted(), "{ids:?}");
    gateway.finish().await;
}

#[tokio::test]
async fn what_waits_for_a_client_that_does_not_read_is_seen() {
    let conflates = |config: &mut edge::EdgeConfig| {
        let room = config.policies.namespaces.get_mut("room");
        room.expect("it is there").delivery.class = Class::Latest;
    };
    let gateway = tight(conflates).await;
    let mut deaf = slow(&gateway).await;
    deaf.subscribe(1, "room.1").await;
    deaf.subscribe(2, "log.1").await;
    let mut fast = gateway.client("fast").await;
    fast.subscribe(1, "room.1").await;
    fast.subscribe(2, "log.1").await;
    let mut last = 0;
    for number in 0..400 {
        let channel = if number % 2 == 0 { "room.1" } else { "log.1" };
        last = gateway.publish(channel, vec![b'x'; 1_000]).await.offset.0;
        fast.publication().await;
    }
    let explanation = explain(&gateway, "slow", 0).await;
    let outbox = explanation.outbox.expect("always there");
    assert!(outbox.blocked && outbox.bytes > 0, "{outbox:?}");
    let lanes = outbox.lanes.iter();
    let (frames, bytes) = lanes.fold((0, 0), |(frames, bytes), lane| {
        (frames + lane.frames, bytes + lane.bytes)
    });
    assert_eq!((frames, bytes), (outbox.frames, outbox.bytes));
    let tcp = explanation.tcp.expect("Linux tells");
    assert!(tcp.unsent_bytes > 0, "{tcp:?}");
    let of = |channel: &str| {
        let found = explanation.subscriptions.iter();
        let mut found = found.filter(|it| it.channel == channel);
        found.next().expect("it is subscribed").clone()
    };
    let room = of("room.1");
    assert_eq!((&*room.class, room.is_behind), ("latest", true), "{room:?}");
    assert!(room.lag_publications > 0 && room.lag_bytes > 0, "{room:?}");
    assert_eq!(room.waits_for, "room");
    let log = of("log.1");
    let dropped = outbox.dropped_publications;
    assert!(dropped > 0 && dropped + log.queued_publications <= 200);
    assert_eq!(log.head, last);
    // What it lacks waits in the outbox, was let go, or comes from the log.
    assert!(log.queued_publications > 0 || log.is_behind, "{log:?}");
    drop((deaf, fast));
    gateway.finish().await;
}

#[tokio::test]
async fn the_flight_recorder_shows_what_passed_from_when_it_is_switched_on() {
    let gateway = Gateway::start(|_| {}).await;
    for json in [false, true] {
        let user = if json { "bob" } else { "alice" };
        let mut client = match json {
            true => gateway.json_client(user).await,
            false => gateway.client(user).await,
        };
        client.subscribe(1, "room.1").await;
        let begun = explain(&gateway, user, 60_000).await;
        assert_eq!(recorded(begun.recording), []);
        client.subscribe(2, "log.1").await;
        client.send(publish(3, "room.1", "x")).await;
        client.accepted().await;
        client.publication().await;
        client.send(unsubscribe(4, "log.1")).await;
        client.unsubscribed().await;
        client.send(testkit::ping(7)).await;
        client.pong().await;
        let recording = explain(&gateway, user, 0).await.recording;
        let mut passed = recorded(recording);
        let mut took = |is_inbound: bool, kind: &str, subject: &str| {
            let entry = (is_inbound, kind.to_owned(), subject.to_owned());
            let at = passed.iter().position(|it| *it == entry);
            let at = at.unwrap_or_else(|| panic!("{entry:?} is not in {passed:?}"));
            passed.remove(at);
        };
        took(true, "subscribe", "log.1");
        took(false, "subscribed", "log.1");
        took(true, "publish", "room.1");
        took(false, "accepted", "");
        took(false, "publications", "room.1");
        took(true, "unsubscribe", "log.1");
        took(false, "unsubscribed", "");
        took(true, "ping_event", "");
        took(false, "pong_event", "");
        assert_eq!(passed, []);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn how_earlier_connections_of_the_user_ended_is_remembered() {
    let gateway = Gateway::start(|config| config.shards = 2).await;
    let (mut first, _, _) = welcomed(&gateway, "alice").await;
    assert_eq!(disconnect(&gateway, to_user("alice")).await, 1);
    first.expect_close().await;
    drop(first);
    let _second = gateway.client("alice").await;
    let _other = gateway.client("bob").await;
    // The shard sees the end of the first when it sees it.
    let past = loop {
        let past = explain(&gateway, "alice", 0).await.past_closes;
        if !past.is_empty() {
            break past;
        }
        tokio::task::yield_now().await;
    };
    let causes: Vec<_> = past.iter().map(|close| &*close.cause).collect();
    assert_eq!(causes, ["disconnected_by_server"]);
    assert!(past[0].at.is_some());
    assert!(explain(&gateway, "bob", 0).await.past_closes.is_empty());
    gateway.finish().await;
}

#[tokio::test]
async fn only_so_many_connections_are_recorded_at_once() {
    let gateway = Gateway::start(|_| {}).await;
    let mut clients = Vec::new();
    for number in 0..65 {
        let user = format!("user-{number}");
        clients.push(gateway.client(&user).await);
        let explanation = explain(&gateway, &user, 60_000).await;
        let refused = !explanation.recording_refused.is_empty();
        assert_eq!(refused, number == 64, "{number}");
        assert_eq!(explanation.recording.is_none(), refused);
    }
    // Who goes gives its place back.
    drop(clients.swap_remove(0));
    while !explain(&gateway, "user-64", 60_000)
        .await
        .recording_refused
        .is_empty()
    {
        tokio::task::yield_now().await;
    }
    gateway.finish().await;
}
