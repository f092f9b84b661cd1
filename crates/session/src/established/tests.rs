//! Every rule of an established session, one by one.

use bytes::Bytes;
use wire::{
    CloseCause, Offset,
    client::{
        Ack, ErrorCode, History, Ping, Position, Presence, Publish, Refresh, Request,
        SetSubscription, Subscribe, SubscribeOptions, Subscribed, Verdict, client_event::Event,
        server_event,
    },
};

use super::{
    Established, Stage,
    testing::{Bench, cancel, channel, hello, publish, request, subscribe, unsubscribe},
};
use crate::{action::Action, reply};

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
    vec![Action::Send(reply::closing(cause, 0)), Action::Close(cause)]
}

fn forwarded(id: u32) -> Action {
    Action::Request {
        id,
        route: "echo".into(),
        payload: Bytes::from_static(b"q"),
        deadline_ms: 500,
        idempotency_key: String::new(),
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
    };
    Action::Send(reply::event(server_event::Event::Subscribed(subscribed)))
}

// === impl Bench ===

impl Bench {
    fn replied(&mut self, id: u32) -> Vec<Action> {
        self.answer(|session, actions| session.replied(id, Ok(Bytes::from_static(b"r")), actions))
    }

    fn subscribed(&mut self, id: u32, name: &str) -> Vec<Action> {
        self.answer(|session, actions| {
            session.subscribed(id, &channel(name), Verdict::Fresh, None, 9, actions);
        })
    }

    fn subscribe_failed(&mut self, id: u32, code: ErrorCode) -> Vec<Action> {
        self.answer(|session, actions| session.subscribe_failed(id, code, actions))
    }

    fn unsubscribed(&mut self, id: u32, name: &str) -> Vec<Action> {
        self.answer(|session, actions| session.unsubscribed(id, &channel(name), 9, actions))
    }
}

// Size.

#[test]
fn an_idle_session_is_small() {
    assert!(
        size_of::<Established>() <= 64,
        "{}",
        size_of::<Established>()
    );
}

// Hello.

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
    assert_eq!(bench.handle(hello("")), [Action::Welcome]);
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

// Ids.

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

// Requests.

#[test]
fn a_request_gets_one_response() {
    let mut bench = Bench::new();
    assert_eq!(bench.handle(request(1, "echo")), [forwarded(1)]);
    assert_eq!(bench.session.in_flight(), 1);
    assert_eq!(bench.replied(1), [answered(1)]);
    assert_eq!(bench.replied(1), []);
    assert_eq!(bench.session.in_flight(), 0);
}

#[test]
fn a_failed_request_gets_the_failure() {
    let mut bench = Bench::new();
    bench.handle(request(1, "echo"));
    let failure = wire::failure(ErrorCode::NoWorker, "");
    let actions = bench.answer(|session, actions| session.replied(1, Err(failure), actions));
    assert_eq!(actions, [failed(1, ErrorCode::NoWorker)]);
}

#[test]
fn an_unknown_route_gets_its_response_at_once() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.handle(request(1, "other")),
        [failed(1, ErrorCode::UnknownRoute)]
    );
    assert_eq!(bench.session.in_flight(), 0);
}

#[test]
fn deadline_and_idempotency_key_travel_with_the_request() {
    let mut bench = Bench::new();
    let asked = Request {
        id: 1,
        route: "echo".into(),
        deadline_ms: 5_000,
        idempotency_key: "once".into(),
        ..Request::default()
    };
    let expected = Action::Request {
        id: 1,
        route: "echo".into(),
        payload: Bytes::new(),
        deadline_ms: 1_000,
        idempotency_key: "once".into(),
    };
    assert_eq!(bench.handle(Event::Request(asked)), [expected]);
}

#[test]
fn a_cancelled_request_is_answered_at_once_and_its_reply_is_ignored() {
    let mut bench = Bench::new();
    bench.handle(request(1, "echo"));
    let expected = [
        failed(1, ErrorCode::Cancelled),
        Action::CancelRequest { id: 1 },
    ];
    assert_eq!(bench.handle(cancel(1)), expected);
    assert_eq!(bench.handle(cancel(1)), []);
    // The bus still owes a reply, which must not answer another request.
    assert_eq!(
        bench.handle(request(1, "echo")),
        [error(1, ErrorCode::DuplicateId)]
    );
    assert_eq!(bench.replied(1), []);
    assert_eq!(bench.session.in_flight(), 0);
    assert_eq!(bench.handle(request(1, "echo")), [forwarded(1)]);
}

#[test]
fn cancel_of_anything_but_a_request_in_flight_is_ignored() {
    let mut bench = Bench::new();
    bench.handle(publish(1, "open.a"));
    for id in [0, 1, 2] {
        assert_eq!(bench.handle(cancel(id)), []);
    }
}

// Publishes.

