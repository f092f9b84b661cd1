//! Work of several steps that operations of the bus leave behind, such as
//! reading a log page by page: operations must not wait, so they post it here.
//!
//! Bounded: at most [`RUNNING`] errands run at a time and [`WAITING`] wait;
//! more are refused, and the operation answers [`BusError::Overloaded`]. What
//! errands themselves wait for must not wait behind them: it has a way of its own.

use std::pin::Pin;

use futures_util::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::port::{BusError, Done};

const RUNNING: usize = 1_024;
const WAITING: usize = 8_192;

/// Errands that others wait for: one for each log at most.
const AWAITED: usize = 1_024;

/// Where errands are posted, and what runs them.
pub(super) struct Errands {
    post: mpsc::Sender<Errand>,
    post_awaited: mpsc::Sender<Errand>,
    /// Taken by [`Errands::run`]. A lock, because the bus is shared.
    posted: Mutex<Option<Posted>>,
}

struct Posted {
    errands: mpsc::Receiver<Errand>,
    awaited: mpsc::Receiver<Errand>,
}

type Errand = Pin<Box<dyn Future<Output = ()> + Send>>;

// === impl Errands ===

impl Errands {
    pub(super) fn new() -> Self {
        let (post, errands) = mpsc::channel(WAITING);
        let (post_awaited, awaited) = mpsc::channel(AWAITED);
        let posted = Mutex::new(Some(Posted { errands, awaited }));
        Self {
            post,
            post_awaited,
            posted,
        }
    }

    /// Has `work` done; its outcome goes to `done`. A refusal is told at once.
    pub(super) fn run_for<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, BusError>> + Send + 'static,
        done: Done<T>,
    ) {
        post(&self.post, work, done);
    }

    /// The same for what errands may wait for, which must wait for none itself.
    pub(super) fn run_awaited<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, BusError>> + Send + 'static,
        done: Done<T>,
    ) {
        post(&self.post_awaited, work, done);
    }

    /// Runs errands. Never ends; to be called once.
    pub(super) async fn run(&self) {
        let Some(mut posted) = self.posted.lock().take() else {
            return std::future::pending().await;
        };
        let mut running = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(errand) = posted.awaited.recv() => running.push(errand),
                Some(errand) = posted.errands.recv(), if running.len() < RUNNING => {
                    running.push(errand);
                }
                Some(()) = running.next(), if !running.is_empty() => {}
                else => return std::future::pending().await,
            }
        }
    }
}

fn post<T: Send + 'static>(
    to: &mpsc::Sender<Errand>,
    work: impl Future<Output = Result<T, BusError>> + Send + 'static,
    done: Done<T>,
) {
    match to.try_reserve() {
        Ok(place) => place.send(Box::pin(async move { done(work.await) })),
        Err(_full) => done(Err(BusError::Overloaded)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn errands_that_wait_do_not_hold_up_others() {
        let errands = Errands::new();
        let (release, released) = oneshot::channel::<()>();
        let (first, mut first_done) = oneshot::channel();
        let waits = async { released.await.map_err(|_| BusError::Cancelled) };
        errands.run_for(waits, Box::new(|outcome| drop(first.send(outcome))));
        let (second, second_done) = oneshot::channel();
        errands.run_for(
            async { Ok(2) },
            Box::new(|outcome| drop(second.send(outcome))),
        );
        let check = async {
            assert_eq!(second_done.await, Ok(Ok(2)));
            assert!(first_done.try_recv().is_err());
            release.send(()).expect("is waited for");
            assert_eq!(first_done.await, Ok(Ok(())));
        };
        tokio::select! {
            () = check => {}
            () = errands.run() => unreachable!("never ends"),
        }
    }

    #[tokio::test]
    async fn what_all_errands_wait_for_is_done() {
        let errands = Errands::new();
        let (release, released) = tokio::sync::watch::channel(false);
        let mut ends = Vec::new();
        for _ in 0..RUNNING * 2 {
            let (tx, rx) = oneshot::channel();
            let mut released = released.clone();
            let work = async move {
                let released = released.wait_for(|released| *released).await;
                released.map(drop).map_err(|_| BusError::Cancelled)
            };
            errands.run_for(work, Box::new(|outcome| drop(tx.send(outcome))));
            ends.push(rx);
        }
        let check = async {
            let work = async move { release.send(true).map_err(|_| BusError::Cancelled) };
            errands.run_awaited(work, Box::new(drop));
            for end in ends {
                assert_eq!(end.await, Ok(Ok(())));
            }
        };
        tokio::select! {
            () = check => {}
            () = errands.run() => unreachable!("never ends"),
        }
    }

    #[tokio::test]
    async fn more_errands_than_may_wait_are_refused() {
        let errands = Errands::new();
        for _ in 0..WAITING {
            errands.run_for(std::future::pending(), Box::new(|_: Result<(), _>| {}));
        }
        let (tx, rx) = oneshot::channel();
        errands.run_for(async { Ok(()) }, Box::new(|outcome| drop(tx.send(outcome))));
        assert_eq!(rx.await, Ok(Err(BusError::Overloaded)));
    }
}
