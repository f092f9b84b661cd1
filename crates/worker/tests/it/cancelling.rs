//! Callers that lose interest.

use std::sync::Arc;

use bus::{Bus, BusError};
use bytes::Bytes;
use futures_util::poll;
use tokio::sync::{Notify, mpsc};
use worker::{Request, Worker, WorkerError};

use crate::{ask, during, memory_bus, start};

/// Says when a handler begins, and when its future ends for whatever reason.
struct Trace {
    begun: Arc<Notify>,
    ended: mpsc::Sender<&'static str>,
}

/// Reports on drop, unless something else was reported before.
struct Ending {
    ended: mpsc::Sender<&'static str>,
    how: &'static str,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.ended.try_send(self.how).expect("has room");
    }
}

impl Ending {
    fn was_told(&mut self) {
        self.how = "told";
    }
}

impl Trace {
    fn new() -> (Self, mpsc::Receiver<&'static str>) {
        let (ended, endings) = mpsc::channel(4);
        let begun = Arc::new(Notify::new());
        (Self { begun, ended }, endings)
    }

    fn handler(
        &self,
    ) -> impl Fn(Request) -> futures_util::future::BoxFuture<'static, Result<Bytes, WorkerError>>
    + Send
    + Sync
    + 'static {
        let (begun, ended) = (Arc::clone(&self.begun), self.ended.clone());
        move |request| {
            let mut ending = Ending {
                ended: ended.clone(),
                how: "dropped",
            };
            let begun = Arc::clone(&begun);
            Box::pin(async move {
                begun.notify_one();
                request.cancelled().cancelled().await;
                tokio::task::yield_now().await;
                ending.was_told();
                Ok(Bytes::new())
            })
        }
    }

    /// Asks, and gives up once the handler has begun.
    async fn give_up(&self, bus: &Arc<dyn Bus>) {
        tokio::select! {
            outcome = ask(bus, "w.a", "") => panic!("nobody answers: {outcome:?}"),
            () = self.begun.notified() => {}
        }
    }
}

#[tokio::test]
async fn a_handler_is_told_and_goes_on_to_its_end() {
    let bus = memory_bus();
    let (trace, mut endings) = Trace::new();
    let worker = Worker::new("w").on("a", trace.handler());
    during(start(worker, &bus), async {
        trace.give_up(&bus).await;
        assert_eq!(endings.recv().await, Some("told"));
    })
    .await;
}

#[tokio::test]
async fn a_handler_that_agreed_to_it_is_dropped() {
    let bus = memory_bus();
    let (trace, mut endings) = Trace::new();
    let worker = Worker::new("w").on_cancellable("a", trace.handler());
    during(start(worker, &bus), async {
        trace.give_up(&bus).await;
        assert_eq!(endings.recv().await, Some("dropped"));
    })
    .await;
}

#[tokio::test]
async fn what_was_cancelled_while_it_waited_is_not_begun() {
    let bus = memory_bus();
    let (trace, mut endings) = Trace::new();
    let worker = Worker::new("w").on("a", trace.handler());
    let running = start(worker.on_sync("b", |_| Ok(Bytes::new())), &bus);
    {
        let mut asked = Box::pin(ask(&bus, "w.a", ""));
        assert!(poll!(&mut asked).is_pending());
    }
    // The worker takes what waits before it stops.
    running.until(async {}).await;
    assert!(endings.try_recv().is_err());
    assert_eq!(ask(&bus, "w.b", "").await, Err(BusError::NoResponders));
}