#[test]
fn a_publish_with_an_id_gets_one_accepted() {
    let mut bench = Bench::new();
    let expected = Action::Publish {
        id: 1,
        channel: channel("open.a"),
        payload: Bytes::from_static(b"p"),
        key: "k".into(),
        publication_id: "i".into(),
    };
    assert_eq!(bench.handle(publish(1, "open.a")), [expected]);
    let accept =
        |bench: &mut Bench| bench.answer(|it, actions| it.published(1, Ok(Offset(7)), actions));
    assert_eq!(
        accept(&mut bench),
        [Action::Send(reply::accepted(1, Offset(7)))]
    );
    assert_eq!(accept(&mut bench), []);
}

#[test]
fn a_publish_that_fails_gets_an_error() {
    let mut bench = Bench::new();
    bench.handle(publish(1, "open.a"));
    let actions = bench.answer(|session, actions| {
        session.published(1, Err(ErrorCode::Unavailable), actions);
    });
    assert_eq!(actions, [error(1, ErrorCode::Unavailable)]);
    assert_eq!(
        bench.handle(publish(1, "open.*")),
        [error(1, ErrorCode::InvalidChannel)]
    );
    assert_eq!(
        bench.handle(publish(1, "shut.a")),
        [error(1, ErrorCode::PermissionDenied)]
    );
    assert_eq!(bench.session.in_flight(), 0);
}

#[test]
fn a_publish_without_an_id_gets_no_answer() {
    let mut bench = Bench::new();
    assert!(matches!(
        bench.handle(publish(0, "open.a"))[..],
        [Action::Publish { id: 0, .. }]
    ));
    assert_eq!(bench.handle(publish(0, "shut.a")), []);
    assert_eq!(bench.handle(Event::Publish(Publish::default())), []);
    assert_eq!(
        bench.answer(|session, actions| session.published(0, Ok(Offset(1)), actions)),
        []
    );
}

// Subscriptions.

#[test]
fn a_subscribe_is_passed_on_with_position_and_options() {
    let mut bench = Bench::new();
    let position = Position {
        epoch: "e".into(),
        offset: 5,
    };
    let options = SubscribeOptions {
        max_per_second: 3,
        latest: true,
    };
    let asked = Subscribe {
        id: 1,
        channel: "open.a".into(),
        since: Some(position.clone()),
        options: Some(options),
    };
    let (since, options) = (Some(position.clone()), Some(options));
    let expected = Action::Subscribe {
        id: 1,
        channel: channel("open.a"),
        since,
        options,
    };
    assert_eq!(bench.handle(Event::Subscribe(asked)), [expected]);
    let actions = bench.answer(|session, actions| {
        session.subscribed(
            1,
            &channel("open.a"),
            Verdict::Recovered,
            Some(position.clone()),
            4,
            actions,
        );
    });
    let verdict = Verdict::Recovered.into();
    let expected = Subscribed {
        id: 1,
        channel: "open.a".into(),
        verdict,
        position: Some(position),
        alias: 4,
    };
    assert_eq!(
        actions,
        [Action::Send(reply::event(server_event::Event::Subscribed(
            expected
        )))]
    );
}

#[test]
fn a_subscribe_that_is_not_allowed_gets_an_error() {
    let mut bench = Bench::new();
    let cases = [
        ("open..a", ErrorCode::InvalidChannel),
        ("open.a.very.long.name", ErrorCode::InvalidChannel),
        ("shut.a", ErrorCode::UnknownNamespace),
    ];
    for (name, code) in cases {
        assert_eq!(bench.handle(subscribe(1, name)), [error(1, code)], "{name}");
    }
    assert_eq!(bench.session.subscriptions(), 0);
}

#[test]
fn a_second_subscribe_while_the_first_is_pending_is_refused() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.handle(subscribe(1, "open.a")),
        [subscribing(1, "open.a")]
    );
    assert_eq!(
        bench.handle(subscribe(2, "open.a")),
        [error(2, ErrorCode::AlreadySubscribed)]
    );
    assert_eq!(bench.subscribed(1, "open.a"), [subscribed(1, "open.a")]);
    assert_eq!(bench.session.subscriptions(), 1);
}

#[test]
fn subscriptions_are_limited_live_and_pending_ones_together() {
    let mut bench = Bench::new();
    bench.handle(subscribe(1, "open.a"));
    bench.subscribed(1, "open.a");
    bench.handle(subscribe(2, "open.b"));
    assert_eq!(
        bench.handle(subscribe(3, "open.c")),
        [error(3, ErrorCode::TooManySubscriptions)]
    );
    assert_eq!(
        bench.subscribe_failed(2, ErrorCode::Unavailable),
        [error(2, ErrorCode::Unavailable)]
    );
    assert_eq!(
        bench.handle(subscribe(3, "open.c")),
        [subscribing(3, "open.c")]
    );
}

