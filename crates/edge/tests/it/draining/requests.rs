//! What is under way is answered before its connection ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use bus::Incoming;
use edge::{DrainPlan, DrainStage};
use testkit::{eventually, request};
use wire::client::{Response, response::Outcome};

use super::{AMPLE, drained, gateway, mover, reached};
use crate::gateway::Gateway;

/// Serves `hold`; gives the requests that have come.
fn hold(gateway: &Gateway) -> mpsc::Receiver<Incoming> {
    let (tx, rx) = mpsc::sync_channel(16);
    gateway.serve("hold", move |incoming| tx.send(incoming).expect("room"));
    rx
}

async fn next(held: &mpsc::Receiver<Incoming>) -> Incoming {
    let mut found = None;
    eventually("the request has come", async || {
        found = held.try_recv().ok();
        found.is_some()
    })
    .await;
    found.expect("just seen")
}

fn answer(id: u32) -> Response {
    Response {
        id,
        outcome: Some(Outcome::Payload("late".into())),
    }
}

#[tokio::test]
async fn requests_under_way_are_answered_before_their_connection_is_closed() {
    let gateway = gateway(AMPLE, |_| {}).await;
    let held = hold(&gateway);
    let mut busy = gateway.client("busy").await;
    busy.send(request(1, "hold", "")).await;
    busy.send(request(2, "hold", "")).await;
    let (first, second) = (next(&held).await, next(&held).await);
    let mut idle = gateway.client("idle").await;
    gateway.drain.begin();
    // Both have had their slot by now.
    assert_eq!(idle.expect_close().await.cause(), "draining");
    first.responder.reply(Ok("late".into()));
    assert_eq!(busy.response().await, answer(1));
    assert_eq!(gateway.drain.stage(), DrainStage::Moving);
    second.responder.reply(Ok("late".into()));
    assert_eq!(busy.response().await, answer(2));
    assert_eq!(busy.expect_close().await.cause(), "draining");
    drained(gateway).await;
}

#[tokio::test]
async fn a_client_that_moves_gets_its_answers_on_the_old_connection() {
    let gateway = gateway(AMPLE, |_| {}).await;
    let held = hold(&gateway);
    let (mut client, _) = mover(&gateway, "alice").await;
    client.send(request(1, "hold", "")).await;
    let incoming = next(&held).await;
    gateway.drain.begin();
    client.migrate().await;
    incoming.responder.reply(Ok("late".into()));
    assert_eq!(client.response().await, answer(1));
    // And may ask for more until it has gone.
    client.send(request(2, "hold", "")).await;
    next(&held).await.responder.reply(Ok("late".into()));
    assert_eq!(client.response().await, answer(2));
    client.leave().await;
    drained(gateway).await;
}

#[tokio::test]
async fn what_comes_behind_the_requests_under_way_is_not_begun() {
    let gateway = gateway(AMPLE, |_| {}).await;
    let held = hold(&gateway);
    let begun = Arc::new(AtomicUsize::new(0));
    let counter = begun.clone();
    gateway.serve("echo", move |incoming| {
        counter.fetch_add(1, Ordering::Relaxed);
        incoming.responder.reply(Ok(incoming.payload));
    });
    let mut busy = gateway.client("busy").await;
    busy.send(request(1, "hold", "")).await;
    let incoming = next(&held).await;
    let mut idle = gateway.client("idle").await;
    gateway.drain.begin();
    assert_eq!(idle.expect_close().await.cause(), "draining");
    busy.send(request(2, "echo", "")).await;
    incoming.responder.reply(Ok("late".into()));
    assert_eq!(busy.response().await, answer(1));
    assert_eq!(busy.expect_close().await.cause(), "draining");
    assert_eq!(begun.load(Ordering::Relaxed), 0);
    drained(gateway).await;
}

#[tokio::test]
async fn a_request_that_is_never_answered_ends_with_the_window() {
    let plan = DrainPlan {
        window: Duration::from_millis(300),
        ..AMPLE
    };
    let gateway = gateway(plan, |_| {}).await;
    let held = hold(&gateway);
    let mut busy = gateway.client("busy").await;
    busy.send(request(1, "hold", "")).await;
    let incoming = next(&held).await;
    gateway.drain.begin();
    let close = busy.expect_close().await;
    assert_eq!((close.code, close.cause()), (4200, "draining"));
    reached(&gateway, DrainStage::Closing).await;
    drained(gateway).await;
    drop(incoming);
}
