//! Logs and wills.

use bytes::Bytes;
use wire::client::{ArmWill, DisarmWill, ErrorCode, History, Position, client_event::Event};

use super::{Bench, channel, error};
use crate::{Action, HistoryStart, reply};

fn history(id: u32, channel: &str) -> History {
    History {
        id,
        channel: channel.to_owned(),
        limit: 10,
        ..History::default()
    }
}

#[test]
fn a_read_begins_at_the_oldest_a_position_or_a_time() {
    let held = Position {
        epoch: "e".to_owned(),
        offset: 9,
    };
    let starts = [
        (None, 0, HistoryStart::Oldest),
        (Some(held.clone()), 0, HistoryStart::After(held.clone())),
        (None, 77, HistoryStart::Time(77)),
    ];
    for (since, since_time_ms, start) in starts {
        let read = History {
            since,
            since_time_ms,
            ..history(4, "open.a")
        };
        let asked = Action::History {
            id: 4,
            channel: channel("open.a"),
            start,
            limit: 10,
        };
        assert_eq!(Bench::new().handle(Event::History(read)), [asked]);
    }
    for (since, since_time_ms) in [(Some(held), 77), (None, -1)] {
        let read = History {
            since,
            since_time_ms,
            ..history(4, "open.a")
        };
        assert_eq!(
            Bench::new().handle(Event::History(read)),
            [error(4, ErrorCode::MalformedMessage)]
        );
    }
}

#[test]
fn a_read_that_is_not_allowed_gets_an_error() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.handle(Event::History(history(4, "closed.a"))),
        [error(4, ErrorCode::UnknownNamespace)]
    );
    assert_eq!(bench.session.in_flight(), 0);
}

#[test]
fn a_failed_read_is_told_once() {
    let mut bench = Bench::new();
    bench.handle(Event::History(history(4, "open.a")));
    let fail = |bench: &mut Bench| {
        let outcome = Err(ErrorCode::NoHistory);
        bench.answer(|session, actions| session.history(4, outcome, actions))
    };
    assert_eq!(fail(&mut bench), [error(4, ErrorCode::NoHistory)]);
    assert_eq!(fail(&mut bench), []);
}

#[test]
fn a_will_needs_the_right_to_call_and_is_answered_when_it_is_kept() {
    let mut bench = Bench::new();
    let arm = |id, route: &str| {
        Event::ArmWill(ArmWill {
            id,
            route: route.to_owned(),
            payload: Bytes::from_static(b"all"),
            grace_ms: 500,
        })
    };
    assert_eq!(
        bench.handle(arm(1, "secret")),
        [error(1, ErrorCode::UnknownRoute)]
    );
    let asked = Action::ArmWill {
        id: 2,
        route: "echo".to_owned(),
        payload: Bytes::from_static(b"all"),
        grace_ms: 500,
    };
    assert_eq!(bench.handle(arm(2, "echo")), [asked]);
    assert_eq!(
        bench.answer(|session, actions| session.will_settled(2, Ok(()), actions)),
        [Action::Send(reply::accepted(2, wire::Offset::NONE))]
    );
    assert_eq!(
        bench.handle(Event::DisarmWill(DisarmWill { id: 2 })),
        [Action::DisarmWill { id: 2 }]
    );
    let outcome = Err(wire::failure(ErrorCode::WillFired, ""));
    assert_eq!(
        bench.answer(|session, actions| session.will_settled(2, outcome, actions)),
        [error(2, ErrorCode::WillFired)]
    );
}
