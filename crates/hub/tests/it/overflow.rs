//! Members that read too slowly.

use std::rc::Rc;

use hub::{DeliveryPolicy, Fact, Hub, ITEM_OVERHEAD, MemberId, OutboxLimits, Start};
use wire::client::GapCause;

use crate::support::{DISCONNECT, DROP_OLDEST, Got, channel, got, hub, pong, publication, source};

const ALICE: MemberId = MemberId(0);
const FOUR: OutboxLimits = OutboxLimits {
    bytes: 100_000,
    items: 4,
};

/// Alice, subscribed to channels 1 and 2 of these policies.
fn alice(limits: OutboxLimits, policies: [DeliveryPolicy; 2]) -> Hub {
    let mut hub = hub(limits, 1);
    for (alias, policy) in (1..).zip(policies) {
        hub.subscribe(
            ALICE,
            &channel(&format!("room.{alias}")),
            source(alias, policy),
            Start::Now,
        )
        .expect("new");
    }
    hub
}

/// One turn per offset.
fn publish(hub: &mut Hub, alias: u32, offsets: impl IntoIterator<Item = u64>, bytes: usize) {
    for offset in offsets {
        hub.publish(&publication(alias, offset, bytes));
        hub.fan_out();
    }
}

fn facts(hub: &mut Hub) -> Vec<Fact> {
    std::iter::from_fn(|| hub.next_fact()).collect()
}

#[test]
fn the_oldest_publications_are_replaced_by_one_gap() {
    let mut hub = alice(FOUR, [DROP_OLDEST; 2]);
    publish(&mut hub, 1, 1..=10, 10);
    assert_eq!(hub.totals().dropped, 7);
    let expected = [
        Got::Gap(7, 1, 7),
        Got::Offset(8),
        Got::Offset(9),
        Got::Offset(10),
    ];
    assert_eq!(got(&mut hub, 0), expected);
    assert_eq!(facts(&mut hub), []);
}

#[test]
fn bytes_are_limited_too() {
    let frame = 1_000 + 2 + 2 + 3 + 2 + 2 + 2 + 4;
    let limits = OutboxLimits {
        bytes: 3 * (frame + ITEM_OVERHEAD),
        items: 1_000,
    };
    let mut hub = alice(limits, [DROP_OLDEST; 2]);
    publish(&mut hub, 1, 1..=5, 1_000);
    assert!(hub.outbox(ALICE).bytes() <= limits.bytes);
    assert_eq!(
        got(&mut hub, 0),
        [Got::Gap(3, 1, 3), Got::Offset(4), Got::Offset(5)]
    );
}

#[test]
fn a_gap_stays_within_one_subscription() {
    let mut hub = alice(FOUR, [DROP_OLDEST; 2]);
    publish(&mut hub, 1, 1..=2, 10);
    hub.send(ALICE, &pong(1), None);
    publish(&mut hub, 1, 3..=9, 10);
    let expected = [
        Got::Gap(2, 1, 2),
        Got::Pong(1),
        Got::Gap(6, 3, 8),
        Got::Offset(9),
    ];
    assert_eq!(got(&mut hub, 0), expected);
}

#[test]
fn a_partly_written_message_is_neither_dropped_nor_changed() {
    let mut hub = alice(FOUR, [DROP_OLDEST; 2]);
    publish(&mut hub, 1, 1..=1, 10);
    hub.wrote(ALICE, 1);
    let rest = hub.outbox(ALICE).gather(&mut Vec::new(), 1_000).to_vec();
    publish(&mut hub, 1, 2..=9, 10);
    assert!(
        hub.outbox(ALICE)
            .gather(&mut Vec::new(), 1)
            .starts_with(&rest)
    );
    hub.wrote(ALICE, rest.len());
    assert_eq!(
        got(&mut hub, 0),
        [Got::Gap(6, 2, 7), Got::Offset(8), Got::Offset(9)]
    );
}

