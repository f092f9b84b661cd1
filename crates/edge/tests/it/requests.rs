//! Requests: from a client to a worker and back, or to a definite failure.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use bus::{BusError, Incoming, WorkerFailure};
use testkit::{RawClient, cancel, eventually, ping, request, request_within};
use wire::client::{ErrorCode, Response, response::Outcome};

use crate::gateway::Gateway;

/// Requests that a worker has and does not answer yet.
type Held = Arc<Mutex<Vec<Incoming>>>;

fn hold(gateway: &Gateway) -> Held {
    let held = Held::default();
    let into = held.clone();
    gateway.serve("hold", move |request| {
        into.lock().expect("no panics").push(request)
    });
    held
}

fn take(held: &Held) -> Vec<Incoming> {
    std::mem::take(&mut *held.lock().expect("no panics"))
}

fn answer(request: Incoming) {
    let payload = request.payload.clone();
    request.responder.reply(Ok(payload));
}

async fn held_count(held: &Held, count: usize) {
    let what = format!("{count} requests have reached the worker");
    eventually(&what, async || {
        held.lock().expect("no panics").len() == count
    })
    .await;
}

async fn assert_fails(client: &mut RawClient, id: u32, code: ErrorCode) {
    let (failed, failure) = client.failed_response().await;
    assert_eq!((failed, failure.code()), (id, code));
}

#[tokio::test]
async fn requests_reach_a_worker_and_come_back() {
    let gateway = Gateway::start(|config| config.shards = 2).await;
    gateway.serve("echo", |request| {
        let context = &request.context;
        assert_eq!(
            context.user.as_ref().map(|user| user.as_str()),
            Some("alice")
        );
        assert!(context.connection.is_some() && context.session.is_some());
        answer(request);
    });
    for mut client in [
        gateway.client("alice").await,
        gateway.json_client("alice").await,
    ] {
        client.send(request(1, "echo", "hello")).await;
        let Response { id, outcome } = client.response().await;
        assert_eq!((id, outcome), (1, Some(Outcome::Payload("hello".into()))));
    }
    gateway.finish().await;
}

#[tokio::test]
async fn requests_that_nobody_can_serve_fail_at_once() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("alice").await;
    for route in ["unknown", "", "*", "tg.gw.gw-test"] {
        client.send(request(1, route, "")).await;
        assert_fails(&mut client, 1, ErrorCode::UnknownRoute).await;
    }
    client.send(request(2, "nobody", "")).await;
    assert_fails(&mut client, 2, ErrorCode::NoWorker).await;
    gateway.finish().await;
}

#[tokio::test]
async fn a_worker_that_fails_is_quoted() {
    let gateway = Gateway::start(|_| {}).await;
    gateway.serve("fail", |request| {
        let failure = WorkerFailure {
            code: "sold_out".into(),
            message: "come back tomorrow".into(),
            retryable: true,
        };
        request.responder.reply(Err(BusError::Worker(failure)));
    });
    // Drops the request unanswered.
    gateway.serve("hold", drop);
    let mut client = gateway.client("alice").await;
    client.send(request(1, "fail", "")).await;
    let (id, failure) = client.failed_response().await;
    assert_eq!((id, failure.code()), (1, ErrorCode::WorkerError));
    assert_eq!(failure.worker_code, "sold_out");
    assert_eq!(
        (failure.message.as_str(), failure.retryable),
        ("come back tomorrow", true)
    );
    client.send(request(2, "hold", "")).await;
    assert_fails(&mut client, 2, ErrorCode::WorkerError).await;
    gateway.finish().await;
}

#[tokio::test]
async fn a_deadline_that_passes_is_told_once() {
    let gateway = Gateway::start(|_| {}).await;
    let held = hold(&gateway);
    let mut client = gateway.client("alice").await;
    client.send(request_within(1, "hold", "", 50)).await;
    assert_fails(&mut client, 1, ErrorCode::DeadlineExceeded).await;
    // Too late.
    take(&held).into_iter().for_each(answer);
    client.send(ping(1)).await;
    assert_eq!(client.pong().await.nonce, 1);
    gateway.finish().await;
}