#[test]
fn an_ended_subscription_makes_room_for_another() {
    let mut bench = Bench::new();
    for (id, name) in [(1, "open.a"), (2, "open.b")] {
        bench.handle(subscribe(id, name));
        bench.subscribed(id, name);
    }
    bench.handle(unsubscribe(3, "open.a"));
    let expected = reply::unsubscribed(3, &channel("open.a"), 9, ErrorCode::Unspecified);
    assert_eq!(bench.unsubscribed(3, "open.a"), [Action::Send(expected)]);
    let actions = bench.answer(|session, actions| {
        session.unsubscribed_by_server(&channel("open.b"), 9, ErrorCode::PermissionDenied, actions);
    });
    let expected = reply::unsubscribed(0, &channel("open.b"), 9, ErrorCode::PermissionDenied);
    assert_eq!(actions, [Action::Send(expected)]);
    assert_eq!(bench.session.subscriptions(), 0);
}

#[test]
fn an_unsubscribe_that_fails_gets_an_error() {
    let mut bench = Bench::new();
    let expected = Action::Unsubscribe {
        id: 1,
        channel: channel("open.a"),
    };
    assert_eq!(bench.handle(unsubscribe(1, "open.a")), [expected]);
    let actions = bench.answer(|session, actions| {
        session.unsubscribe_failed(1, ErrorCode::NotSubscribed, actions);
    });
    assert_eq!(actions, [error(1, ErrorCode::NotSubscribed)]);
    assert_eq!(
        bench.handle(unsubscribe(1, "open.>")),
        [error(1, ErrorCode::InvalidChannel)]
    );
}

#[test]
fn an_unsubscribe_behind_a_pending_subscribe_takes_effect_after_it() {
    let mut bench = Bench::new();
    bench.handle(subscribe(1, "open.a"));
    assert_eq!(bench.handle(unsubscribe(2, "open.a")), []);
    assert_eq!(
        bench.handle(unsubscribe(3, "open.a")),
        [error(3, ErrorCode::NotSubscribed)]
    );
    let expected = [
        subscribed(1, "open.a"),
        Action::Unsubscribe {
            id: 2,
            channel: channel("open.a"),
        },
    ];
    assert_eq!(bench.subscribed(1, "open.a"), expected);
    assert_eq!(bench.unsubscribed(2, "open.a").len(), 1);
    assert_eq!(
        (bench.session.in_flight(), bench.session.subscriptions()),
        (0, 0)
    );
}

#[test]
fn an_unsubscribe_behind_a_subscribe_that_fails_gets_an_error() {
    let mut bench = Bench::new();
    bench.handle(subscribe(1, "open.a"));
    bench.handle(unsubscribe(2, "open.a"));
    let expected = [
        error(1, ErrorCode::Unavailable),
        error(2, ErrorCode::NotSubscribed),
    ];
    assert_eq!(bench.subscribe_failed(1, ErrorCode::Unavailable), expected);
    assert_eq!(
        (bench.session.in_flight(), bench.session.subscriptions()),
        (0, 0)
    );
}

#[test]
fn an_unsubscribe_behind_a_repeated_subscribe_ends_the_earlier_one() {
    let mut bench = Bench::new();
    bench.handle(subscribe(1, "open.a"));
    bench.subscribed(1, "open.a");
    bench.handle(subscribe(2, "open.a"));
    bench.handle(unsubscribe(3, "open.a"));
    let expected = [
        error(2, ErrorCode::AlreadySubscribed),
        Action::Unsubscribe {
            id: 3,
            channel: channel("open.a"),
        },
    ];
    assert_eq!(
        bench.subscribe_failed(2, ErrorCode::AlreadySubscribed),
        expected
    );
    bench.unsubscribed(3, "open.a");
    assert_eq!(bench.session.subscriptions(), 0);
}

// The rest.

#[test]
fn ping_gets_pong_with_its_nonce() {
    assert_eq!(
        Bench::new().handle(Event::Ping(Ping { nonce: 77 })),
        [pong(77)]
    );
}

#[test]
fn acks_are_passed_on_and_the_highest_is_remembered() {
    let mut bench = Bench::new();
    for up_to in [5, 3] {
        assert_eq!(
            bench.handle(Event::Ack(Ack { up_to })),
            [Action::Acked { up_to }]
        );
    }
    assert_eq!(bench.session.acked_up_to(), 5);
}

#[test]
fn events_not_served_get_unimplemented_with_their_id() {
    let mut bench = Bench::new();
    let events = [
        Event::Refresh(Refresh {
            id: 8,
            ..Refresh::default()
        }),
        Event::History(History {
            id: 8,
            ..History::default()
        }),
        Event::Presence(Presence {
            id: 8,
            ..Presence::default()
        }),
        Event::SetSubscription(SetSubscription {
            id: 8,
            ..SetSubscription::default()
        }),
    ];
    for event in events {
        assert_eq!(bench.handle(event), [error(8, ErrorCode::Unimplemented)]);
    }
    assert_eq!(bench.handle_any(None), [error(0, ErrorCode::Unimplemented)]);
}

// The window.

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
