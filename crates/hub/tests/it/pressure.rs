//! All outboxes together hold too much.

use hub::{DeliveryPolicy, Fact, Hub, ITEM_OVERHEAD, MemberId, OutboxLimits, Source, Start};

use crate::support::{
    CATCH_UP, DISCONNECT, DROP_OLDEST, Got, channel, got, hub, pong, publication, source,
};

const LIMITS: OutboxLimits = OutboxLimits {
    bytes: 64 << 10,
    items: 1 << 10,
};

/// Members, who all listen to channel 1.
fn listening(members: u32, from: Source) -> Hub {
    let mut hub = hub(LIMITS, members);
    for member in 0..members {
        listen(&mut hub, member, from);
    }
    hub
}

fn listen(hub: &mut Hub, member: u32, from: Source) {
    let entered = hub.subscribe(MemberId(member), &channel("room.1"), from, Start::Now);
    entered.expect("new");
}

fn with_log(policy: DeliveryPolicy) -> Source {
    Source {
        place: Some(hub::Place::default()),
        ..source(1, policy)
    }
}

fn publish(hub: &mut Hub, offsets: std::ops::RangeInclusive<u64>) {
    for offset in offsets {
        hub.publish(&publication(1, offset, 1_000));
        hub.fan_out();
    }
}

fn bytes(hub: &Hub, member: u32) -> usize {
    hub.outbox(MemberId(member)).bytes()
}

#[test]
fn what_many_wait_for_is_held_once() {
    let mut hub = listening(10, source(1, DROP_OLDEST));
    publish(&mut hub, 1..=10);
    let one = bytes(&hub, 0) as u64;
    let places = 100 * ITEM_OVERHEAD as u64;
    assert_eq!(hub.held_bytes(), one - places / 10 + places);
    hub.send(MemberId(3), &pong(1), None);
    let more = bytes(&hub, 3) as u64 - one;
    assert_eq!(hub.held_bytes(), one - places / 10 + places + more);
    for member in 0..10 {
        hub.leave(MemberId(member));
    }
    assert_eq!(hub.held_bytes(), 0);
}

#[test]
fn the_largest_let_go_first_and_are_told() {
    let mut hub = listening(2, source(1, DROP_OLDEST));
    publish(&mut hub, 1..=20);
    got(&mut hub, 1);
    publish(&mut hub, 21..=30);
    let small = bytes(&hub, 1);
    hub.tighten();
    assert!(bytes(&hub, 0) <= hub.level());
    hub.tighten();
    assert_eq!((hub.level(), bytes(&hub, 1)), (LIMITS.bytes / 4, small));
    assert!(bytes(&hub, 0) <= hub.level());
    let dropped = hub.totals().dropped;
    let mut expected = vec![Got::Gap(dropped, 1, dropped)];
    expected.extend((dropped + 1..=30).map(Got::Offset));
    assert_eq!(got(&mut hub, 0), expected);
    assert_eq!(hub.loss(MemberId(1)).dropped, 0);
}

#[test]
fn what_comes_again_from_a_log_is_not_lost() {
    let mut hub = listening(1, with_log(CATCH_UP));
    publish(&mut hub, 1..=40);
    for _ in 0..3 {
        hub.tighten();
    }
    assert!(bytes(&hub, 0) <= hub.level());
    assert_eq!((hub.totals().dropped, hub.totals().lagging), (0, 1));
    let mut next = 1;
    while next <= 40 {
        for each in got(&mut hub, 0) {
            assert_eq!(each, Got::Offset(next));
            next += 1;
        }
        hub.feed();
        assert!(bytes(&hub, 0) <= hub.level());
    }
}

#[test]
fn the_level_holds_for_what_comes_until_it_is_raised() {
    let mut hub = listening(1, source(1, DROP_OLDEST));
    hub.tighten();
    hub.tighten();
    publish(&mut hub, 1..=60);
    assert!(bytes(&hub, 0) <= LIMITS.bytes / 4);
    // Answers are within the limits of the outbox still.
    let before = hub.totals().dropped;
    for nonce in 0..200 {
        hub.send(MemberId(0), &pong(nonce), None);
    }
    assert_eq!((hub.totals().dropped, hub.totals().overflowed), (before, 0));
    for _ in 0..5 {
        hub.relax();
    }
    assert_eq!(hub.level(), LIMITS.bytes);
    publish(&mut hub, 61..=80);
    assert!(bytes(&hub, 0) > LIMITS.bytes / 4);
}

#[test]
fn who_may_not_lose_is_given_up_last_and_the_largest_first() {
    let mut hub = listening(2, source(1, DISCONNECT));
    publish(&mut hub, 1..=10);
    got(&mut hub, 1);
    publish(&mut hub, 11..=20);
    let lowest = loop {
        let level = hub.level();
        hub.tighten();
        if hub.level() == level {
            break level;
        }
        assert_eq!(hub.next_fact(), None, "at {level}");
    };
    assert!(lowest < bytes(&hub, 1));
    let gone = |member| Some(Fact::Overflowed { member });
    assert_eq!(hub.next_fact(), gone(MemberId(0)));
    hub.tighten();
    assert_eq!(hub.next_fact(), gone(MemberId(1)));
    hub.tighten();
    assert_eq!(hub.next_fact(), None);
    assert_eq!(hub.held_bytes(), 0);
}
