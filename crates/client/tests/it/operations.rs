//! Requests and publishes: matching, batching, the window, giving up.

use std::time::Duration;

use client::{Accepted, Error, ErrorCode, RequestOptions};
use futures_util::future::join_all;
use wire::client::{
    Cancel, Failure, Limits, Response, client_event, response::Outcome, server_event,
};

use crate::scripted::{accepted, connected, refusal, response};

#[tokio::test(start_paused = true)]
async fn answers_find_their_callers_in_any_order() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let (first, second, ()) = tokio::join!(
        client.request("echo", "1"),
        client.request("echo", "2"),
        async {
            let (first, second) = (connection.request().await, connection.request().await);
            connection
                .send([response(second, "two"), response(first, "one")])
                .await;
        }
    );
    assert_eq!(first.expect("answered"), "one");
    assert_eq!(second.expect("answered"), "two");
}

#[tokio::test(start_paused = true)]
async fn operations_that_wait_together_leave_as_one_message() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let publishes = (0..5).map(|_| client.publish("chat.a", "hi"));
    let (results, ()) = tokio::join!(join_all(publishes), async {
        let events = connection.message().await;
        assert_eq!(events.len(), 5);
        let answers = events.into_iter().map(|event| match event {
            client_event::Event::Publish(publish) => accepted(publish.id, publish.id.into()),
            other => panic!("not a publish: {other:?}"),
        });
        connection.send(answers).await;
    });
    let offsets: Vec<_> = results
        .into_iter()
        .map(|one| one.expect("accepted"))
        .collect();
    let expected: Vec<_> = (1..=5).map(|offset| Accepted { offset }).collect();
    assert_eq!(offsets, expected);
}

#[tokio::test(start_paused = true)]
async fn no_more_are_in_flight_than_the_window_allows() {
    let limits = Limits {
        max_in_flight: 2,
        ..Limits::default()
    };
    let (_gateway, mut connection, client) = connected(limits).await;
    let publishes = (0..3).map(|_| client.publish("chat.a", "hi"));
    let (results, ()) = tokio::join!(join_all(publishes), async {
        let (first, second) = (connection.publish().await, connection.publish().await);
        assert!(connection.is_quiet().await);
        connection.send([accepted(first, 1)]).await;
        let third = connection.publish().await;
        connection
            .send([accepted(second, 2), accepted(third, 3)])
            .await;
    });
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_request_is_cancelled_even_when_the_window_is_full() {
    let limits = Limits {
        max_in_flight: 1,
        ..Limits::default()
    };
    let (_gateway, mut connection, client) = connected(limits).await;
    let id = {
        let call = client.request("slow", "");
        tokio::select! {
            answer = call => panic!("nobody answered: {answer:?}"),
            id = connection.request() => id,
        }
    };
    let cancel = connection.expect().await;
    assert_eq!(cancel, client_event::Event::Cancel(Cancel { id }));
    assert!(connection.is_quiet().await);

    let (next, ()) = tokio::join!(client.request("echo", ""), async {
        connection.send([response(id, "late")]).await;
        let id = connection.request().await;
        connection.send([response(id, "next")]).await;
    });
    assert_eq!(next.expect("answered"), "next");
}

#[tokio::test(start_paused = true)]
async fn failures_keep_their_code_and_whether_to_retry() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let (published, called, ()) = tokio::join!(
        client.publish("chat.a", ""),
        client.request("orders.place", ""),
        async {
            let (publish, request) = (connection.publish().await, connection.request().await);
            let failure = Failure {
                worker_code: "sold-out".into(),
                ..wire::failure(ErrorCode::WorkerError, "")
            };
            let failed = server_event::Event::Response(Response {
                id: request,
                outcome: Some(Outcome::Failure(failure)),
            });
            connection
                .send([refusal(publish, ErrorCode::Overloaded), failed])
                .await;
        }
    );
    let published = published.expect_err("refused");
    assert_eq!(published.code(), Some(ErrorCode::Overloaded));
    assert!(published.retryable());
    let Err(Error::Failed {
        code, worker_code, ..
    }) = called
    else {
        panic!("not failed: {called:?}");
    };
    assert_eq!((code, &*worker_code), (ErrorCode::WorkerError, "sold-out"));
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_for_the_gateway_is_not_sent() {
    let limits = Limits {
        max_message_bytes: 100,
        ..Limits::default()
    };
    let (_gateway, mut connection, client) = connected(limits).await;
    let refused = client.publish("chat.a", vec![0; 100]).await;
    let code = refused.expect_err("too large").code();
    assert_eq!(code, Some(ErrorCode::MessageTooLarge));
    assert!(connection.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_request_that_the_gateway_does_not() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let options = RequestOptions {
        deadline: Some(Duration::from_millis(250)),
        ..RequestOptions::default()
    };
    let (late, ()) = tokio::join!(client.request_with("slow", "", options), async {
        let client_event::Event::Request(request) = connection.expect().await else {
            panic!("a request");
        };
        assert_eq!(request.deadline_ms, 250);
        let cancel = connection.expect().await;
        let id = request.id;
        assert_eq!(cancel, client_event::Event::Cancel(Cancel { id }));
    });
    let code = late.expect_err("late").code();
    assert_eq!(code, Some(ErrorCode::DeadlineExceeded));
}
