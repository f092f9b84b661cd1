//! Bounds: how much a worker takes, and how long a request may take.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bus::{BusError, BusExt, Request};
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use worker::Worker;

use crate::{ask, during, memory_bus, question, start};

/// A worker whose handlers wait for a permit each.
fn gated(permits: &Arc<Semaphore>) -> Worker {
    let permits = Arc::clone(permits);
    Worker::new("w").on("a", move |request| {
        let permits = Arc::clone(&permits);
        async move {
            permits.acquire().await.expect("is not closed").forget();
            Ok(request.payload().clone())
        }
    })
}

#[tokio::test]
async fn requests_over_the_queue_are_refused_at_once() {
    let bus = memory_bus();
    let permits = Arc::new(Semaphore::new(0));
    let running = start(gated(&permits).concurrency(1).queue(2, 1_000), &bus);
    // Nothing runs yet, so that two wait and the third finds no room.
    let mut asked: Vec<_> = (0..2).map(|_| Box::pin(ask(&bus, "w.a", "x"))).collect();
    for waiting in &mut asked {
        assert!(futures_util::poll!(waiting).is_pending());
    }
    assert_eq!(ask(&bus, "w.a", "x").await, Err(BusError::Overloaded));
    permits.add_permits(2);
    let outcomes = during(running, join_all(asked)).await;
    assert_eq!(outcomes, [Ok("x".into()), Ok(Bytes::from("x"))]);
}

#[tokio::test]
async fn payloads_over_the_queues_bytes_are_refused_at_once() {
    let bus = memory_bus();
    let permits = Arc::new(Semaphore::new(10));
    let running = start(gated(&permits).queue(100, 10), &bus);
    assert_eq!(
        ask(&bus, "w.a", "12345678901").await,
        Err(BusError::Overloaded)
    );
    // The bytes come back when a request leaves the queue.
    during(running, async {
        for _ in 0..3 {
            assert_eq!(
                ask(&bus, "w.a", "1234567890").await,
                Ok("1234567890".into())
            );
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn no_more_run_at_once_than_allowed() {
    let bus = memory_bus();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let highest = Arc::clone(&most);
    let worker = Worker::new("w").concurrency(3).on("a", move |_| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(Bytes::new())
        }
    });
    let asked = join_all((0..10).map(|_| ask(&bus, "w.a", "")));
    let outcomes = during(start(worker, &bus), asked).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(highest.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_dropped_at_the_deadline() {
    let bus = memory_bus();
    let held = Arc::new(());
    let alive = Arc::downgrade(&held);
    let worker = Worker::new("w").on("a", move |_| {
        let held = Arc::clone(&held);
        async move {
            std::future::pending::<()>().await;
            drop(held);
            Ok(Bytes::new())
        }
    });
    during(start(worker, &bus), async {
        let request = Request {
            deadline: Duration::from_secs(2),
            ..question("w.a", "")
        };
        // The bus's own reaper does not run here: the answer is the worker's.
        assert_eq!(bus.ask(request).await, Err(BusError::DeadlineExceeded));
        assert_eq!(alive.strong_count(), 1, "only the worker's own is left");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waited_too_long_is_not_started() {
    let bus = memory_bus();
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let worker = Worker::new("w").on("a", move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        async { Ok(Bytes::new()) }
    });
    let running = start(worker, &bus);
    let request = Request {
        deadline: Duration::from_secs(2),
        ..question("w.a", "")
    };
    let mut asked = Box::pin(bus.ask(request));
    assert!(futures_util::poll!(&mut asked).is_pending());
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(
        during(running, asked).await,
        Err(BusError::DeadlineExceeded)
    );
    assert_eq!(started.load(Ordering::SeqCst), 0);
}
