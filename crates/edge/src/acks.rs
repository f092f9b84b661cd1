//! What users have confirmed of their mailboxes, on its way to the bus.
//!
//! Coalesced: of one user only the newest offset waits. Bounded by [`MOST`] users;
//! a confirmation beyond that is forgotten, and so is one that can't be written by
//! the gateway's end: its messages are then given once more to a connection that
//! does not say what it holds.

use std::{sync::Arc, time::Duration};

use bus::Bus;
use foldhash::{HashMap, HashMapExt};
use futures_util::{StreamExt, stream::FuturesUnordered};
use metrics::{Counter, counter};
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use wire::UserId;

/// Users whose confirmation may wait; some 10 MB.
const MOST: usize = 1 << 17;

/// Written at the same time.
const CONCURRENCY: usize = 64;

/// Before one that the bus did not take is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// Confirmations that are to be written.
pub(crate) struct Acks {
    // A lock: held for a map operation, once per confirmation and write.
    waiting: Mutex<HashMap<UserId, u64>>,
    wake: Notify,
    written: Counter,
    failed: Counter,
}

// === impl Acks ===

impl Acks {
    pub(crate) fn new() -> Self {
        let result =
            |label: &'static str| counter!("tidegate_edge_mailbox_acks_total", "result" => label);
        Self {
            waiting: Mutex::new(HashMap::new()),
            wake: Notify::new(),
            written: result("written"),
            failed: result("failed"),
        }
    }

    /// The user has confirmed everything up to this offset.
    pub(crate) fn note(&self, user: &UserId, up_to: u64) {
        {
            let mut waiting = self.waiting.lock();
            if let Some(noted) = waiting.get_mut(user) {
                *noted = up_to.max(*noted);
            } else if waiting.len() < MOST {
                waiting.insert(user.clone(), up_to);
            } else {
                self.failed.increment(1);
            }
        }
        self.wake.notify_one();
    }

    /// Writes them until `stop`, then what is left, at most for `limit`.
    pub(crate) async fn write(
        &self,
        bus: Arc<dyn Bus>,
        stop: impl Future<Output = ()>,
        limit: Duration,
    ) {
        tokio::select! {
            () = self.write_all(&*bus, false) => {}
            () = stop => drop(timeout(limit, self.write_all(&*bus, true)).await),
        }
    }

    /// Writes what waits, and with `once` returns when that is nothing.
    async fn write_all(&self, bus: &dyn Bus, once: bool) {
        let mut writes = FuturesUnordered::new();
        loop {
            while writes.len() < CONCURRENCY
                && let Some((user, up_to)) = self.next()
            {
                writes.push(self.settle(bus, user, up_to));
            }
            tokio::select! {
                Some(()) = writes.next() => {}
                () = self.wake.notified(), if !once => {}
                else => return,
            }
        }
    }

    /// Writes one. It waits again if that is given up, or fails.
    async fn settle(&self, bus: &dyn Bus, user: UserId, up_to: u64) {
        let mut unwritten = Unwritten {
            acks: self,
            user,
            up_to,
            written: false,
        };
        let outcome = mailboxes::acknowledge(bus, &unwritten.user, up_to).await;
        match outcome {
            Ok(()) => {
                self.written.increment(1);
                unwritten.written = true;
            }
            Err(error) => {
                self.failed.increment(1);
                tracing::debug!(%error, "a confirmation was not taken");
                sleep(PAUSE).await;
            }
        }
    }

    fn next(&self) -> Option<(UserId, u64)> {
        let mut waiting = self.waiting.lock();
        let user = waiting.keys().next()?.clone();
        waiting.remove_entry(&user)
    }
}

/// A confirmation that is being written, and noted again if it is not.
struct Unwritten<'a> {
    acks: &'a Acks,
    user: UserId,
    up_to: u64,
    written: bool,
}

// === impl Unwritten ===

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        if !self.written {
            self.acks.note(&self.user, self.up_to);
        }
    }
}
