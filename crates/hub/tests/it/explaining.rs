//! What a hub says of one member when it is asked.

use hub::{
    Class, DeliveryPolicy, DepartureKind, Hub, Loss, Lot, MemberId, OutboxLimits, Overflow, Place,
    Source, Start, WaitsFor,
};

use crate::support::{
    CATCH_UP, DROP_OLDEST, ROOMY, channel, got, hub, keyed, pong, publication, source,
};

const ALICE: MemberId = MemberId(0);
const FOUR: OutboxLimits = OutboxLimits {
    bytes: 100_000,
    items: 4,
};

/// Alice alone, subscribed to `room.1`.
fn alice(limits: OutboxLimits, source: Source) -> Hub {
    let mut hub = hub(limits, 1);
    hub.subscribe(ALICE, &channel("room.1"), source, Start::Now)
        .expect("new");
    hub
}

fn logged(policy: DeliveryPolicy) -> Source {
    Source {
        place: Some(Place::default()),
        ..source(1, policy)
    }
}

/// One turn per offset.
fn publish(hub: &mut Hub, offsets: impl IntoIterator<Item = u64>) {
    for offset in offsets {
        hub.publish(&publication(1, offset, 100));
        hub.fan_out();
    }
}

#[test]
fn what_is_queued_and_what_was_let_go_is_all_that_was_published() {
    let mut hub = alice(FOUR, source(1, DROP_OLDEST));
    hub.send(ALICE, &pong(1), None);
    publish(&mut hub, 1..=10);
    let [one] = &hub.explain(ALICE)[..] else {
        panic!("one subscription");
    };
    assert_eq!((one.channel.as_str(), one.alias), ("room.1", 1));
    assert_eq!(
        (one.class, one.overflow),
        (Class::All, Overflow::DropOldest)
    );
    assert_eq!(
        (one.is_behind, one.waits_for, one.lag),
        (false, None, Lot::default())
    );
    let Loss { dropped, conflated } = hub.loss(ALICE);
    assert_eq!((one.queued.publications + dropped, conflated), (10, 0));
    assert!(dropped > 0 && one.queued.bytes > 100 * one.queued.publications);
    let lanes = hub.outbox(ALICE).lanes();
    let frames: Vec<_> = lanes.iter().map(|lane| (lane.name, lane.frames)).collect();
    let publications_and_gap = one.queued.publications + 1;
    assert_eq!(
        frames,
        [("control", 1), ("priority 0", publications_and_gap)]
    );
    let bytes: u64 = lanes.iter().map(|lane| lane.bytes).sum();
    assert_eq!(bytes, hub.outbox(ALICE).bytes() as u64);
    got(&mut hub, 0);
    assert_eq!(hub.loss(ALICE).dropped, dropped);
    // Whoever has the place next has lost nothing.
    hub.leave(ALICE);
    assert_eq!(hub.loss(ALICE), Loss::default());
    assert!(hub.explain(ALICE).is_empty());
}

#[test]
fn frames_depart_when_their_last_byte_does() {
    let mut hub = alice(FOUR, source(1, DROP_OLDEST));
    hub.send(ALICE, &pong(1), None);
    publish(&mut hub, 1..=10);
    let lengths: Vec<_> = hub
        .outbox(ALICE)
        .slices()
        .iter()
        .map(|it| it.len())
        .collect();
    let kinds = |hub: &Hub, bytes| -> Vec<_> {
        let departures = hub.departures(ALICE, bytes);
        let named = departures.map(|it| (it.kind, it.channel.map(|it| it.to_string())));
        named.collect()
    };
    assert_eq!(kinds(&hub, lengths[0] - 1), []);
    assert_eq!(kinds(&hub, lengths[0]), [(DepartureKind::Control, None)]);
    hub.wrote(ALICE, lengths[0] - 1);
    assert_eq!(kinds(&hub, 1), [(DepartureKind::Control, None)]);
    let room = || Some("room.1".to_owned());
    let all = lengths.iter().sum::<usize>() - (lengths[0] - 1);
    let dropped = hub.loss(ALICE).dropped;
    let mut expected = vec![
        (DepartureKind::Control, None),
        (DepartureKind::Gap(dropped), room()),
    ];
    expected.resize(lengths.len(), (DepartureKind::Publications(1), room()));
    assert_eq!(kinds(&hub, all), expected);
}

#[test]
fn who_is_behind_in_a_log_says_by_how_much() {
    let mut hub = alice(FOUR, logged(CATCH_UP));
    publish(&mut hub, 1..=3);
    let live = hub.explain(ALICE)[0];
    assert_eq!((live.is_behind, live.position, live.head), (false, 3, 3));
    publish(&mut hub, 4..=20);
    let behind = hub.explain(ALICE)[0];
    assert!(behind.is_behind && behind.waits_for.is_some(), "{behind:?}");
    assert_eq!((behind.head, hub.loss(ALICE)), (20, Loss::default()));
    assert_eq!(behind.position, behind.queued.publications);
    assert_eq!(behind.lag.publications, 20 - behind.position);
    assert!(behind.lag.bytes > 100 * behind.lag.publications);
}

#[test]
fn who_gets_the_newest_of_each_key_says_how_much_is_newer() {
    let policy = DeliveryPolicy {
        class: Class::Latest,
        overflow: Overflow::DropOldest,
        priority: 0,
        account: None,
    };
    let mut hub = alice(ROOMY, source(1, policy));
    let put = |hub: &mut Hub, number| {
        hub.publish(&keyed(1, ["a", "b"][number as usize % 2], number));
        hub.fan_out();
    };
    put(&mut hub, 0);
    assert!(hub.keeps_up(ALICE));
    assert!(hub.stalled(ALICE) && !hub.stalled(ALICE), "told once");
    assert!(!hub.keeps_up(ALICE));
    for number in 1..=9 {
        put(&mut hub, number);
    }
    let behind = hub.explain(ALICE)[0];
    assert_eq!((behind.class, behind.is_behind), (Class::Latest, true));
    assert_eq!((behind.lag.publications, behind.position), (9, 0));
    assert_eq!(behind.waits_for, Some(WaitsFor::Room));
    assert_eq!(behind.queued.publications, 1);
    got(&mut hub, 0);
    hub.feed();
    // Two came, and seven were replaced.
    assert_eq!(hub.loss(ALICE).conflated, 7);
    let live = hub.explain(ALICE)[0];
    assert_eq!((live.is_behind, live.lag), (false, Lot::default()));
}
