//! Requests with an idempotency key, again until their deadline.

use std::time::Duration;

use client::{ErrorCode, RequestOptions};
use wire::client::{Limits, Request, Response, client_event, response::Outcome, server_event};

use crate::scripted::{Connection, connected, response};

const DEADLINE: Duration = Duration::from_secs(5);

fn keyed() -> RequestOptions {
    RequestOptions {
        deadline: Some(DEADLINE),
        idempotency_key: "k".into(),
        ..RequestOptions::default()
    }
}

async fn next_request(connection: &mut Connection) -> Request {
    match connection.expect().await {
        client_event::Event::Request(request) => request,
        other => panic!("not a request: {other:?}"),
    }
}

fn failed(id: u32, code: ErrorCode) -> server_event::Event {
    server_event::Event::Response(Response {
        id,
        outcome: Some(Outcome::Failure(wire::failure(code, ""))),
    })
}

#[tokio::test(start_paused = true)]
async fn failures_that_may_pass_are_tried_again_with_the_same_key_and_less_time() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let codes = [
        ErrorCode::InProgress,
        ErrorCode::Overloaded,
        ErrorCode::NoWorker,
        ErrorCode::Unavailable,
    ];
    let (answer, ()) = tokio::join!(client.request_with("shop.buy", "one", keyed()), async {
        let mut left = u32::MAX;
        for code in codes {
            let request = next_request(&mut connection).await;
            assert_eq!(
                (&*request.idempotency_key, &*request.payload),
                ("k", &b"one"[..])
            );
            assert!(request.deadline_ms < left);
            left = request.deadline_ms;
            connection.send([failed(request.id, code)]).await;
        }
        let request = next_request(&mut connection).await;
        connection.send([response(request.id, "done")]).await;
    });
    assert_eq!(answer.expect("answered in the end"), "done");
}

#[tokio::test(start_paused = true)]
async fn the_last_failure_is_told_at_the_deadline() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let began = tokio::time::Instant::now();
    let answer = tokio::select! {
        answer = client.request_with("shop.buy", "", keyed()) => answer,
        () = async {
            loop {
                let id = next_request(&mut connection).await.id;
                connection.send([failed(id, ErrorCode::InProgress)]).await;
            }
        } => unreachable!("it goes on for ever"),
    };
    let error = answer.expect_err("nobody answered");
    assert_eq!(error.code(), Some(ErrorCode::InProgress));
    assert!(began.elapsed() <= DEADLINE);
}

#[tokio::test(start_paused = true)]
async fn what_is_final_and_what_has_no_key_is_not_tried_again() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let no_key = RequestOptions {
        idempotency_key: String::new(),
        ..keyed()
    };
    let no_deadline = RequestOptions {
        deadline: None,
        ..keyed()
    };
    let tries = [
        (keyed(), ErrorCode::OutcomeUnknown),
        (keyed(), ErrorCode::IdempotencyKeyReused),
        (no_key, ErrorCode::Overloaded),
        (no_deadline, ErrorCode::Overloaded),
    ];
    for (options, code) in tries {
        let (answer, ()) = tokio::join!(client.request_with("shop.buy", "", options), async {
            let id = next_request(&mut connection).await.id;
            connection.send([failed(id, code)]).await;
        });
        assert_eq!(answer.expect_err("refused").code(), Some(code));
    }
    assert!(connection.is_quiet().await);
}
