//! Requests and publishes.

use super::*;

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
        traceparent: "".into(),
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

#[test]
fn texts_that_no_header_holds_are_malformed() {
    for text in ["a\r\nTg-User: root".to_owned(), "x".repeat(256)] {
        let mut bench = Bench::new();
        let asked = Request {
            id: 1,
            route: "echo".into(),
            idempotency_key: text.clone(),
            ..Request::default()
        };
        let refused = [failed(1, ErrorCode::MalformedMessage)];
        assert_eq!(bench.handle(Event::Request(asked)), refused);
        let keyed = Publish {
            id: 2,
            channel: "a".into(),
            key: text,
            ..Publish::default()
        };
        let refused = [error(2, ErrorCode::MalformedMessage)];
        assert_eq!(bench.handle(Event::Publish(keyed)), refused);
    }
}
