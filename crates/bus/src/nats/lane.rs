//! The way out of a connection: one bounded queue, and a task that owns its end.
//!
//! Callers never wait. Overflow policy: refuse with [`BusError::Overloaded`].
//! While the lane is closed everything is refused with
//! [`BusError::Unavailable`], what waits included: nothing is kept across an
//! outage. What the client library had taken before goes out after it, or is
//! lost with it.

use std::{collections::VecDeque, pin::Pin};

use async_nats::{Client, HeaderMap, PublishErrorKind, Subject, message::OutboundMessage};
use bytes::Bytes;
use futures_util::Sink;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::port::{BusError, Done};

/// Messages that may wait.
const MAX_MESSAGES: usize = 16_384;

/// Their bytes. A single larger message passes when nothing else waits.
const MAX_BYTES: usize = 32 << 20;

/// Messages taken from the queue at once.
const BATCH: usize = 64;

/// What headers and the protocol add, for what is not counted one by one.
const OVERHEAD: usize = 64;

/// A message on its way out.
pub(super) struct Outbound {
    pub(super) subject: Subject,
    pub(super) reply: Option<Subject>,
    pub(super) headers: Option<HeaderMap>,
    pub(super) payload: Bytes,
    /// Told when the client library has it, or why not.
    pub(super) done: Option<Done<()>>,
}

/// The queue. Closed at first.
pub(super) struct Lane {
    // A lock: callers on all threads put messages in; held for a queue operation.
    queue: Mutex<Queue>,
    arrived: Notify,
    closed: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Outbound>,
    bytes: usize,
    open: bool,
    /// Counts closings: what was taken out before one is refused after it.
    closings: u64,
}

// === impl Lane ===

impl Lane {
    pub(super) fn new() -> Self {
        Self {
            queue: Mutex::default(),
            arrived: Notify::new(),
            closed: Notify::new(),
        }
    }

    pub(super) fn open(&self) {
        self.queue.lock().open = true;
    }

    /// Refuses everything, what waits included, until it is opened.
    pub(super) fn close(&self) {
        let refused = {
            let mut queue = self.queue.lock();
            queue.open = false;
            queue.closings += 1;
            queue.bytes = 0;
            std::mem::take(&mut queue.waiting)
        };
        self.closed.notify_waiters();
        for outbound in refused {
            outbound.end(Err(BusError::Unavailable));
        }
    }

    /// Queues a message; a refusal goes to its `done`.
    pub(super) fn push(&self, outbound: Outbound) {
        let refused = {
            let mut queue = self.queue.lock();
            let after = queue.bytes.saturating_add(outbound.len());
            if !queue.open {
                BusError::Unavailable
            } else if queue.waiting.len() >= MAX_MESSAGES
                || (after > MAX_BYTES && !queue.waiting.is_empty())
            {
                BusError::Overloaded
            } else {
                queue.put(outbound);
                drop(queue);
                return self.arrived.notify_one();
            }
        };
        outbound.end(Err(refused));
    }

    /// Queues a message although the lane may be closed or full: one that finds
    /// out whether anything passes.
    pub(super) fn push_probe(&self, outbound: Outbound) {
        self.queue.lock().put(outbound);
        self.arrived.notify_one();
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.queue.lock().bytes
    }

    /// Hands messages to the client, in order. Never ends; to be called once.
    pub(super) async fn run(&self, mut client: Client) {
        loop {
            let (batch, closings) = self.take();
            if batch.is_empty() {
                self.arrived.notified().await;
            }
            for outbound in batch {
                self.send(&mut client, outbound, closings).await;
            }
        }
    }

    fn take(&self) -> (Vec<Outbound>, u64) {
        let mut queue = self.queue.lock();
        let count = queue.waiting.len().min(BATCH);
        let batch: Vec<_> = queue.waiting.drain(..count).collect();
        let freed: usize = batch.iter().map(Outbound::len).sum();
        queue.bytes = queue.bytes.saturating_sub(freed);
        (batch, queue.closings)
    }

    async fn send(&self, client: &mut Client, outbound: Outbound, closings: u64) {
        // Made before the look at the queue, so that no closing is missed.
        let closed = self.closed.notified();
        if self.queue.lock().closings != closings {
            return outbound.end(Err(BusError::Unavailable));
        }
        let ready = std::future::poll_fn(|cx| Pin::new(&mut *client).poll_ready(cx));
        let ready = tokio::select! {
            biased;
            ready = ready => ready.is_ok(),
            // While the connection is down the library's queue fills and this
            // waits; what is given up here was never taken.
            () = closed => false,
        };
        if !ready {
            return outbound.end(Err(BusError::Unavailable));
        }
        let (message, done) = outbound.split();
        let sent = Pin::new(client).start_send(message);
        let sent = sent.map_err(|error| match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => BusError::TooLarge,
            _ => BusError::Unavailable,
        });
        if let Some(done) = done {
            done(sent);
        }
    }
}

// === impl Queue ===

impl Queue {
    fn put(&mut self, outbound: Outbound) {
        self.bytes += outbound.len();
        self.waiting.push_back(outbound);
    }
}

// === impl Outbound ===

impl Outbound {
    fn len(&self) -> usize {
        self.payload.len() + self.subject.len() + OVERHEAD
    }

    fn end(self, outcome: Result<(), BusError>) {
        if let Some(done) = self.done {
            done(outcome);
        }
    }

    fn split(self) -> (OutboundMessage, Option<Done<()>>) {
        let message = OutboundMessage {
            subject: self.subject,
            reply: self.reply,
            payload: self.payload,
            headers: self.headers,
        };
        (message, self.done)
    }
}