#[test]
fn what_can_never_fit_costs_nothing_but_itself() {
    let mut hub = alice(
        OutboxLimits {
            bytes: 2_000,
            items: 100,
        },
        [DROP_OLDEST; 2],
    );
    publish(&mut hub, 1, 1..=2, 10);
    publish(&mut hub, 1, 3..=3, 5_000);
    publish(&mut hub, 1, 4..=4, 10);
    let expected = [
        Got::Offset(1),
        Got::Offset(2),
        Got::Gap(1, 3, 3),
        Got::Offset(4),
    ];
    assert_eq!(got(&mut hub, 0), expected);
}

#[test]
fn answers_make_room_among_publications() {
    let mut hub = alice(FOUR, [DROP_OLDEST; 2]);
    publish(&mut hub, 1, 1..=4, 10);
    hub.send(ALICE, &pong(1), None);
    let expected = [
        Got::Gap(2, 1, 2),
        Got::Offset(3),
        Got::Offset(4),
        Got::Pong(1),
    ];
    assert_eq!(got(&mut hub, 0), expected);
    assert_eq!(facts(&mut hub), []);
}

#[test]
fn a_lost_range_within_dropped_publications_is_counted() {
    let mut hub = alice(FOUR, [DROP_OLDEST; 2]);
    hub.publish(&publication(1, 1, 10));
    hub.gap(1, 3, GapCause::Bus, None);
    hub.fan_out();
    publish(&mut hub, 1, 5..=8, 10);
    let expected = [
        Got::Gap(5, 1, 5),
        Got::Offset(6),
        Got::Offset(7),
        Got::Offset(8),
    ];
    assert_eq!(got(&mut hub, 0), expected);
}

#[test]
fn disconnect_is_told_once_and_lets_go_of_publications() {
    let mut hub = alice(FOUR, [DISCONNECT; 2]);
    hub.send(ALICE, &pong(1), None);
    publish(&mut hub, 1, 1..=9, 10);
    assert_eq!(facts(&mut hub), [Fact::Overflowed { member: ALICE }]);
    hub.send(ALICE, &pong(2), None);
    assert_eq!(got(&mut hub, 0), [Got::Pong(1), Got::Pong(2)]);
    assert_eq!(hub.totals().queued_bytes, 0);
}

#[test]
fn publications_that_may_be_dropped_give_way_to_those_that_may_not() {
    let mut hub = alice(FOUR, [DROP_OLDEST, DISCONNECT]);
    publish(&mut hub, 1, 1..=4, 10);
    publish(&mut hub, 2, 1..=2, 10);
    let expected = [
        Got::Gap(3, 1, 3),
        Got::Offset(4),
        Got::Offset(1),
        Got::Offset(2),
    ];
    assert_eq!(got(&mut hub, 0), expected);
    assert_eq!(facts(&mut hub), []);
}

#[test]
fn answers_that_do_not_fit_overflow_the_member() {
    let mut hub = alice(FOUR, [DROP_OLDEST; 2]);
    for _ in 0..6 {
        hub.send_frame(ALICE, Rc::from([0x8a, 0]));
    }
    assert_eq!(facts(&mut hub), [Fact::Overflowed { member: ALICE }]);
    assert_eq!(hub.outbox(ALICE).items(), 4);
}

#[test]
fn a_slow_member_costs_others_nothing() {
    let mut hub = alice(FOUR, [DROP_OLDEST; 2]);
    hub.join(MemberId(1), wire::Subprotocol::Protobuf);
    hub.subscribe(
        MemberId(1),
        &channel("room.1"),
        source(1, DROP_OLDEST),
        Start::Now,
    )
    .expect("new");
    for offset in 1..=20 {
        publish(&mut hub, 1, [offset], 10);
        assert_eq!(got(&mut hub, 1), [Got::Offset(offset)]);
    }
    assert_eq!(hub.outbox(ALICE).items(), 4);
}
