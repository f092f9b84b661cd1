//! How scopes track, cancel and drain, on a paused clock.

use std::{future, sync::mpsc, time::Duration};

use tokio::time::{Instant, sleep};

use super::*;

const DEADLINE: Duration = Duration::from_secs(10);

fn abandoned(names: &[&'static str]) -> DrainOutcome {
    DrainOutcome::Abandoned {
        names: names.iter().map(|&name| name.into()).collect(),
    }
}

#[tokio::test(start_paused = true)]
async fn drain_waits_for_tasks_that_end_in_their_own_time() {
    let root = Scope::root();
    let scope = root.clone();
    let task = root.spawn("flusher", async move {
        scope.cancelled().await;
        sleep(DEADLINE / 2).await;
        "flushed"
    });
    let start = Instant::now();
    assert_eq!(root.drain(DEADLINE).await, DrainOutcome::Finished);
    assert_eq!(start.elapsed(), DEADLINE / 2);
    assert_eq!(task.await.expect("no panic"), "flushed");
}

#[tokio::test(start_paused = true)]
async fn drain_names_what_it_abandons() {
    let root = Scope::root();
    let child = root.child("bus");
    for _ in 0..3 {
        child.spawn("pump", future::pending::<()>());
    }
    root.spawn("accept", future::pending::<()>());
    root.spawn_cancellable("ticker", future::pending::<()>());
    let start = Instant::now();
    assert_eq!(root.drain(DEADLINE).await, abandoned(&["accept", "pump"]));
    assert_eq!(start.elapsed(), DEADLINE);
}

#[tokio::test(start_paused = true)]
async fn draining_a_child_leaves_its_parent_and_siblings_alone() {
    let root = Scope::root();
    let (first, second) = (root.child("first"), root.child("second"));
    let dropped = first.spawn_cancellable("loop", future::pending::<()>());
    second.spawn("loop", future::pending::<()>());
    assert_eq!(first.drain(DEADLINE).await, DrainOutcome::Finished);
    assert_eq!(dropped.await.expect("no panic"), None);
    assert!(!root.is_cancelled() && !second.is_cancelled());
    assert_eq!(root.drain(DEADLINE).await, abandoned(&["loop"]));
}

#[tokio::test(start_paused = true)]
async fn an_empty_scope_drains_at_once() {
    assert_eq!(
        Scope::root().drain(Duration::ZERO).await,
        DrainOutcome::Finished
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_cancels_the_root_and_names_the_culprit() {
    let root = Scope::root();
    let child = root.child("bus");
    let failed = child.spawn("pump", async { panic!("on purpose") });
    root.cancelled().await;
    assert!(failed.await.expect_err("panicked").is_panic());
    assert_eq!(root.panicked().map(AsRef::as_ref), Some("pump"));
    assert_eq!(root.drain(DEADLINE).await, DrainOutcome::Finished);
}

#[tokio::test(start_paused = true)]
async fn a_contained_panic_ends_only_its_task() {
    let root = Scope::root();
    let clients = root.contained_child("clients").child("handshakes");
    let failed = clients.spawn("handshake", async { panic!("on purpose") });
    assert!(failed.await.expect_err("panicked").is_panic());
    assert!(!root.is_cancelled());
    assert_eq!(root.panicked(), None);
    assert_eq!(root.drain(DEADLINE).await, DrainOutcome::Finished);
}

#[tokio::test]
async fn threads_are_tracked_like_tasks() {
    let root = Scope::root();
    let (release, released) = mpsc::sync_channel::<()>(0);
    let shard = root
        .child("shards")
        .spawn_thread("shard-0", move || released.recv())
        .expect("thread");
    assert_eq!(shard.thread().name(), Some("shard-0"));
    assert_eq!(root.drain(Duration::ZERO).await, abandoned(&["shard-0"]));
    release.send(()).expect("the thread waits");
    assert_eq!(root.drain(DEADLINE).await, DrainOutcome::Finished);
    assert_eq!(shard.join().expect("no panic"), Ok(()));
}

#[tokio::test]
async fn a_panic_of_a_thread_cancels_the_root() {
    let root = Scope::root();
    let shard = root
        .spawn_thread("shard-0", || panic!("on purpose"))
        .expect("thread");
    root.cancelled().await;
    assert_eq!(root.panicked().map(AsRef::as_ref), Some("shard-0"));
    assert!(shard.join().is_err());
}