#[tokio::test]
async fn cancelled_requests_are_answered_once() {
    let gateway = Gateway::start(|_| {}).await;
    let held = hold(&gateway);
    let mut client = gateway.client("alice").await;
    client.send(request(1, "hold", "")).await;
    held_count(&held, 1).await;
    client
        .send_events(&[cancel(1), cancel(1), cancel(99)])
        .await;
    assert_fails(&mut client, 1, ErrorCode::Cancelled).await;
    take(&held).into_iter().for_each(answer);
    // The id is free again.
    eventually("the id can be used again", async || {
        client.send(request(1, "hold", "again")).await;
        client.send(ping(1)).await;
        match client.next_event().await {
            wire::client::server_event::Event::Pong(_) => true,
            wire::client::server_event::Event::Error(_) => {
                client.pong().await;
                false
            }
            other => panic!("unexpected {other:?}"),
        }
    })
    .await;
    take(&held).into_iter().for_each(answer);
    assert_eq!(client.response().await.id, 1);
    gateway.finish().await;
}

#[tokio::test]
async fn more_requests_than_the_window_are_all_answered_once_and_never_more_are_under_way() {
    let gateway = Gateway::start(|_| {}).await;
    let held = hold(&gateway);
    let mut client = gateway.client("alice").await;
    let batch: Vec<_> = (1..=20).map(|id| request(id, "hold", "")).collect();
    client.send_events(&batch).await;
    for id in 21..=40 {
        client.send(request(id, "hold", "")).await;
    }
    let mut open: BTreeSet<u32> = (1..=40).collect();
    while !open.is_empty() {
        held_count(&held, 4).await;
        for request in take(&held) {
            answer(request);
        }
        for _ in 0..4 {
            let id = client.response().await.id;
            assert!(open.remove(&id), "{id} was answered twice");
        }
    }
    client.send(ping(1)).await;
    assert_eq!(client.pong().await.nonce, 1);
    gateway.finish().await;
}

#[tokio::test]
async fn a_client_whose_window_is_full_is_not_idle() {
    let gateway = Gateway::start(|config| config.heartbeat = Duration::from_millis(200)).await;
    let held = hold(&gateway);
    let mut client = gateway.client("alice").await;
    let batch: Vec<_> = (1..=4)
        .map(|id| request_within(id, "hold", "", 1_500))
        .collect();
    client.send_events(&batch).await;
    // The gateway reads nothing meanwhile, so it can't hold silence against us.
    let mut failed = BTreeSet::new();
    while failed.len() < 4 {
        let (id, failure) = client.failed_response().await;
        assert_eq!(failure.code(), ErrorCode::DeadlineExceeded);
        failed.insert(id);
    }
    client.send(ping(1)).await;
    assert_eq!(client.pong().await.nonce, 1);
    assert_eq!(take(&held).len(), 4);
    client.leave().await;
    gateway.finish().await;
}

#[tokio::test]
async fn requests_of_a_client_that_left_are_given_up() {
    let gateway = Gateway::start(|config| config.max_connections = 1).await;
    let held = hold(&gateway);
    let mut client = gateway.client("alice").await;
    client.send(request(1, "hold", "")).await;
    held_count(&held, 1).await;
    client.leave().await;
    // The answer has nowhere to go, and nobody else may get it.
    take(&held).into_iter().for_each(answer);
    let mut next = None;
    eventually("there is a place", async || {
        next = gateway.dial().try_connect().await.ok();
        next.is_some()
    })
    .await;
    let mut next = next.expect("just connected");
    next.hello(&gateway.tokens.token("bob")).await;
    next.send(ping(1)).await;
    assert_eq!(next.pong().await.nonce, 1);
    next.leave().await;
    gateway.drain().await;
}
