//! Presence and signals.

use wire::client::{
    ErrorCode, Presence, PresenceResult, SetSubscription, Signal, Subscribe, SubscribeOptions,
    client_event::Event, server_event, signal::To,
};

use super::{Bench, channel, error};
use crate::{Action, Addressee, reply};

fn signal(id: u32, channel: &str, to: Option<To>) -> Event {
    Event::Signal(Signal {
        id,
        channel: channel.to_owned(),
        to,
        payload: "offer".into(),
    })
}

fn bob() -> Option<To> {
    Some(To::User("bob".to_owned()))
}

#[test]
fn who_may_see_presence_is_told_once() {
    let mut bench = Bench::new();
    let ask = |id, channel: &str| {
        let channel = channel.to_owned();
        Event::Presence(Presence { id, channel })
    };
    assert_eq!(
        bench.handle(ask(4, "open.a")),
        [Action::Presence {
            id: 4,
            channel: channel("open.a"),
        }]
    );
    assert_eq!(
        bench.handle(ask(5, "open.quiet")),
        [error(5, ErrorCode::NoPresence)]
    );
    let result = PresenceResult {
        sessions: 3,
        ..PresenceResult::default()
    };
    let expected = PresenceResult {
        id: 4,
        ..result.clone()
    };
    let answers = bench.answer(|session, actions| {
        session.presence(4, Ok(result.clone()), actions);
        session.presence(4, Ok(result), actions);
    });
    let event = reply::event(server_event::Event::PresenceResult(expected));
    assert_eq!(answers, [Action::Send(event)]);
}

#[test]
fn presence_with_a_subscription_needs_the_same_permission() {
    let mut bench = Bench::new();
    let options = Some(SubscribeOptions {
        presence: true,
        ..SubscribeOptions::default()
    });
    let channel = "open.quiet".to_owned();
    let subscribe = Subscribe {
        id: 1,
        channel: channel.clone(),
        since: None,
        options,
    };
    let set = SetSubscription {
        id: 2,
        channel,
        options,
    };
    assert_eq!(
        bench.handle(Event::Subscribe(subscribe)),
        [error(1, ErrorCode::NoPresence)]
    );
    assert_eq!(
        bench.handle(Event::SetSubscription(set)),
        [error(2, ErrorCode::NoPresence)]
    );
    assert_eq!(bench.session.in_flight(), 0);
    assert_eq!(bench.session.subscriptions(), 0);
}

#[test]
fn a_signal_names_somebody_and_is_answered_with_how_many_it_reached() {
    let mut bench = Bench::new();
    let asked = bench.handle(signal(4, "open.a", bob()));
    let [Action::Signal { id: 4, to, .. }] = &asked[..] else {
        panic!("{asked:?}")
    };
    assert!(matches!(to, Addressee::User(user) if user.as_str() == "bob"));
    let answers = bench.answer(|session, actions| session.signalled(4, Ok(2), actions));
    assert_eq!(answers, [Action::Send(reply::reached(4, 2))]);
    for to in [
        None,
        Some(To::User(String::new())),
        Some(To::SessionId("seven".to_owned())),
        Some(To::ConnectionId("gw".to_owned())),
    ] {
        assert_eq!(
            bench.handle(signal(5, "open.a", to)),
            [error(5, ErrorCode::MalformedMessage)]
        );
    }
}

#[test]
fn a_signal_is_refused_where_it_is_not_permitted_or_too_large() {
    let mut bench = Bench::new();
    for (channel, code) in [
        ("open.quiet", ErrorCode::NoPresence),
        ("open.mute", ErrorCode::NoSignals),
        ("closed.a", ErrorCode::UnknownNamespace),
        ("*", ErrorCode::InvalidChannel),
    ] {
        assert_eq!(
            bench.handle(signal(5, channel, bob())),
            [error(5, code)],
            "{channel}"
        );
    }
    let large = Event::Signal(Signal {
        id: 5,
        channel: "open.a".to_owned(),
        to: bob(),
        payload: vec![0; 16 * 1024 + 1].into(),
    });
    assert_eq!(bench.handle(large), [error(5, ErrorCode::MessageTooLarge)]);
}
