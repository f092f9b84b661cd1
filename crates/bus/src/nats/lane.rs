//! The way out of a connection: one bounded queue, and a task that owns its end.
//!
//! Callers never wait. Overflow policy: refuse with [`BusError::Overloaded`].
//! While the connection is down everything is refused with
//! [`BusError::Unavailable`], what waits included: nothing is kept across an
//! outage. What the client library had taken before goes out after it, or is
//! lost with it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_nats::{Client, HeaderMap, Subject};
use bytes::Bytes;
use tokio::sync::{Notify, mpsc};

use crate::port::{BusError, Done};

/// Messages that may wait.
const MAX_MESSAGES: usize = 16_384;

/// Their bytes. A single larger message passes when nothing else waits.
const MAX_BYTES: usize = 32 << 20;

/// Bytes that headers and the protocol add, at most, for what is not counted
/// one by one.
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

/// The queue's near end.
pub(super) struct Lane {
    queue: mpsc::Sender<Outbound>,
    shared: Arc<Shared>,
}

/// The queue's far end.
pub(super) struct LaneEnd {
    queue: mpsc::Receiver<Outbound>,
    shared: Arc<Shared>,
}

struct Shared {
    up: AtomicBool,
    went_down: Notify,
    bytes: AtomicUsize,
}

// === impl Lane ===

impl Lane {
    pub(super) fn new() -> (Self, LaneEnd) {
        let (tx, rx) = mpsc::channel(MAX_MESSAGES);
        let shared = Arc::new(Shared {
            up: AtomicBool::new(false),
            went_down: Notify::new(),
            bytes: AtomicUsize::new(0),
        });
        let near = Self {
            queue: tx,
            shared: shared.clone(),
        };
        (near, LaneEnd { queue: rx, shared })
    }

    /// Opens or closes it, as the connection comes and goes.
    pub(super) fn set_up(&self, up: bool) {
        self.shared.up.store(up, Ordering::Release);
        if !up {
            self.shared.went_down.notify_one();
        }
    }

    /// Queues a message; a refusal goes to its `done`.
    pub(super) fn push(&self, outbound: Outbound) {
        if !self.shared.up.load(Ordering::Acquire) {
            return outbound.end(Err(BusError::Unavailable));
        }
        let bytes = outbound.len();
        let waiting = self.shared.bytes.fetch_add(bytes, Ordering::AcqRel);
        let fits = waiting == 0 || waiting + bytes <= MAX_BYTES;
        let refused = match fits.then(|| self.queue.try_reserve()) {
            Some(Ok(place)) => return place.send(outbound),
            Some(Err(mpsc::error::TrySendError::Closed(()))) => BusError::Unavailable,
            Some(Err(mpsc::error::TrySendError::Full(()))) | None => BusError::Overloaded,
        };
        self.shared.bytes.fetch_sub(bytes, Ordering::AcqRel);
        outbound.end(Err(refused));
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.shared.bytes.load(Ordering::Relaxed)
    }
}

// === impl LaneEnd ===

impl LaneEnd {
    /// Hands messages to the client, in order. Never ends while its lane lives.
    pub(super) async fn run(mut self, client: Client) {
        while let Some(mut outbound) = self.queue.recv().await {
            let bytes = outbound.len();
            let done = outbound.done.take();
            let outcome = self.send(&client, outbound).await;
            self.shared.bytes.fetch_sub(bytes, Ordering::AcqRel);
            if let Some(done) = done {
                done(outcome);
            }
        }
    }

    async fn send(&self, client: &Client, outbound: Outbound) -> Result<(), BusError> {
        let Outbound {
            subject,
            reply,
            headers,
            payload,
            done: _,
        } = outbound;
        let sending = async {
            match (reply, headers) {
                (None, None) => client.publish(subject, payload).await,
                (None, Some(headers)) => {
                    client.publish_with_headers(subject, headers, payload).await
                }
                (Some(reply), None) => client.publish_with_reply(subject, reply, payload).await,
                (Some(reply), Some(headers)) => {
                    client
                        .publish_with_reply_and_headers(subject, reply, headers, payload)
                        .await
                }
            }
        };
        tokio::pin!(sending);
        loop {
            tokio::select! {
                biased;
                // While the connection is down the library's queue fills and
                // sending waits; what is given up here was never taken.
                sent = &mut sending => return sent.map_err(|error| match error.kind() {
                    async_nats::PublishErrorKind::MaxPayloadExceeded => BusError::TooLarge,
                    _ => BusError::Unavailable,
                }),
                () = self.shared.went_down.notified() => {}
            }
            if !self.shared.up.load(Ordering::Acquire) {
                return Err(BusError::Unavailable);
            }
        }
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
}
