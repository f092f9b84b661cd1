//! Subscriptions, fan-out and writing while nobody is slow.

use std::rc::Rc;

use hub::{AlreadySubscribed, Fact, Hub, Left, MemberId, Start, Totals};
use wire::{
    Subprotocol,
    client::{GapCause, server_event::Event},
};

use crate::support::{DROP_OLDEST, Got, ROOMY, channel, got, hub, pong, publication, read, source};

const ALICE: MemberId = MemberId(0);
const BOB: MemberId = MemberId(1);

fn dirty(hub: &mut Hub) -> Vec<MemberId> {
    std::iter::from_fn(|| hub.next_dirty()).collect()
}

#[test]
fn publications_of_one_turn_leave_as_one_message_in_either_subprotocol() {
    let mut hub = Hub::new(ROOMY);
    let room = channel("room.1");
    for (member, subprotocol) in [ALICE, BOB].into_iter().zip(Subprotocol::ALL) {
        hub.join(member, subprotocol);
        hub.subscribe(member, &room, source(1, DROP_OLDEST), Start::Now)
            .expect("new");
    }
    for offset in 1..=3 {
        hub.publish(&publication(1, offset, 10));
    }
    hub.fan_out();
    for (member, subprotocol) in [ALICE, BOB].into_iter().zip(Subprotocol::ALL) {
        let messages = read(&mut hub, member.0, subprotocol);
        let [message] = messages.as_slice() else {
            panic!("one message")
        };
        let offsets = message.iter().map(|event| match event {
            Event::Publication(publication) => publication.offset,
            other => panic!("nobody sent {other:?}"),
        });
        assert_eq!(offsets.collect::<Vec<_>>(), [1, 2, 3]);
    }
}

#[test]
fn a_message_of_publications_is_bounded() {
    let mut hub = hub(ROOMY, 1);
    hub.subscribe(ALICE, &channel("room"), source(1, DROP_OLDEST), Start::Now)
        .expect("new");
    for (offset, bytes) in (1..).zip([6_000, 6_000, 6_000, 50_000, 10]) {
        hub.publish(&publication(1, offset, bytes));
    }
    hub.fan_out();
    let messages = read(&mut hub, 0, Subprotocol::Protobuf);
    assert_eq!(
        messages.iter().map(Vec::len).collect::<Vec<_>>(),
        [2, 1, 1, 1]
    );
}

#[test]
fn a_new_listener_gets_nothing_older_than_its_subscription() {
    let mut hub = hub(ROOMY, 2);
    let room = channel("room");
    hub.subscribe(ALICE, &room, source(1, DROP_OLDEST), Start::Now)
        .expect("new");
    hub.publish(&publication(1, 1, 10));
    hub.subscribe(BOB, &room, source(1, DROP_OLDEST), Start::Now)
        .expect("new");
    hub.publish(&publication(1, 2, 10));
    hub.fan_out();
    assert_eq!(got(&mut hub, 0), [Got::Offset(1), Got::Offset(2)]);
    assert_eq!(got(&mut hub, 1), [Got::Offset(2)]);
}

#[test]
fn publications_before_an_unsubscription_come_before_its_answer() {
    let mut hub = hub(ROOMY, 2);
    let room = channel("room");
    hub.subscribe(ALICE, &room, source(1, DROP_OLDEST), Start::Now)
        .expect("new");
    hub.subscribe(BOB, &room, source(1, DROP_OLDEST), Start::Now)
        .expect("new");
    hub.publish(&publication(1, 1, 10));
    assert_eq!(
        hub.unsubscribe(ALICE, &room),
        Some(Left {
            alias: 1,
            last: false
        })
    );
    hub.send(ALICE, &pong(7), None);
    hub.publish(&publication(1, 2, 10));
    hub.fan_out();
    assert_eq!(got(&mut hub, 0), [Got::Offset(1), Got::Pong(7)]);
    assert_eq!(hub.unsubscribe(ALICE, &room), None);
    assert_eq!(
        hub.unsubscribe(BOB, &room),
        Some(Left {
            alias: 1,
            last: true
        })
    );
}

