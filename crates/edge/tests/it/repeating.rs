//! Requests with an idempotency key: repeated on any gateway, executed once.

use std::sync::{Arc, Mutex};

use bus::{BusError, Incoming, WorkerFailure};
use journal::Settings;
use testkit::{RawClient, cancel, eventually};
use wire::client::{
    ClientEvent, ErrorCode, Failure, Request, client_event::Event, response::Outcome,
};

use crate::gateway::{Gateway, Site};

/// Requests that a worker has and does not answer yet.
type Held = Arc<Mutex<Vec<Incoming>>>;

/// What a client is told of its only request under way.
type Told = Result<String, Failure>;

/// How long callers wait who are not meant to get an answer.
const SHORT_MS: u32 = 300;

/// A request with a key.
fn keyed(id: u32, route: &str, key: &str, deadline_ms: u32) -> ClientEvent {
    let request = Request {
        id,
        route: route.to_owned(),
        payload: "please".into(),
        deadline_ms,
        idempotency_key: key.to_owned(),
        traceparent: String::new(),
    };
    ClientEvent {
        event: Some(Event::Request(request)),
    }
}

async fn ask(client: &mut RawClient, event: ClientEvent) -> Told {
    client.send(event).await;
    match client.response().await.outcome.expect("never empty") {
        Outcome::Payload(payload) => Ok(String::from_utf8(payload.into()).expect("text")),
        Outcome::Failure(failure) => Err(failure),
    }
}

async fn failed(client: &mut RawClient, event: ClientEvent) -> (ErrorCode, bool) {
    let failure = ask(client, event).await.expect_err("it fails");
    (failure.code(), failure.not_executed)
}

fn hold(gateway: &Gateway) -> Held {
    let held = Held::default();
    let into = held.clone();
    gateway.serve("hold", move |request| {
        into.lock().expect("no panics").push(request)
    });
    held
}

async fn next_held(held: &Held) -> Incoming {
    eventually("a request has reached the worker", async || {
        !held.lock().expect("no panics").is_empty()
    })
    .await;
    held.lock().expect("no panics").remove(0)
}

/// Answers with how many requests came before this one.
fn count(gateway: &Gateway) {
    let served = Mutex::new(0);
    gateway.serve("echo", move |request| {
        let mut served = served.lock().expect("no panics");
        request.responder.reply(Ok(served.to_string().into()));
        *served += 1;
    });
}

#[tokio::test]
async fn every_gateway_gives_the_first_answer_again() {
    let site = Site::new().await;
    let (one, two) = (site.open(|_| {}), site.open(|_| {}));
    count(&one);
    for gateway in [&one, &two, &two] {
        let mut alice = gateway.client("alice").await;
        let told = ask(&mut alice, keyed(1, "echo", "a", 0)).await;
        assert_eq!(told, Ok("0".to_owned()));
        alice.leave().await;
    }
    let mut alice = two.client("alice").await;
    let told = ask(&mut alice, keyed(2, "echo", "b", 0)).await;
    assert_eq!(told, Ok("1".to_owned()), "another key is another request");
    let told = failed(&mut alice, keyed(3, "hold", "a", 0)).await;
    assert_eq!(told, (ErrorCode::IdempotencyKeyReused, true));
    let mut bob = two.client("bob").await;
    let told = ask(&mut bob, keyed(1, "echo", "a", 0)).await;
    assert_eq!(told, Ok("2".to_owned()), "keys are of one user");
    one.finish().await;
    two.finish().await;
}

#[tokio::test]
async fn a_request_goes_on_when_its_client_is_gone() {
    let site = Site::new().await;
    let (one, two) = (site.open(|_| {}), site.open(|_| {}));
    let held = hold(&one);
    let mut alice = one.client("alice").await;
    alice.send(keyed(1, "hold", "a", 0)).await;
    let request = next_held(&held).await;
    alice.leave().await;
    let mut alice = two.client("alice").await;
    let told = failed(&mut alice, keyed(1, "hold", "a", SHORT_MS)).await;
    assert_eq!(told, (ErrorCode::InProgress, false));
    assert!(!request.cancelled.is_cancelled());
    request.responder.reply(Ok("done".into()));
    let told = ask(&mut alice, keyed(2, "hold", "a", 0)).await;
    assert_eq!(told, Ok("done".to_owned()));
    one.finish().await;
    two.finish().await;
}

#[tokio::test]
async fn a_cancelled_request_goes_on_and_its_repetition_finds_the_answer() {
    let gateway = Gateway::start(|_| {}).await;
    let held = hold(&gateway);
    let mut alice = gateway.client("alice").await;
    alice.send(keyed(1, "hold", "a", 0)).await;
    let request = next_held(&held).await;
    let told = failed(&mut alice, cancel(1)).await;
    assert_eq!(told.0, ErrorCode::Cancelled);
    assert!(!request.cancelled.is_cancelled());
    request.responder.reply(Ok("done".into()));
    let told = ask(&mut alice, keyed(2, "hold", "a", 0)).await;
    assert_eq!(told, Ok("done".to_owned()));
    gateway.finish().await;
}

#[tokio::test]
async fn clients_are_told_whether_it_was_executed() {
    let gateway = Gateway::start(|_| {}).await;
    let mut alice = gateway.client("alice").await;
    let told = failed(&mut alice, keyed(1, "nobody", "a", 0)).await;
    assert_eq!(told, (ErrorCode::NoWorker, true));
    let retryable = Mutex::new(true);
    gateway.serve("fail", move |request| {
        let mut retryable = retryable.lock().expect("no panics");
        let failure = WorkerFailure {
            code: "closed".into(),
            message: "the shop is closed".into(),
            retryable: std::mem::take(&mut *retryable),
        };
        request.responder.reply(Err(BusError::Worker(failure)));
    });
    // Told to come again, it comes again, and is refused for good.
    for not_executed in [true, false, false] {
        let told = failed(&mut alice, keyed(2, "fail", "b", 0)).await;
        assert_eq!(told, (ErrorCode::WorkerError, not_executed));
    }
    let held = hold(&gateway);
    alice.send(keyed(3, "hold", "c", 0)).await;
    drop(next_held(&held).await);
    let (_, failure) = alice.failed_response().await;
    assert_eq!(failure.code(), ErrorCode::OutcomeUnknown);
    assert!(!failure.not_executed && !failure.retryable);
    let told = failed(&mut alice, keyed(4, "hold", "c", 0)).await;
    assert_eq!(told, (ErrorCode::OutcomeUnknown, false));
    gateway.finish().await;
}

#[tokio::test]
async fn a_full_journal_refuses_and_other_requests_feel_nothing() {
    let gateway = Gateway::start(|config| {
        config.journal = Settings {
            max_under_way: 1,
            ..Settings::default()
        };
    })
    .await;
    let held = hold(&gateway);
    count(&gateway);
    let mut alice = gateway.client("alice").await;
    alice.send(keyed(1, "hold", "a", 0)).await;
    let request = next_held(&held).await;
    let told = failed(&mut alice, keyed(2, "echo", "b", 0)).await;
    assert_eq!(told, (ErrorCode::Overloaded, false));
    let told = ask(&mut alice, keyed(3, "echo", "", 0)).await;
    assert_eq!(told, Ok("0".to_owned()));
    request.responder.reply(Ok("done".into()));
    assert_eq!(alice.response().await.id, 1);
    eventually("there is a place again", async || {
        ask(&mut alice, keyed(4, "echo", "b", 0)).await.is_ok()
    })
    .await;
    gateway.finish().await;
}
