//! Any order of client events and answers keeps the promises of the protocol.

use proptest::prelude::*;
use wire::client::{
    Ack, Cancel, Ping, Presence, Publish, Request, Subscribe, Unsubscribe,
    client_event::Event as Asked, server_event::Event as Answer,
};

use crate::owner::{Owner, WINDOW};

/// One thing that happens to a session.
#[derive(Clone, Debug)]
enum Step {
    /// The client sends an event.
    Ask(Option<Asked>),
    /// One of the answers owed comes, good or bad.
    Answer(usize, bool),
    /// An answer comes that nobody waits for.
    Stray,
    /// The gateway ends a subscription.
    EndSubscription,
    /// The control plane begins or ends a subscription.
    ByServer(&'static str, bool),
}

proptest! {
    /// A client that keeps the rule about ids gets one answer of the right kind
    /// for each.
    #[test]
    fn every_operation_gets_one_answer_of_its_kind(steps in steps()) {
        let mut next_id = 0;
        let steps = steps.into_iter().map(|step| with_fresh_id(step, &mut next_id));
        let owner = live_through(steps);
        if owner.closed {
            return Ok(());
        }
        for (id, asked) in &owner.asked {
            let answers = owner.answers.get(id).map_or(&[][..], Vec::as_slice);
            prop_assert_eq!(asked.len(), 1);
            prop_assert_eq!(answers.len(), 1, "{:?} got {:?}", asked, answers);
            prop_assert!(is_kind_of(&asked[0], &answers[0]), "{:?} got {:?}", asked, answers);
        }
    }

    /// One that uses ids twice still gets as many answers as it asked for.
    #[test]
    fn colliding_ids_get_as_many_answers_as_operations(steps in steps()) {
        let owner = live_through(steps.into_iter());
        if owner.closed {
            return Ok(());
        }
        for (id, asked) in &owner.asked {
            let answers = owner.answers.get(id).map_or(&[][..], Vec::as_slice);
            prop_assert_eq!(asked.len(), answers.len(), "{:?} got {:?}", asked, answers);
        }
    }
}

/// Takes a session through the steps, then gives every answer still owed.
fn live_through(steps: impl Iterator<Item = Step>) -> Owner {
    let mut owner = Owner::new();
    for step in steps {
        match step {
            Step::Ask(event) => owner.ask(event),
            Step::Answer(which, ok) => owner.answer(which, ok),
            Step::Stray => owner.stray_answer(1_000_000),
            Step::EndSubscription => owner.end_subscription(),
            Step::ByServer(channel, begin) => owner.by_server(channel, begin),
        }
        assert!(owner.session.in_flight() <= WINDOW);
    }
    while !owner.owed.is_empty() {
        owner.answer(0, true);
    }
    assert_eq!(owner.session.in_flight(), 0);
    assert!(!owner.session.is_full());
    if !owner.closed {
        assert_eq!(owner.session.subscriptions() as usize, owner.live.len());
    }
    owner
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let answer = (any::<usize>(), any::<bool>()).prop_map(|(which, ok)| Step::Answer(which, ok));
    let channel = prop::sample::select(vec!["a", "b", "c", "shut"]);
    let by_server =
        (channel, any::<bool>()).prop_map(|(channel, begin)| Step::ByServer(channel, begin));
    let step = prop_oneof![
        400 => asked().prop_map(|event| Step::Ask(Some(event))),
        300 => answer,
        30 => Just(Step::Stray),
        30 => Just(Step::EndSubscription),
        60 => by_server,
        10 => Just(Step::Ask(None)),
        // Closes the session, so that most cases must do without.
        1 => Just(Step::Ask(Some(Asked::Hello(Box::default())))),
    ];
    prop::collection::vec(step, 0..120)
}

fn asked() -> impl Strategy<Value = Asked> {
    let name = prop::sample::select(vec!["a", "b", "c", "shut", "not.*"]).prop_map(String::from);
    (0..12_u32, 0..8_u32, name).prop_map(|(kind, id, name)| match kind {
        0..=2 => Asked::Request(Request {
            id,
            route: name,
            ..Request::default()
        }),
        3 => Asked::Publish(Publish {
            id,
            channel: name,
            ..Publish::default()
        }),
        4..=5 => Asked::Subscribe(Subscribe {
            id,
            channel: name,
            ..Subscribe::default()
        }),
        6..=7 => Asked::Unsubscribe(Unsubscribe { id, channel: name }),
        8..=9 => Asked::Cancel(Cancel { id }),
        10 => Asked::Presence(Presence { id, channel: name }),
        _ if id < 4 => Asked::Ack(Ack {
            up_to: id.into(),
            ack_id: 0,
        }),
        _ => Asked::Ping(Ping { nonce: id }),
    })
}

/// Gives operations ids of their own, and cancels ids used lately.
fn with_fresh_id(mut step: Step, next_id: &mut u32) -> Step {
    let Step::Ask(Some(event)) = &mut step else {
        return step;
    };
    let id = match event {
        Asked::Request(it) => &mut it.id,
        Asked::Publish(it) => &mut it.id,
        Asked::Subscribe(it) => &mut it.id,
        Asked::Unsubscribe(it) => &mut it.id,
        Asked::Presence(it) => &mut it.id,
        Asked::Cancel(it) => {
            it.id = next_id.saturating_sub(it.id);
            return step;
        }
        _ => return step,
    };
    if *id != 0 {
        *next_id += 1;
        *id = *next_id;
    }
    step
}

fn is_kind_of(asked: &Asked, answer: &Answer) -> bool {
    match asked {
        Asked::Request(_) => matches!(answer, Answer::Response(_)),
        Asked::Publish(_) => matches!(answer, Answer::Accepted(_) | Answer::Error(_)),
        Asked::Subscribe(_) => matches!(answer, Answer::Subscribed(_) | Answer::Error(_)),
        Asked::Unsubscribe(_) => matches!(answer, Answer::Unsubscribed(_) | Answer::Error(_)),
        Asked::Presence(_) => matches!(answer, Answer::PresenceResult(_) | Answer::Error(_)),
        _ => matches!(answer, Answer::Error(_)),
    }
}
