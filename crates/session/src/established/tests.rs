//! Every rule of an established session, one by one: here those of the session
//! as a whole.

mod among;
mod by_server;
mod kept;
mod requests;
mod subscriptions;

use bytes::Bytes;
use wire::{
    CloseCause, Offset,
    client::{
        Ack, ErrorCode, Ping, Position, Publish, Request, SetSubscription, Subscribe,
        SubscribeOptions, Subscribed, Verdict, client_event::Event, server_event,
    },
};

use super::{
    Entered, Established, Stage,
    testing::{Bench, cancel, channel, hello, publish, request, subscribe, unsubscribe},
};
use crate::{action::Action, introduction::Introduction, reply};

fn error(id: u32, code: ErrorCode) -> Action {
    Action::Send(reply::error(id, code))
}

fn failed(id: u32, code: ErrorCode) -> Action {
    Action::Send(reply::response(id, Err(wire::failure(code, ""))))
}

fn answered(id: u32) -> Action {
    Action::Send(reply::response(id, Ok(Bytes::from_static(b"r"))))
}

fn pong(nonce: u32) -> Action {
    Action::Send(reply::pong(nonce))
}

fn closes(cause: CloseCause) -> Vec<Action> {
    vec![
        Action::Send(reply::closing(cause, 0, false)),
        Action::Close(cause),
    ]
}

fn forwarded(id: u32) -> Action {
    Action::Request {
        id,
        route: "echo".into(),
        payload: Bytes::from_static(b"q"),
        deadline_ms: 500,
        idempotency_key: String::new(),
        traceparent: "".into(),
    }
}

fn subscribing(id: u32, name: &str) -> Action {
    Action::Subscribe {
        id,
        channel: channel(name),
        since: None,
        options: None,
    }
}

fn subscribed(id: u32, name: &str) -> Action {
    let position = None;
    let verdict = Verdict::Fresh.into();
    let subscribed = Subscribed {
        id,
        channel: name.into(),
        verdict,
        position,
        alias: 9,
        conflates: false,
    };
    Action::Send(reply::event(server_event::Event::Subscribed(subscribed)))
}

fn entered(verdict: Verdict, alias: u32) -> Entered {
    Entered {
        verdict,
        position: None,
        alias,
        conflates: false,
    }
}

// === impl Bench ===

impl Bench {
    fn replied(&mut self, id: u32) -> Vec<Action> {
        self.answer(|session, actions| session.replied(id, Ok(Bytes::from_static(b"r")), actions))
    }

    fn subscribed(&mut self, id: u32, name: &str) -> Vec<Action> {
        self.answer(|session, actions| {
            session.subscribed(id, &channel(name), entered(Verdict::Fresh, 9), actions);
        })
    }

    fn subscribe_failed(&mut self, id: u32, name: &str, code: ErrorCode) -> Vec<Action> {
        self.answer(|session, actions| session.subscribe_failed(id, &channel(name), code, actions))
    }

    fn unsubscribed(&mut self, id: u32, name: &str) -> Vec<Action> {
        self.answer(|session, actions| session.unsubscribed(id, &channel(name), 9, actions))
    }
}

#[test]
fn an_idle_session_is_small() {
    assert!(
        size_of::<Established>() <= 64,
        "{}",
        size_of::<Established>()
    );
}

#[test]
fn hello_after_hello_closes_with_protocol_violation() {
    for token in ["", "t"] {
        let mut bench = Bench::new();
        assert_eq!(
            bench.handle(hello(token)),
            closes(CloseCause::ProtocolViolation)
        );
    }
}

#[test]
fn empty_hello_after_a_token_in_the_upgrade_is_welcomed_once() {
    let mut bench = Bench::at(Stage::HelloMayCome);
    let introduced = Action::Introduce(Introduction::default());
    assert_eq!(bench.handle(hello("")), [introduced, Action::Welcome]);
    assert_eq!(
        bench.handle(hello("")),
        closes(CloseCause::ProtocolViolation)
    );
}

#[test]
fn second_token_after_a_token_in_the_upgrade_closes_with_protocol_violation() {
    let mut bench = Bench::at(Stage::HelloMayCome);
    assert_eq!(
        bench.handle(hello("t")),
        closes(CloseCause::ProtocolViolation)
    );
}

