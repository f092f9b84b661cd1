//! How a worker ends.

use std::{sync::Arc, time::Duration};

use bus::{Bus, BusError};
use bytes::Bytes;
use futures_util::poll;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};
use worker::Worker;

use crate::{ask, memory_bus, start};

/// How long a handler of [`slow`] takes.
const WORK: Duration = Duration::from_secs(5);

/// A worker that does one thing at a time and tells when it begins.
fn slow(begun: &Arc<Notify>) -> Worker {
    let begun = Arc::clone(begun);
    Worker::new("w").concurrency(1).on("a", move |_| {
        begun.notify_one();
        async {
            tokio::time::sleep(WORK).await;
            Ok(Bytes::from("done"))
        }
    })
}

/// Asks twice, stops the worker when the first request is under way and the
/// second waits, and gives their outcomes.
async fn stop_under_way(
    worker: impl FnOnce(&Arc<Notify>) -> Worker,
    bus: &Arc<dyn Bus>,
) -> [Result<Bytes, BusError>; 2] {
    let begun = Arc::new(Notify::new());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = start(worker(&begun), bus).until(async { drop(stopped.await) });
    let stopping = async {
        begun.notified().await;
        drop(stop);
    };
    let (first, second, (), ()) =
        tokio::join!(ask(bus, "w.a", ""), ask(bus, "w.a", ""), running, stopping);
    [first, second]
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_is_finished() {
    let bus = memory_bus();
    let began = Instant::now();
    let outcomes = stop_under_way(slow, &bus).await;
    assert_eq!(outcomes, [Ok("done".into()), Ok("done".into())]);
    assert!(began.elapsed() >= 2 * WORK);
    assert_eq!(ask(&bus, "w.a", "").await, Err(BusError::NoResponders));
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_given_up() {
    let bus = memory_bus();
    let outcomes = stop_under_way(|begun| slow(begun).drain(WORK / 2), &bus).await;
    assert_eq!(
        outcomes,
        [Err(BusError::HandlerGone), Err(BusError::NoResponders)]
    );
}

#[tokio::test]
async fn nothing_new_is_taken_after_the_stop() {
    let bus = memory_bus();
    let worker = Worker::new("w").on("a", async |_| Ok(Bytes::new()));
    worker.run(bus.clone(), async {}).await.expect("starts");
    assert_eq!(ask(&bus, "w.a", "").await, Err(BusError::NoResponders));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_worker_leaves_nobody_waiting() {
    let bus = memory_bus();
    let begun = Arc::new(Notify::new());
    let mut running = Box::pin(start(slow(&begun), &bus).until(std::future::pending()));
    let mut asked = Box::pin(ask(&bus, "w.a", ""));
    assert!(poll!(&mut asked).is_pending());
    tokio::select! {
        () = &mut running => unreachable!("is never stopped"),
        () = begun.notified() => {}
    }
    drop(running);
    assert_eq!(asked.await, Err(BusError::HandlerGone));
    assert_eq!(ask(&bus, "w.a", "").await, Err(BusError::NoResponders));
}
