//! What control planes do for sessions that are gone.

use std::sync::atomic::{AtomicU32, Ordering};
use std::{sync::Arc, time::Duration};

use bus::{BusError, WorkerFailure};
use bytes::Bytes;
use tokio::time::{Instant, sleep};
use wills::WillError;
use wire::control::{
    WillEventKind::{Armed, Failed, Fired, Lost, Returned},
    WillOutcome,
};

use crate::stage::{ALLOWANCE, GIVE_UP, GRACE, Orders, Stage, will};

/// Long enough for scans, takeovers and everything else to have come.
const LONG: Duration = Duration::from_secs(180);

async fn with_worker() -> (Stage, Arc<Orders>) {
    let stage = Stage::set().await;
    let orders = stage.workers(|| Some(Ok(Bytes::new())));
    (stage, orders)
}

#[tokio::test(start_paused = true)]
async fn a_will_is_fired_once_after_its_grace_however_many_keep_it() {
    let (stage, orders) = with_worker().await;
    for _ in 0..3 {
        stage.keeper();
    }
    sleep(Duration::from_secs(20)).await;
    for session in 0..100 {
        stage.connect(session, 1);
        stage.arm(session).await;
    }
    sleep(LONG).await;
    assert_eq!(orders.keys().len(), 0, "all of them are there");
    let closed = Instant::now();
    for session in 0..100 {
        stage.close(session, 1, "connection_lost");
    }
    stage
        .until("one is fired", || !orders.keys().is_empty())
        .await;
    assert!(closed.elapsed() >= GRACE, "{:?}", closed.elapsed());
    stage
        .until("all are fired", || orders.keys().len() == 100)
        .await;
    assert!(closed.elapsed() < GRACE + Duration::from_secs(2));
    sleep(LONG).await;
    for session in 0..100 {
        assert_eq!(orders.of(session), 1, "{session}");
        assert_eq!(stage.told(session), [Armed, Lost, Fired], "{session}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_returns_keeps_its_will_for_the_next_time() {
    let (stage, orders) = with_worker().await;
    stage.keeper();
    stage.keeper();
    stage.connect(1, 1);
    stage.arm(1).await;
    sleep(Duration::from_secs(20)).await;
    stage.close(1, 1, "connection_lost");
    sleep(GRACE - Duration::from_secs(1)).await;
    stage.connect(1, 2);
    sleep(LONG).await;
    assert_eq!(orders.of(1), 0);
    assert_eq!(stage.told(1), [Armed, Lost, Returned]);
    stage.close(1, 2, "connection_lost");
    stage.until("it is fired", || orders.of(1) == 1).await;
    sleep(LONG).await;
    assert_eq!(orders.of(1), 1);
    assert_eq!(stage.told(1), [Armed, Lost, Returned, Lost, Fired]);
}

#[tokio::test(start_paused = true)]
async fn the_grace_counts_anew_for_a_session_that_is_lost_again() {
    let (stage, orders) = with_worker().await;
    stage.keeper();
    stage.connect(1, 1);
    stage.arm(1).await;
    sleep(Duration::from_secs(20)).await;
    stage.close(1, 1, "connection_lost");
    sleep(GRACE - Duration::from_secs(1)).await;
    stage.connect(1, 2);
    sleep(Duration::from_millis(200)).await;
    let lost_again = Instant::now();
    stage.close(1, 2, "connection_lost");
    stage.until("it is fired", || orders.of(1) == 1).await;
    assert!(lost_again.elapsed() >= GRACE, "{:?}", lost_again.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_grace_counts_anew_for_a_session_that_was_back_unheard() {
    let (stage, orders) = with_worker().await;
    stage.keeper();
    stage.connect(1, 1);
    let mut new = will(1);
    new.grace = Duration::from_secs(60);
    stage.armory.arm(new).await.expect("armed");
    sleep(Duration::from_secs(20)).await;
    stage.close(1, 1, "connection_lost");
    sleep(Duration::from_secs(30)).await;
    stage.connect(1, 2);
    sleep(Duration::from_secs(29)).await;
    // Its gateway dies a second before the will would have been due.
    stage.forget_session(1).await;
    sleep(Duration::from_secs(50)).await;
    assert_eq!(orders.of(1), 0);
    assert!(stage.told(1).contains(&Returned));
    stage.until("it is fired", || orders.of(1) == 1).await;
}

#[tokio::test(start_paused = true)]
async fn our_own_drains_give_clients_time_to_come_back() {
    let (stage, orders) = with_worker().await;
    stage.keeper();
    for session in [1, 2] {
        stage.connect(session, 1);
        stage.arm(session).await;
    }
    sleep(Duration::from_secs(20)).await;
    let drained = Instant::now();
    for session in [1, 2] {
        stage.close(session, 1, "draining");
    }
    sleep(ALLOWANCE).await;
    stage.connect(1, 2);
    stage
        .until("the other is fired", || orders.of(2) == 1)
        .await;
    assert!(drained.elapsed() >= GRACE + ALLOWANCE);
    sleep(LONG).await;
    assert_eq!(orders.of(1), 0);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_heard_is_found_by_looking() {
    let (stage, orders) = with_worker().await;
    stage.connect(1, 1);
    stage.arm(1).await;
    stage.connect(2, 1);
    stage.arm(2).await;
    sleep(Duration::from_secs(1)).await;
    stage.close(1, 1, "connection_lost");
    sleep(LONG).await;
    stage.keeper();
    stage.until("it is fired", || orders.of(1) == 1).await;
    sleep(LONG).await;
    assert_eq!((orders.of(1), orders.of(2)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_lost_its_memory_fires_nothing() {
    let (stage, orders) = with_worker().await;
    stage.keeper();
    stage.connect(1, 1);
    stage.arm(1).await;
    sleep(Duration::from_secs(20)).await;
    stage.forget_connections().await;
    sleep(LONG).await;
    assert_eq!(orders.of(1), 0, "its gateway holds it");
    stage.close(1, 1, "connection_lost");
    stage.until("it is fired", || orders.of(1) == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_will_waits_for_a_worker_and_for_one_that_has_time() {
    let stage = Stage::set().await;
    stage.keeper();
    stage.connect(1, 1);
    stage.arm(1).await;
    sleep(Duration::from_secs(20)).await;
    stage.close(1, 1, "connection_lost");
    sleep(Duration::from_secs(60)).await;
    let times = AtomicU32::new(0);
    let busy = move || {
        let busy = WorkerFailure {
            code: "busy".into(),
            message: "later".into(),
            retryable: true,
        };
        match times.fetch_add(1, Ordering::SeqCst) {
            0..3 => Some(Err(BusError::Worker(busy))),
            _ => Some(Ok(Bytes::new())),
        }
    };
    let orders = stage.workers(busy);
    stage
        .until("it is fired", || stage.told(1).contains(&Fired))
        .await;
    assert_eq!(orders.of(1), 4);
    assert_eq!(orders.keys().len(), 1, "always the same key");
    sleep(LONG).await;
    assert_eq!(orders.of(1), 4);
    assert_eq!(stage.told(1), [Armed, Lost, Fired]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_returns_before_a_worker_was_there_keeps_its_will() {
    let stage = Stage::set().await;
    stage.keeper();
    stage.connect(1, 1);
    stage.arm(1).await;
    sleep(Duration::from_secs(20)).await;
    stage.close(1, 1, "connection_lost");
    sleep(Duration::from_secs(60)).await;
    stage.connect(1, 2);
    stage
        .until("it is found", || stage.told(1).contains(&Returned))
        .await;
    let orders = stage.workers(|| Some(Ok(Bytes::new())));
    sleep(LONG).await;
    assert_eq!(orders.of(1), 0);
}

#[tokio::test(start_paused = true)]
async fn a_will_that_no_worker_takes_is_given_up_and_that_is_told() {
    let stage = Stage::set().await;
    stage.keeper();
    stage.keeper();
    stage.connect(1, 1);
    stage.arm(1).await;
    sleep(Duration::from_secs(20)).await;
    stage.close(1, 1, "connection_lost");
    sleep(GIVE_UP + LONG).await;
    assert_eq!(stage.told(1), [Armed, Lost, Failed]);
    let orders = stage.workers(|| Some(Ok(Bytes::new())));
    sleep(LONG).await;
    assert_eq!(orders.of(1), 0);
    stage.disarm(1).await.expect("it was never executed");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_is_an_outcome() {
    let stage = Stage::set().await;
    let refuse = || {
        Some(Err(BusError::Worker(WorkerFailure {
            code: "unknown_order".into(),
            message: "no such order".into(),
            retryable: false,
        })))
    };
    let orders = stage.workers(refuse);
    stage.keeper();
    stage.connect(1, 1);
    stage.arm(1).await;
    stage.close(1, 1, "connection_lost");
    sleep(LONG).await;
    assert_eq!(orders.of(1), 1);
    let event = stage.events_of(1).pop().expect("told");
    assert_eq!(event.outcome(), WillOutcome::Refused);
    assert!(event.message.contains("no such order"), "{event:?}");
}

/// Two control planes, of which the one that fires dies while its worker works.
async fn die_while_firing(redelivers: bool) -> (Stage, Arc<Orders>) {
    let stage = Stage::set().await;
    let asked = AtomicU32::new(0);
    // The first never gets its answer.
    let slow = move || (asked.fetch_add(1, Ordering::SeqCst) > 0).then(|| Ok(Bytes::new()));
    let orders = stage.workers(slow);
    let first = stage.keeper();
    stage.connect(1, 1);
    let mut new = will(1);
    new.redelivers = redelivers;
    stage.armory.arm(new).await.expect("armed");
    sleep(Duration::from_secs(20)).await;
    stage.close(1, 1, "connection_lost");
    stage.until("a worker is asked", || orders.of(1) == 1).await;
    first.abort();
    stage.keeper();
    sleep(LONG).await;
    (stage, orders)
}

#[tokio::test(start_paused = true)]
async fn a_firing_left_behind_ends_as_unknown_and_is_not_repeated() {
    let (stage, orders) = die_while_firing(false).await;
    assert_eq!(orders.of(1), 1);
    assert_eq!(stage.told(1), [Armed, Lost, Fired]);
    let event = stage.events_of(1).pop().expect("told");
    assert_eq!(event.outcome(), WillOutcome::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_firing_left_behind_is_repeated_with_its_key_where_workers_know_it() {
    let (stage, orders) = die_while_firing(true).await;
    assert_eq!(orders.of(1), 2);
    assert_eq!(orders.keys().len(), 1);
    assert_eq!(stage.told(1), [Armed, Lost, Fired]);
    let event = stage.events_of(1).pop().expect("told");
    assert_eq!(event.outcome(), WillOutcome::Executed);
}

#[tokio::test(start_paused = true)]
async fn a_will_that_a_slow_worker_may_have_is_not_given_back_because_others_refuse() {
    let stage = Stage::set().await;
    let asked = AtomicU32::new(0);
    let busy = || WorkerFailure {
        code: "busy".into(),
        message: "later".into(),
        retryable: true,
    };
    // The first has it, and says nothing.
    let slow =
        move || (asked.fetch_add(1, Ordering::SeqCst) > 0).then(|| Err(BusError::Worker(busy())));
    let orders = stage.workers(slow);
    stage.keeper();
    stage.connect(1, 1);
    let mut new = will(1);
    new.redelivers = true;
    stage.armory.arm(new).await.expect("armed");
    sleep(Duration::from_secs(20)).await;
    stage.close(1, 1, "connection_lost");
    stage.until("another is asked", || orders.of(1) > 1).await;
    stage.connect(1, 2);
    sleep(LONG).await;
    let told = stage.disarm(1).await;
    assert_eq!(told, Err(WillError::InProgress), "it may be executed yet");
    sleep(GIVE_UP).await;
    assert_eq!(stage.disarm(1).await, Err(WillError::Fired));
    let event = stage.events_of(1).pop().expect("told");
    assert_eq!(event.outcome(), WillOutcome::Unknown);
}
