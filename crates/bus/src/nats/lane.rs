//! The way out of a connection: straight into the client library while it takes
//! messages, else through one bounded queue whose end a task owns.
//!
//! Callers never wait. Overflow policy: refuse with [`BusError::Overloaded`].
//! While the lane is closed everything is refused with
//! [`BusError::Unavailable`], what waits included: nothing is kept across an
//! outage. What the client library had taken before goes out after it, or is
//! lost with it.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker},
};

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
}

#[derive(Default)]
struct Queue {
    /// Where messages go; absent until [`Lane::run`].
    client: Option<Client>,
    waiting: VecDeque<Outbound>,
    bytes: usize,
    open: bool,
}

/// What became of a message that the lane was offered.
#[must_use = "whoever is to be told must be"]
pub(super) enum Offered {
    /// It waits; whoever is to be told will be.
    Queued,
    /// The client library has it, or it was refused.
    Ended(Sent),
}

/// A message that has left, and whom to tell.
pub(super) type Sent = (Option<Done<()>>, Result<(), BusError>);

// === impl Lane ===

impl Lane {
    pub(super) fn new() -> Self {
        Self {
            queue: Mutex::default(),
            arrived: Notify::new(),
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
            queue.bytes = 0;
            std::mem::take(&mut queue.waiting)
        };
        for outbound in refused {
            outbound.end(Err(BusError::Unavailable));
        }
    }

    /// Hands a message to the client if nothing is in its way, or queues it; a
    /// refusal goes to its `done`.
    pub(super) fn push(&self, outbound: Outbound) {
        self.offer(outbound).tell();
    }

    /// Like [`Self::push`], for callers that hold a lock: nobody is told yet.
    pub(super) fn offer(&self, outbound: Outbound) -> Offered {
        let mut queue = self.queue.lock();
        let after = queue.bytes.saturating_add(outbound.len());
        let refused = if !queue.open {
            BusError::Unavailable
        } else if queue.waiting.is_empty()
            && queue.is_ready(&mut Context::from_waker(Waker::noop()))
        {
            // The usual case: no other task has to be woken.
            return Offered::Ended(queue.send(outbound));
        } else if queue.waiting.len() >= MAX_MESSAGES
            || (after > MAX_BYTES && !queue.waiting.is_empty())
        {
            BusError::Overloaded
        } else {
            queue.put(outbound);
            drop(queue);
            self.arrived.notify_one();
            return Offered::Queued;
        };
        Offered::Ended((outbound.done, Err(refused)))
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

    /// Hands messages that had to wait to the client, in order. Never ends; to be
    /// called once.
    pub(super) async fn run(&self, client: Client) {
        self.queue.lock().client = Some(client);
        loop {
            let batch = tokio::select! {
                biased;
                batch = poll_fn(|cx| self.queue.lock().poll_batch(cx)) => batch,
                // Whoever found the client busy has taken its waker.
                () = self.arrived.notified() => continue,
            };
            if batch.is_empty() {
                self.arrived.notified().await;
            }
            batch.into_iter().for_each(tell);
        }
    }
}

fn tell((done, outcome): Sent) {
    if let Some(done) = done {
        done(outcome);
    }
}

// === impl Offered ===

impl Offered {
    pub(super) fn is_taken(&self) -> bool {
        matches!(self, Self::Queued | Self::Ended((_, Ok(()))))
    }

    /// Tells whoever is to be told.
    pub(super) fn tell(self) {
        if let Self::Ended(sent) = self {
            tell(sent);
        }
    }
}

// === impl Queue ===

impl Queue {
    fn put(&mut self, outbound: Outbound) {
        self.bytes += outbound.len();
        self.waiting.push_back(outbound);
    }

    /// Whether the client takes a message. While the connection is down the
    /// library's queue fills and it does not; an error is found by sending.
    fn is_ready(&mut self, cx: &mut Context<'_>) -> bool {
        let client = self.client.as_mut();
        client.is_some_and(|client| Pin::new(client).poll_ready(cx).is_ready())
    }

    /// Gives the client a message; it must be ready.
    fn send(&mut self, outbound: Outbound) -> Sent {
        let (message, done) = outbound.split();
        let sent = match &mut self.client {
            Some(client) => Pin::new(client).start_send(message),
            None => return (done, Err(BusError::Unavailable)),
        };
        let sent = sent.map_err(|error| match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => BusError::TooLarge,
            _ => BusError::Unavailable,
        });
        (done, sent)
    }

    /// Sends some of what waits; nothing if nothing does, pending while the
    /// client takes nothing.
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Vec<Sent>> {
        let mut batch = Vec::new();
        while batch.len() < BATCH && !self.waiting.is_empty() {
            if !self.is_ready(cx) {
                match batch.is_empty() {
                    true => return Poll::Pending,
                    false => break,
                }
            }
            if let Some(outbound) = self.waiting.pop_front() {
                self.bytes = self.bytes.saturating_sub(outbound.len());
                batch.push(self.send(outbound));
            }
        }
        Poll::Ready(batch)
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
