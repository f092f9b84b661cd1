//! What a worker answers.

use bus::{BusError, BusExt, Request, RequestContext, WorkerFailure};
use bytes::Bytes;
use wire::{SessionId, UserId};
use worker::{StartError, Worker, WorkerError};

use crate::{LONG, ask, during, memory_bus, question, start};

#[tokio::test]
async fn endpoints_answer_their_routes() {
    let bus = memory_bus();
    let worker = Worker::new("orders")
        .on("place", async |_| Ok("placed".into()))
        .on_sync("echo", |request| Ok(request.payload().clone()))
        .on_sync("", |_| Ok("root".into()));
    during(start(worker, &bus), async {
        assert_eq!(ask(&bus, "orders.place", "").await, Ok("placed".into()));
        assert_eq!(ask(&bus, "orders.echo", "ping").await, Ok("ping".into()));
        assert_eq!(ask(&bus, "orders", "").await, Ok("root".into()));
        assert_eq!(
            ask(&bus, "orders.other", "").await,
            Err(BusError::NoResponders)
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_sees_who_asks_and_how_long_he_waits() {
    let bus = memory_bus();
    let describe = |request: &worker::Request| {
        let text = format!(
            "{} {} {} {:?} {} {:?} {:?}",
            request.subject(),
            request.user().expect("given"),
            request.session().expect("given").0,
            request.idempotency_key(),
            request.attempt(),
            request.traceparent(),
            request.time_left(),
        );
        Ok::<Bytes, WorkerError>(text.into())
    };
    let worker = Worker::new("who")
        .on("later", move |request| async move { describe(&request) })
        .on_sync("now", describe);
    let asks = |route: &str| {
        let context = RequestContext {
            user: UserId::new("alice"),
            session: Some(SessionId(7)),
            idempotency_key: "once".into(),
            attempt: 2,
            ..RequestContext::default()
        };
        bus.ask(Request {
            context,
            ..question(route, "")
        })
    };
    during(start(worker, &bus), async {
        for route in ["who.later", "who.now"] {
            let reply = asks(route).await.expect("is answered");
            let expected = format!("tg.rq.{route} alice 7 Some(\"once\") 2 None {LONG:?}");
            assert_eq!(reply.payload, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn failures_reach_the_caller_as_they_are() {
    let bus = memory_bus();
    let refusal = || Err(WorkerError::new("closed", "the market is closed").retryable());
    let worker = Worker::new("w")
        .on("a", move |_| async move { refusal() })
        .on_sync("b", move |_| refusal());
    let expected = BusError::Worker(WorkerFailure {
        code: "closed".into(),
        message: "the market is closed".into(),
        retryable: true,
    });
    during(start(worker, &bus), async {
        for route in ["w.a", "w.b"] {
            assert_eq!(ask(&bus, route, "").await, Err(expected.clone()));
        }
    })
    .await;
}

#[tokio::test]
async fn a_panic_fails_its_request_only() {
    let bus = memory_bus();
    let handle = |payload: &Bytes| {
        assert!(payload != "bad", "this panic is part of the test");
        Ok(payload.clone())
    };
    let worker = Worker::new("w")
        .on("a", move |request| async move { handle(request.payload()) })
        .on_sync("b", move |request| handle(request.payload()));
    during(start(worker, &bus), async {
        for route in ["w.a", "w.b"] {
            let failure = ask(&bus, route, "bad").await;
            let Err(BusError::Worker(failure)) = failure else {
                panic!("{failure:?}")
            };
            assert_eq!((&*failure.code, failure.retryable), ("panic", false));
            assert_eq!(ask(&bus, route, "good").await, Ok("good".into()));
        }
    })
    .await;
}

#[tokio::test]
async fn workers_of_one_route_share_the_requests() {
    let bus = memory_bus();
    let worker = |reply: &'static str| Worker::new("w").on_sync("a", move |_| Ok(reply.into()));
    let (_one, _two) = (start(worker("one"), &bus), start(worker("two"), &bus));
    let mut replies = Vec::new();
    for _ in 0..4 {
        replies.push(ask(&bus, "w.a", "").await.expect("is answered"));
    }
    replies.sort();
    assert_eq!(replies, ["one", "one", "two", "two"]);
}

#[tokio::test]
async fn a_name_that_is_no_route_is_refused() {
    let bus = memory_bus();
    let worker = Worker::new("w").on_sync("good", |_| Ok(Bytes::new()));
    let refusal = worker
        .on_sync("b*d bad", |_| Ok(Bytes::new()))
        .run(bus.clone(), async {})
        .await;
    assert!(matches!(refusal, Err(StartError::InvalidRoute { route, .. }) if route == "w.b*d bad"));
    assert_eq!(ask(&bus, "w.good", "").await, Err(BusError::NoResponders));
}
