//! What goes before what on a connection that is slow.

use hub::{DeliveryPolicy, Fact, Hub, MemberId, OutboxLimits, Start};
use wire::{
    Subprotocol,
    client::{Response, ServerEvent, Unsubscribed, server_event::Event},
};

use crate::support::{
    CATCH_UP, DISCONNECT, DROP_OLDEST, ROOMY, channel, hub, of_priority, pong, publication, read,
    source,
};

const ALICE: MemberId = MemberId(0);

/// Bytes of a frame, roughly, so that some of them make a quantum.
const FRAME: usize = 1_000;

/// What came, briefly.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Came {
    /// An offset of a channel.
    Of(u32, u64),
    /// So many of a channel were dropped.
    Gap(u32, u64),
    Response(u32),
    Pong(u32),
    Unsubscribed(u32),
}

/// Alice, subscribed to channels 1, 2, … of these policies.
fn alice(limits: OutboxLimits, policies: &[DeliveryPolicy]) -> Hub {
    let mut hub = hub(limits, 1);
    for (alias, policy) in (1..).zip(policies) {
        let name = channel(&format!("room.{alias}"));
        let entered = hub.subscribe(ALICE, &name, source(alias, *policy), Start::Now);
        entered.expect("new");
    }
    hub
}

/// One turn per offset.
fn publish(hub: &mut Hub, alias: u32, offsets: impl IntoIterator<Item = u64>) {
    for offset in offsets {
        hub.publish(&publication(alias, offset, FRAME));
        hub.fan_out();
    }
}

fn respond(hub: &mut Hub, id: u32) {
    let response = Response {
        id,
        ..Response::default()
    };
    let event = Some(Event::Response(response));
    hub.send(ALICE, &ServerEvent { event }, None);
}

/// Everything that waits, in order.
fn came(hub: &mut Hub) -> Vec<Came> {
    let messages = read(hub, 0, Subprotocol::Protobuf);
    let brief = |event| match event {
        Event::Publication(publication) => Came::Of(publication.alias, publication.offset),
        Event::Gap(gap) => Came::Gap(gap.alias, gap.dropped),
        Event::Response(response) => Came::Response(response.id),
        Event::Pong(pong) => Came::Pong(pong.nonce),
        Event::Unsubscribed(unsubscribed) => Came::Unsubscribed(unsubscribed.alias),
        other => panic!("nobody sent {other:?}"),
    };
    messages.into_iter().flatten().map(brief).collect()
}

#[test]
fn the_higher_priority_goes_first_but_for_what_is_half_written() {
    let mut hub = alice(ROOMY, &[DROP_OLDEST, of_priority(DROP_OLDEST, 5)]);
    publish(&mut hub, 1, 1..=3);
    hub.wrote(ALICE, 10);
    let head = hub.outbox(ALICE).gather(&mut Vec::new(), 1).len();
    publish(&mut hub, 2, 1..=2);
    hub.wrote(ALICE, head);
    let expected = [
        Came::Of(2, 1),
        Came::Of(2, 2),
        Came::Of(1, 2),
        Came::Of(1, 3),
    ];
    assert_eq!(came(&mut hub), expected);
}

#[test]
fn answers_go_before_publications_and_pongs_do_not() {
    let mut hub = alice(ROOMY, &[DROP_OLDEST, of_priority(DROP_OLDEST, 9)]);
    publish(&mut hub, 1, 1..=2);
    hub.send(ALICE, &pong(7), None);
    publish(&mut hub, 2, 1..=1);
    respond(&mut hub, 1);
    respond(&mut hub, 2);
    let expected = [
        Came::Response(1),
        Came::Response(2),
        Came::Of(2, 1),
        Came::Of(1, 1),
        Came::Of(1, 2),
        Came::Pong(7),
    ];
    assert_eq!(came(&mut hub), expected);
}

#[test]
fn the_end_of_a_subscription_stays_behind_its_publications_and_holds_nobody_up() {
    let mut hub = alice(ROOMY, &[DROP_OLDEST, DROP_OLDEST]);
    publish(&mut hub, 1, 1..=1);
    publish(&mut hub, 2, 1..=1);
    hub.unsubscribe(ALICE, &channel("room.1"))
        .expect("subscribed");
    let unsubscribed = Unsubscribed {
        alias: 1,
        ..Unsubscribed::default()
    };
    let event = Some(Event::Unsubscribed(unsubscribed));
    hub.send(ALICE, &ServerEvent { event }, None);
    respond(&mut hub, 1);
    let expected = [
        Came::Response(1),
        Came::Of(1, 1),
        Came::Unsubscribed(1),
        Came::Of(2, 1),
    ];
    assert_eq!(came(&mut hub), expected);
}

#[test]
fn the_latest_state_of_a_channel_stays_before_its_publications() {
    let mut hub = alice(ROOMY, &[DROP_OLDEST, of_priority(DROP_OLDEST, 9)]);
    publish(&mut hub, 1, 1..=1);
    let state = frame(&mut hub, 50);
    hub.send_state(ALICE, 2, state);
    publish(&mut hub, 2, 51..=51);
    let expected = [Came::Of(1, 1), Came::Pong(50), Came::Of(2, 51)];
    assert_eq!(came(&mut hub), expected);
}

/// A whole message that a hub can be given.
fn frame(hub: &mut Hub, nonce: u32) -> std::rc::Rc<[u8]> {
    let bob = MemberId(1);
    hub.join(bob, Subprotocol::Protobuf);
    hub.send(bob, &pong(nonce), None);
    hub.outbox(bob).gather(&mut Vec::new(), 1_000).into()
}