#[test]
fn nothing_follows_a_close() {
    let mut bench = Bench::new();
    bench.handle(request(1, "echo"));
    bench.handle(hello(""));
    assert_eq!(bench.session.in_flight(), 0);
    assert_eq!(bench.handle(Event::Ping(Ping { nonce: 1 })), []);
    assert_eq!(bench.replied(1), []);
    let by_server = bench.answer(|session, actions| {
        session.unsubscribed_by_server(&channel("open.a"), 9, ErrorCode::PermissionDenied, actions);
    });
    assert_eq!(by_server, []);
}

#[test]
fn id_zero_is_a_protocol_violation_but_for_publish() {
    let mut bench = Bench::new();
    for event in [
        request(0, "echo"),
        subscribe(0, "open.a"),
        unsubscribe(0, "open.a"),
    ] {
        assert_eq!(
            bench.handle(event),
            [error(0, ErrorCode::ProtocolViolation)]
        );
    }
    assert_eq!(bench.handle(publish(0, "open.a")).len(), 1);
    assert_eq!(bench.session.in_flight(), 0);
}

#[test]
fn an_id_in_use_is_refused_and_its_operation_is_not_disturbed() {
    let mut bench = Bench::new();
    bench.handle(request(1, "echo"));
    for event in [
        request(1, "echo"),
        publish(1, "open.a"),
        subscribe(1, "open.a"),
        unsubscribe(1, "open.a"),
    ] {
        assert_eq!(bench.handle(event), [error(1, ErrorCode::DuplicateId)]);
    }
    assert_eq!(bench.replied(1), [answered(1)]);
    assert_eq!(bench.handle(request(1, "echo")), [forwarded(1)]);
}

#[test]
fn ping_gets_pong_with_its_nonce() {
    assert_eq!(
        Bench::new().handle(Event::Ping(Ping { nonce: 77 })),
        [pong(77)]
    );
}

#[test]
fn acks_are_passed_on_as_they_are() {
    let mut bench = Bench::new();
    for (up_to, ack_id) in [(5, 0), (3, 7)] {
        assert_eq!(
            bench.handle(Event::Ack(Ack { up_to, ack_id })),
            [Action::Acked { up_to, ack_id }]
        );
    }
}

#[test]
fn events_of_a_later_protocol_get_unimplemented() {
    let mut bench = Bench::new();
    assert_eq!(bench.handle_any(None), [error(0, ErrorCode::Unimplemented)]);
}

#[test]
fn events_beyond_a_full_window_wait_and_are_taken_up_in_order() {
    let mut bench = Bench::new();
    bench.handle(request(1, "echo"));
    bench.handle(publish(2, "open.a"));
    assert!(!bench.session.is_full());
    bench.handle(subscribe(3, "open.a"));
    assert!(bench.session.is_full());
    for event in [
        request(4, "echo"),
        Event::Ping(Ping { nonce: 1 }),
        request(5, "echo"),
    ] {
        assert_eq!(bench.handle(event), []);
    }
    assert_eq!(bench.replied(1), [answered(1), forwarded(4)]);
    assert!(bench.session.is_full());
    assert_eq!(bench.replied(4), [answered(4), pong(1), forwarded(5)]);
    assert!(bench.session.is_full());
    assert_eq!(bench.replied(5), [answered(5)]);
    assert!(!bench.session.is_full());
}

#[test]
fn a_window_without_limit_is_never_full() {
    let mut bench = Bench::new();
    bench.session.window = 0;
    for id in 1..=1_000 {
        assert_eq!(bench.handle(request(id, "echo")), [forwarded(id)]);
    }
    assert!(!bench.session.is_full());
}

#[test]
fn what_a_subscription_gets_can_be_changed() {
    let mut bench = Bench::new();
    let set = |id, name: &str| {
        Event::SetSubscription(SetSubscription {
            id,
            channel: name.to_owned(),
            options: None,
        })
    };
    let expected = Action::SetSubscription {
        id: 4,
        channel: channel("open.a"),
        options: None,
    };
    assert_eq!(bench.handle(set(4, "open.a")), [expected]);
    assert_eq!(
        bench.handle(set(5, "no channel")),
        [error(5, ErrorCode::InvalidChannel)]
    );
    let answers = bench.answer(|session, actions| {
        session.subscription_set(4, Err(ErrorCode::NotSubscribed), actions);
        session.subscription_set(4, Ok(()), actions);
    });
    assert_eq!(answers, [error(4, ErrorCode::NotSubscribed)]);
}
