//! Subscribe and unsubscribe.

use super::*;

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
        conflate: true,
        presence: true,
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
            Entered {
                position: Some(position.clone()),
                conflates: true,
                ..entered(Verdict::Recovered, 4)
            },
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
        conflates: true,
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
        bench.subscribe_failed(2, "open.b", ErrorCode::Unavailable),
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
    assert_eq!(
        bench.subscribe_failed(1, "open.a", ErrorCode::Unavailable),
        expected
    );
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
        bench.subscribe_failed(2, "open.a", ErrorCode::AlreadySubscribed),
        expected
    );
    bench.unsubscribed(3, "open.a");
    assert_eq!(bench.session.subscriptions(), 0);
}
