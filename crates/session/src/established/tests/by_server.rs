//! Subscriptions that the control plane begins and ends.

use super::*;

fn wanted(bench: &mut Bench, name: &str) -> Result<Vec<Action>, ErrorCode> {
    let (session, config) = (&mut bench.session, &bench.config);
    session.subscribe_by_server(&channel(name), config, &mut bench.actions)?;
    Ok(bench.answer(|_, _| {}))
}

fn unwanted(bench: &mut Bench, name: &str) -> Vec<Action> {
    bench.answer(|session, actions| session.unsubscribe_by_server(&channel(name), actions))
}

fn ending(id: u32, name: &str) -> Action {
    Action::Unsubscribe {
        id,
        channel: channel(name),
    }
}

fn ended(name: &str) -> Action {
    let code = ErrorCode::UnsubscribedByServer;
    Action::Send(reply::unsubscribed(0, &channel(name), 9, code))
}

#[test]
fn the_control_plane_subscribes_to_what_the_client_may_not() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.handle(subscribe(1, "shut.a")),
        [error(1, ErrorCode::UnknownNamespace)]
    );
    assert_eq!(
        wanted(&mut bench, "shut.a"),
        Ok(vec![subscribing(0, "shut.a")])
    );
    assert_eq!(wanted(&mut bench, "shut.a"), Ok(vec![]));
    assert_eq!(bench.subscribed(0, "shut.a"), [subscribed(0, "shut.a")]);
    assert_eq!(bench.subscribed(0, "shut.a"), []);
    assert_eq!(bench.session.subscriptions(), 1);
    assert_eq!(unwanted(&mut bench, "shut.a"), [ending(0, "shut.a")]);
    assert_eq!(bench.unsubscribed(0, "shut.a"), [ended("shut.a")]);
    assert_eq!(bench.session.subscriptions(), 0);
    assert_eq!(bench.session.in_flight(), 0);
}

#[test]
fn the_limit_of_subscriptions_holds_for_the_control_plane() {
    let mut bench = Bench::new();
    bench.handle(subscribe(1, "open.a"));
    assert_eq!(
        wanted(&mut bench, "open.b"),
        Ok(vec![subscribing(0, "open.b")])
    );
    let refused = Err(ErrorCode::TooManySubscriptions);
    assert_eq!(wanted(&mut bench, "open.c"), refused);
    // One that fails makes room, and the client hears nothing of it.
    let failed = bench.answer(|session, actions| {
        session.subscribe_failed(0, &channel("open.b"), ErrorCode::Unavailable, actions);
    });
    assert_eq!(failed, []);
    assert_eq!(
        wanted(&mut bench, "open.c"),
        Ok(vec![subscribing(0, "open.c")])
    );
}

#[test]
fn a_pending_subscribe_of_either_is_enough_for_both() {
    let mut bench = Bench::new();
    bench.handle(subscribe(1, "open.a"));
    assert_eq!(wanted(&mut bench, "open.a"), Ok(vec![]));
    wanted(&mut bench, "open.b").expect("there is room");
    assert_eq!(
        bench.handle(subscribe(2, "open.b")),
        [error(2, ErrorCode::AlreadySubscribed)]
    );
    // The client may end what the control plane began.
    assert_eq!(bench.handle(unsubscribe(3, "open.b")), []);
    assert_eq!(
        bench.subscribed(0, "open.b"),
        [subscribed(0, "open.b"), ending(3, "open.b")]
    );
}

#[test]
fn what_the_control_plane_said_last_holds_for_a_pending_subscribe() {
    let mut bench = Bench::new();
    bench.handle(subscribe(1, "open.a"));
    assert_eq!(unwanted(&mut bench, "open.a"), []);
    assert_eq!(wanted(&mut bench, "open.a"), Ok(vec![]));
    assert_eq!(bench.subscribed(1, "open.a"), [subscribed(1, "open.a")]);

    wanted(&mut bench, "open.b").expect("there is room");
    assert_eq!(unwanted(&mut bench, "open.b"), []);
    assert_eq!(
        bench.subscribed(0, "open.b"),
        [subscribed(0, "open.b"), ending(0, "open.b")]
    );
    assert_eq!(bench.unsubscribed(0, "open.b"), [ended("open.b")]);
    assert_eq!(bench.session.subscriptions(), 1);
}

#[test]
fn a_client_that_leaves_a_pending_channel_can_be_subscribed_anew_behind_it() {
    let mut bench = Bench::new();
    bench.handle(subscribe(1, "open.a"));
    bench.handle(unsubscribe(2, "open.a"));
    assert_eq!(
        wanted(&mut bench, "open.a"),
        Ok(vec![subscribing(0, "open.a")])
    );
    assert_eq!(
        bench.subscribed(1, "open.a"),
        [subscribed(1, "open.a"), ending(2, "open.a")]
    );
    assert_eq!(bench.unsubscribed(2, "open.a").len(), 1);
    assert_eq!(bench.subscribed(0, "open.a"), [subscribed(0, "open.a")]);
    assert_eq!(bench.session.subscriptions(), 1);
}

#[test]
fn a_closed_session_is_not_subscribed() {
    let mut bench = Bench::new();
    bench.handle(hello(""));
    assert_eq!(wanted(&mut bench, "open.a"), Ok(vec![]));
    assert_eq!(unwanted(&mut bench, "open.a"), []);
}
