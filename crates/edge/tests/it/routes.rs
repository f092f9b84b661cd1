//! What protects routes from clients, clients from dead routes, and traces.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bus::{BusError, Incoming, WorkerFailure};
use edge::{BreakerPolicy, EdgeConfig, RoutePolicy};
use testkit::{RawClient, eventually, request, request_within};
use wire::client::{
    ClientEvent, ErrorCode, Failure, Response, client_event::Event, response::Outcome,
};

use crate::gateway::Gateway;

fn route<'a>(config: &'a mut EdgeConfig, name: &str) -> &'a mut RoutePolicy {
    let route = config.policies.routes.get_mut(name);
    route.expect("the tests' gateway has it")
}

fn break_after(failures: u32, pause: Duration) -> impl FnOnce(&mut EdgeConfig) {
    move |config| route(config, "echo").breaker = Some(BreakerPolicy { failures, pause })
}

/// Asks for an echo.
async fn ask(client: &mut RawClient, id: u32) -> Result<(), Failure> {
    client.send(request(id, "echo", "")).await;
    answer(client, id).await
}

async fn answer(client: &mut RawClient, asked: u32) -> Result<(), Failure> {
    let Response { id, outcome } = client.response().await;
    assert_eq!(id, asked);
    match outcome.expect("a response is never empty") {
        Outcome::Payload(_) => Ok(()),
        Outcome::Failure(failure) => Err(failure),
    }
}

async fn assert_fails(client: &mut RawClient, id: u32, code: ErrorCode) {
    let failure = ask(client, id).await.expect_err("it fails");
    assert_eq!((failure.code(), failure.retryable), (code, true));
}

fn reply(request: Incoming) {
    request.responder.reply(Ok(request.payload.clone()));
}

#[tokio::test]
async fn a_full_route_refuses_at_once_whichever_shard_asks() {
    let gateway = Gateway::start(|config| {
        config.shards = 2;
        route(config, "hold").max_in_flight = 2;
    })
    .await;
    let held = Arc::new(Mutex::new(Vec::new()));
    let into = held.clone();
    gateway.serve("hold", move |request| {
        into.lock().expect("no panics").push(request)
    });
    // Two connections: one on each shard.
    let mut alice = gateway.client("alice").await;
    let mut bob = gateway.client("bob").await;
    alice.send(request(1, "hold", "")).await;
    bob.send(request(1, "hold", "")).await;
    eventually("both are at the worker", async || {
        held.lock().expect("no panics").len() == 2
    })
    .await;
    for client in [&mut alice, &mut bob] {
        client.send(request(2, "hold", "")).await;
        let failure = answer(client, 2).await.expect_err("the route is full");
        let told = (failure.code(), failure.retryable);
        assert_eq!(told, (ErrorCode::Overloaded, true));
    }
    // Other routes feel nothing of it.
    alice.send(request(3, "nobody", "")).await;
    let failure = answer(&mut alice, 3).await.expect_err("nobody serves it");
    assert_eq!(failure.code(), ErrorCode::NoWorker);
    held.lock().expect("no panics").drain(..).for_each(reply);
    for client in [&mut alice, &mut bob] {
        answer(client, 1).await.expect("the worker answered");
    }
    alice.send(request(4, "hold", "")).await;
    eventually("there is a place again", async || {
        held.lock().expect("no panics").len() == 1
    })
    .await;
    held.lock().expect("no panics").drain(..).for_each(reply);
    answer(&mut alice, 4).await.expect("the worker answered");
    gateway.finish().await;
}

#[tokio::test]
async fn a_place_is_free_again_when_the_client_is_gone() {
    let gateway = Gateway::start(|config| route(config, "hold").max_in_flight = 1).await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let into = asked.clone();
    gateway.serve("hold", move |request| {
        into.lock().expect("no panics").push(request)
    });
    let mut alice = gateway.client("alice").await;
    alice.send(request(1, "hold", "")).await;
    eventually("it is at the worker", async || {
        asked.lock().expect("no panics").len() == 1
    })
    .await;
    alice.leave().await;
    let mut bob = gateway.client("bob").await;
    let mut id = 0;
    eventually("bob's request is at the worker", async || {
        id += 1;
        bob.send(request_within(id, "hold", "", 1)).await;
        let failure = answer(&mut bob, id).await.expect_err("nobody answers");
        failure.code() == ErrorCode::DeadlineExceeded
    })
    .await;
    gateway.finish().await;
}