#[test]
fn a_thin_channel_does_not_wait_for_a_fat_one() {
    let mut hub = alice(ROOMY, &[DROP_OLDEST, DROP_OLDEST]);
    publish(&mut hub, 1, 1..=1);
    hub.stalled(ALICE);
    publish(&mut hub, 1, 2..=20);
    publish(&mut hub, 2, 1..=1);
    publish(&mut hub, 1, 21..=21);
    let came = came(&mut hub);
    let thin = came.iter().position(|&each| each == Came::Of(2, 1));
    assert_eq!(thin, Some(1), "{came:?}");
    let fat: Vec<_> = came
        .into_iter()
        .filter(|each| matches!(each, Came::Of(1, _)))
        .collect();
    assert_eq!(
        fat,
        (1..=21)
            .map(|offset| Came::Of(1, offset))
            .collect::<Vec<_>>()
    );
}

#[test]
fn channels_of_a_priority_share_a_slow_connection() {
    let mut hub = alice(ROOMY, &[DROP_OLDEST; 3]);
    publish(&mut hub, 1, 1..=1);
    hub.stalled(ALICE);
    // One after the other; what they brought first does not count.
    for alias in 1..=3 {
        publish(&mut hub, alias, 2..=31);
    }
    let came = came(&mut hub);
    for alias in 1..=3 {
        let half = came[..46]
            .iter()
            .filter(|each| matches!(each, Came::Of(of, _) if *of == alias));
        let half = half.count();
        assert!((14..=17).contains(&half), "{half} of {alias} in {came:?}");
    }
}

#[test]
fn what_is_let_go_is_of_the_lowest_priority_and_of_whom_has_most() {
    let limits = OutboxLimits {
        bytes: 1 << 20,
        items: 6,
    };
    let policies = [
        of_priority(DROP_OLDEST, 1),
        DROP_OLDEST,
        of_priority(DROP_OLDEST, 2),
    ];
    let mut hub = alice(limits, &policies);
    hub.send(ALICE, &pong(1), None);
    hub.stalled(ALICE);
    publish(&mut hub, 3, 1..=1);
    publish(&mut hub, 2, 1..=2);
    publish(&mut hub, 1, 1..=6);
    publish(&mut hub, 2, 3..=3);
    let expected = [
        Came::Of(3, 1),
        // The ping's answer is no barrier to those who hurry.
        Came::Gap(1, 4),
        Came::Of(1, 5),
        Came::Of(1, 6),
        Came::Pong(1),
        Came::Gap(2, 3),
    ];
    assert_eq!(came(&mut hub), expected);
}

#[test]
fn an_important_channel_that_may_not_lose_is_not_disconnected_for_others() {
    let limits = OutboxLimits {
        bytes: 1 << 20,
        items: 4,
    };
    let mut hub = alice(limits, &[DROP_OLDEST, of_priority(DISCONNECT, 3)]);
    publish(&mut hub, 1, 1..=9);
    publish(&mut hub, 2, 1..=3);
    publish(&mut hub, 1, 10..=19);
    let came = came(&mut hub);
    let important = [Came::Of(2, 1), Came::Of(2, 2), Came::Of(2, 3)];
    assert!(came.starts_with(&important), "{came:?}");
    assert_eq!(hub.next_fact(), None::<Fact>);
}

#[test]
fn an_important_channel_with_a_log_takes_its_room_from_others() {
    let limits = OutboxLimits {
        bytes: 1 << 20,
        items: 4,
    };
    let mut hub = alice(limits, &[DROP_OLDEST]);
    let orders = of_priority(CATCH_UP, 3);
    let from = hub::Source {
        place: Some(hub::Place::default()),
        ..source(2, orders)
    };
    let entered = hub.subscribe(ALICE, &channel("room.2"), from, Start::Now);
    entered.expect("new");
    publish(&mut hub, 1, 1..=9);
    publish(&mut hub, 2, 1..=2);
    assert_eq!(hub.totals().lagging, 0);
    let came = came(&mut hub);
    assert!(
        came.starts_with(&[Came::Of(2, 1), Came::Of(2, 2)]),
        "{came:?}"
    );
}

#[test]
fn who_is_behind_is_fed_beside_a_channel_that_is_always_full() {
    let limits = OutboxLimits {
        bytes: 1 << 20,
        items: 8,
    };
    let mut hub = alice(limits, &[DROP_OLDEST]);
    let from = hub::Source {
        place: Some(hub::Place::default()),
        ..source(2, CATCH_UP)
    };
    let entered = hub.subscribe(ALICE, &channel("room.2"), from, Start::Now);
    entered.expect("new");
    publish(&mut hub, 1, 1..=20);
    publish(&mut hub, 2, 1..=20);
    assert_eq!(hub.totals().lagging, 1);
    let mut next = 1;
    let mut noise = 20;
    for _ in 0..200 {
        let written = hub.outbox(ALICE).gather(&mut Vec::new(), 1).len();
        let event = crate::support::decode(
            hub.outbox(ALICE).gather(&mut Vec::new(), 1),
            Subprotocol::Protobuf,
        );
        for event in event.0.into_iter().flatten() {
            if let Event::Publication(publication) = event
                && publication.alias == 2
            {
                assert_eq!(publication.offset, next);
                next += 1;
            }
        }
        hub.wrote(ALICE, written);
        hub.stalled(ALICE);
        noise += 1;
        publish(&mut hub, 1, noise..=noise);
        hub.feed();
    }
    assert_eq!(next, 21, "all of it came");
}