#[test]
fn who_listens_is_known() {
    let mut hub = hub(ROOMY, 2);
    let (red, blue) = (channel("red"), channel("blue"));
    hub.subscribe(ALICE, &red, source(1, DROP_OLDEST), Start::Now)
        .expect("new");
    assert_eq!(
        hub.subscribe(ALICE, &red, source(1, DROP_OLDEST), Start::Now),
        Err(AlreadySubscribed)
    );
    hub.subscribe(ALICE, &blue, source(2, DROP_OLDEST), Start::Now)
        .expect("new");
    hub.subscribe(BOB, &blue, source(2, DROP_OLDEST), Start::Now)
        .expect("new");
    assert_eq!((hub.listeners(&red), hub.listeners(&blue)), (1, 2));
    assert!(hub.is_subscribed(BOB, &blue) && !hub.is_subscribed(BOB, &red));
    assert_eq!(hub.channels_of(ALICE).collect::<Vec<_>>(), [&red, &blue]);
    assert_eq!(hub.leave(ALICE), [red]);
    assert_eq!(
        (hub.subscription_count(ALICE), hub.subscription_count(BOB)),
        (0, 1)
    );
    assert_eq!(hub.leave(BOB), [blue]);
    assert_eq!(hub.totals(), Totals::default());
}

#[test]
fn what_the_gateway_lost_is_told_in_its_place() {
    let mut hub = hub(ROOMY, 1);
    hub.subscribe(ALICE, &channel("room"), source(1, DROP_OLDEST), Start::Now)
        .expect("new");
    hub.publish(&publication(1, 1, 10));
    hub.gap(1, 4, GapCause::GatewayOverloaded, None);
    hub.gap(1, 5, GapCause::GatewayOverloaded, None);
    hub.publish(&publication(1, 11, 10));
    hub.gap(2, 1, GapCause::GatewayOverloaded, None);
    hub.fan_out();
    assert_eq!(
        got(&mut hub, 0),
        [Got::Offset(1), Got::Gap(9, 0, 0), Got::Offset(11)]
    );
}

#[test]
fn each_member_with_something_new_is_named_once() {
    let mut hub = hub(ROOMY, 3);
    hub.subscribe(ALICE, &channel("room"), source(1, DROP_OLDEST), Start::Now)
        .expect("new");
    hub.subscribe(BOB, &channel("room"), source(1, DROP_OLDEST), Start::Now)
        .expect("new");
    hub.send(BOB, &pong(1), None);
    hub.publish(&publication(1, 1, 10));
    hub.fan_out();
    assert_eq!(dirty(&mut hub), [BOB, ALICE]);
    assert_eq!(dirty(&mut hub), []);
    hub.send(ALICE, &pong(2), None);
    assert_eq!(dirty(&mut hub), [ALICE]);
}

#[test]
fn the_next_member_of_a_slot_gets_nothing_of_the_last() {
    let mut hub = hub(ROOMY, 1);
    hub.send(ALICE, &pong(1), Some(5));
    let bytes = hub.outbox(ALICE).gather(&mut Vec::new(), 1000).len();
    hub.wrote(ALICE, bytes);
    hub.send(ALICE, &pong(2), None);
    hub.leave(ALICE);
    hub.join(ALICE, Subprotocol::Protobuf);
    assert!(hub.outbox(ALICE).is_empty());
    assert_eq!((hub.next_fact(), hub.next_dirty()), (None, None));
}

#[test]
fn a_receipt_is_told_when_the_last_byte_is_written() {
    let mut hub = hub(ROOMY, 1);
    hub.send(ALICE, &pong(1), Some(77));
    let bytes = hub.outbox(ALICE).gather(&mut Vec::new(), 1000).len();
    hub.wrote(ALICE, bytes - 1);
    assert_eq!(hub.next_fact(), None);
    hub.wrote(ALICE, 1);
    assert_eq!(
        hub.next_fact(),
        Some(Fact::Written {
            member: ALICE,
            receipt: 77
        })
    );
    assert_eq!(hub.next_fact(), None);
}

#[test]
fn gathering_takes_whole_frames_up_to_the_limit() {
    let mut hub = hub(ROOMY, 1);
    for frame in [[1_u8; 10], [2; 10], [3; 10]] {
        hub.send_frame(ALICE, Rc::from(frame));
    }
    hub.wrote(ALICE, 4);
    let mut scratch = vec![9; 3];
    assert_eq!(
        hub.outbox(ALICE).gather(&mut scratch, 25),
        [[1; 6].as_slice(), &[2; 10]].concat()
    );
    assert_eq!(hub.outbox(ALICE).gather(&mut scratch, 6), [1; 6]);
    let slices = hub.outbox(ALICE).slices();
    assert_eq!(
        slices.iter().map(|slice| slice.len()).collect::<Vec<_>>(),
        [6, 10, 10]
    );
}