#[tokio::test]
async fn a_broken_route_is_not_asked_on_any_shard() {
    let gateway = Gateway::start(|config| {
        config.shards = 2;
        break_after(3, Duration::from_secs(3600))(config);
    })
    .await;
    let mut clients = [gateway.client("alice").await, gateway.client("bob").await];
    for id in 1..=3 {
        assert_fails(&mut clients[id as usize % 2], id, ErrorCode::NoWorker).await;
    }
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    gateway.serve("echo", move |request| {
        count.fetch_add(1, Ordering::Relaxed);
        reply(request);
    });
    for client in &mut clients {
        assert_fails(client, 4, ErrorCode::NoWorker).await;
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    gateway.finish().await;
}

#[tokio::test]
async fn a_route_whose_workers_came_back_is_asked_again() {
    let gateway = Gateway::start(break_after(1, Duration::from_millis(1))).await;
    let mut client = gateway.client("alice").await;
    assert_fails(&mut client, 1, ErrorCode::NoWorker).await;
    gateway.serve("echo", reply);
    let mut id = 1;
    eventually("a probe has closed the breaker", async || {
        id += 1;
        ask(&mut client, id).await.is_ok()
    })
    .await;
    for id in 1_000..1_010 {
        ask(&mut client, id).await.expect("it is closed");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn workers_that_refuse_and_clients_in_a_hurry_break_nothing() {
    let gateway = Gateway::start(break_after(1, Duration::from_secs(3600))).await;
    let held = Arc::new(Mutex::new(Vec::new()));
    let into = held.clone();
    gateway.serve("echo", move |request| match &*request.payload {
        b"refuse" => {
            let failure = WorkerFailure {
                code: "sold_out".into(),
                message: "".into(),
                retryable: false,
            };
            request.responder.reply(Err(BusError::Worker(failure)));
        }
        b"wait" => into.lock().expect("no panics").push(request),
        _ => reply(request),
    });
    let mut client = gateway.client("alice").await;
    client.send(request(1, "echo", "refuse")).await;
    let failure = answer(&mut client, 1).await.expect_err("it refuses");
    assert_eq!(failure.code(), ErrorCode::WorkerError);
    client.send(request_within(2, "echo", "wait", 1)).await;
    let failure = answer(&mut client, 2)
        .await
        .expect_err("it does not answer");
    assert_eq!(failure.code(), ErrorCode::DeadlineExceeded);
    ask(&mut client, 3).await.expect("the breaker is closed");
    gateway.finish().await;
}

#[tokio::test]
async fn workers_that_do_not_answer_in_time_break_their_route() {
    let gateway = Gateway::start(|config| {
        route(config, "echo").deadline = Duration::from_millis(1);
        break_after(1, Duration::from_secs(3600))(config);
    })
    .await;
    let held = Arc::new(Mutex::new(Vec::new()));
    let into = held.clone();
    gateway.serve("echo", move |request| {
        into.lock().expect("no panics").push(request)
    });
    let mut client = gateway.client("alice").await;
    assert_fails(&mut client, 1, ErrorCode::DeadlineExceeded).await;
    // What is refused now was certainly not executed, and the client is told so.
    assert_fails(&mut client, 2, ErrorCode::Overloaded).await;
    assert_eq!(held.lock().expect("no panics").len(), 1);
    gateway.finish().await;
}

#[tokio::test]
async fn workers_get_the_clients_trace_context_if_it_is_one() {
    let gateway = Gateway::start(|_| {}).await;
    gateway.serve("echo", |request| {
        let context = request.context.traceparent.as_bytes().to_vec();
        request.responder.reply(Ok(context.into()));
    });
    let mut client = gateway.client("alice").await;
    let traced = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut seen = Vec::new();
    for (id, sent) in (1..).zip([traced, "", "00-nonsense"]) {
        client.send(with_trace(request(id, "echo", ""), sent)).await;
        match client.response().await.outcome {
            Some(Outcome::Payload(text)) => {
                seen.push(String::from_utf8(text.to_vec()).expect("text"));
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(seen, [traced, "", ""]);
    gateway.finish().await;
}

fn with_trace(event: ClientEvent, traceparent: &str) -> ClientEvent {
    match event.event {
        Some(Event::Request(mut request)) => {
            traceparent.clone_into(&mut request.traceparent);
            ClientEvent {
                event: Some(Event::Request(request)),
            }
        }
        other => panic!("not a request: {other:?}"),
    }
}
