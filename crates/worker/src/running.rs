//! A worker at work.
//!
//! One future owns the queue's end and the tasks of the requests under way;
//! when it is dropped they end with it. It ends after `stop`: it serves
//! nothing more, finishes what it has taken, up to the drain limit.

use std::{fmt, panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration};

use bus::{Bus, BusError, SubscriptionToken};
use futures_util::FutureExt;
use spans::FutureExt as _;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
    time::Instant,
};

use crate::{endpoint::WhenCancelled, error::WorkerError, queue::Job, trace};

/// A worker whose endpoints are registered. Dropping it ends that, and every
/// request under way with [`BusError::HandlerGone`].
#[must_use = "nothing is answered until it runs"]
pub struct Running {
    served: Served,
    queue: mpsc::Receiver<Job>,
    tasks: JoinSet<()>,
    concurrency: usize,
    drain: Duration,
}

/// The worker's registrations, ended on drop.
pub(crate) struct Served {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) tokens: Vec<SubscriptionToken>,
}

#[expect(clippy::large_enum_variant, reason = "moved on at once, never kept")]
enum Event {
    Stopped,
    Came(Job),
    Ended(Result<(), JoinError>),
}

// === impl Running ===

impl Running {
    pub(crate) fn new(
        served: Served,
        queue: mpsc::Receiver<Job>,
        concurrency: usize,
        drain: Duration,
    ) -> Self {
        Self {
            served,
            queue,
            tasks: JoinSet::new(),
            concurrency,
            drain,
        }
    }

    /// Serves until `stop` ends, then takes nothing new and finishes what it
    /// has taken. What is not finished within the drain limit is dropped: what
    /// waited is answered [`BusError::NoResponders`], since it was not
    /// executed, and what was under way [`BusError::HandlerGone`].
    ///
    /// Needs a tokio runtime; with several threads handlers run on all of them.
    pub async fn until(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            match self.next_event(stop.as_mut()).await {
                Event::Came(job) => self.begin(job),
                Event::Ended(outcome) => report(outcome),
                Event::Stopped => break,
            }
        }
        self.served.end();
        self.queue.close();
        let limit = self.drain;
        if tokio::time::timeout(limit, self.finish()).await.is_err() {
            let left = self.tasks.len() + self.queue.len();
            tracing::warn!(left, "requests were not finished within the drain limit");
        }
        while let Ok(job) = self.queue.try_recv() {
            job.refuse(BusError::NoResponders);
        }
    }

    async fn next_event(&mut self, stop: Pin<&mut impl Future<Output = ()>>) -> Event {
        let has_room = self.tasks.len() < self.concurrency;
        tokio::select! {
            biased;
            () = stop => Event::Stopped,
            Some(outcome) = self.tasks.join_next() => Event::Ended(outcome),
            Some(job) = self.queue.recv(), if has_room => Event::Came(job),
        }
    }

    async fn finish(&mut self) {
        loop {
            let has_room = self.tasks.len() < self.concurrency;
            tokio::select! {
                Some(outcome) = self.tasks.join_next() => report(outcome),
                Some(job) = self.queue.recv(), if has_room => self.begin(job),
                else => break,
            }
        }
    }

    fn begin(&mut self, job: Job) {
        if job.deadline <= Instant::now() {
            job.refuse(BusError::DeadlineExceeded);
        } else if job.request.cancelled().is_cancelled() {
            // Nobody waits for what has not begun.
            job.refuse(BusError::Cancelled);
        } else {
            self.tasks.spawn(perform(job));
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("waiting", &self.queue.len())
            .field("under_way", &self.tasks.len())
            .finish_non_exhaustive()
    }
}

// === impl Served ===

impl Served {
    fn end(&mut self) {
        for token in self.tokens.drain(..) {
            self.bus.unsubscribe(token);
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs one request's handler to its end or its deadline, and answers.
async fn perform(job: Job) {
    let Job {
        endpoint,
        run,
        when_cancelled,
        request,
        deadline,
        responder,
        span,
        ..
    } = job;
    let context = trace::context(span.as_ref());
    let cancelled = request.cancelled().clone();
    let given_up = async {
        match when_cancelled {
            WhenCancelled::Drop => cancelled.cancelled().await,
            WhenCancelled::GoOn => std::future::pending().await,
        }
    };
    // Called within the future, so that a panic before the first await is
    // caught as well. What the panic left behind is dropped unseen.
    let handled = async move { run(request).await }.with_context(context);
    let handled = AssertUnwindSafe(handled).catch_unwind();
    let outcome = tokio::select! {
        biased;
        handled = tokio::time::timeout_at(deadline, handled) => match handled {
            Ok(Ok(outcome)) => outcome.map_err(BusError::from),
            Ok(Err(_panic)) => Err(WorkerError::panicked(&endpoint).into()),
            Err(_elapsed) => Err(BusError::DeadlineExceeded),
        },
        () = given_up => Err(BusError::Cancelled),
    };
    trace::end(span, outcome.as_ref().err());
    responder.reply(outcome);
}

/// Handlers' panics are caught before they get here.
fn report(outcome: Result<(), JoinError>) {
    if let Err(error) = outcome {
        tracing::error!(%error, "a request's task failed");
    }
}
