//! Watch: connections as they open and close, for one caller.
//!
//! Between the bus and the caller there is one queue, bounded in items and in
//! bytes. What finds it full is not queued but counted, and the caller is told
//! so in its place; the bus waits for nobody.
//!
//! A stream ends when its caller ends it, or at shutdown with UNAVAILABLE.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bus::{Bus, BusExt, Message, Pattern, Sink, SubscriptionToken};
use futures_util::{Stream, task::AtomicWaker};
use parking_lot::Mutex;
use prost::Message as _;
use registry::EVENTS_PATTERN;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status};
use wire::control::{
    ConnectionEvent, ConnectionEventKind, WatchRequest, WatchResponse, watch_response::Item,
};

use crate::{
    deadline,
    meant::Meant,
    metrics::{Call, Method, Open, Watched},
    status::rich,
};

/// Events that wait for one caller. A storm of ten thousand connections comes
/// within a second or so: who reads at all gets all of it.
const MAX_WAITING: usize = 16 << 10;

/// Bytes of them, as encoded.
const MAX_WAITING_BYTES: usize = 4 << 20;

/// Starts watches.
pub(crate) struct Watching {
    bus: Arc<dyn Bus>,
    shutdown: CancellationToken,
    watched: Watched,
    method: Arc<Method>,
}

/// The answers to one caller.
pub(crate) struct Watch {
    queue: Arc<Queue>,
    /// Absent: nothing comes any more.
    subscription: Option<Subscription>,
    /// What is said behind the last event.
    end: Option<Status>,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    call: Call,
    _open: Open,
}

/// Ends the subscription when dropped.
struct Subscription {
    bus: Arc<dyn Bus>,
    token: SubscriptionToken,
}

/// What waits for one caller.
struct Queue {
    /// Only this user's events; empty: everybody's.
    user: String,
    // A lock: the bus adds on its threads, the caller's stream takes; neither
    // does anything else meanwhile.
    waiting: Mutex<Waiting>,
    reader: AtomicWaker,
    watched: Watched,
}

#[derive(Default)]
struct Waiting {
    /// Each with its size.
    items: VecDeque<(Item, usize)>,
    bytes: usize,
}

// === impl Watching ===

impl Watching {
    /// `shutdown` ends watches.
    pub(crate) fn new(bus: Arc<dyn Bus>, shutdown: CancellationToken) -> Self {
        Self {
            bus,
            shutdown,
            watched: Watched::new(),
            method: Method::new("ConnectionService", "Watch"),
        }
    }

    /// Every event from now on is in the stream, or counted in it.
    pub(crate) async fn start(&self, request: WatchRequest) -> Result<Watch, Status> {
        let mut call = self.method.start();
        let started = self.subscribe(request).await;
        if let Err(status) = &started {
            call.end(status.code());
        }
        let (queue, subscription) = started?;
        Ok(Watch {
            queue,
            subscription: Some(subscription),
            end: None,
            shutdown: Box::pin(self.shutdown.clone().cancelled_owned()),
            call,
            _open: self.watched.open(),
        })
    }

    async fn subscribe(&self, request: WatchRequest) -> Result<(Arc<Queue>, Subscription), Status> {
        Meant::user_or_label(&request.user, None)?;
        let queue = Arc::new(Queue {
            user: request.user,
            waiting: Mutex::default(),
            reader: AtomicWaker::new(),
            watched: self.watched.clone(),
        });
        let events = Pattern::new(EVENTS_PATTERN).expect("a pattern");
        let listening = timeout(deadline::DEFAULT, self.bus.listen(events, queue.clone())).await;
        let (token, _) = listening
            .map_err(|_| unavailable("the bus did not subscribe in time"))?
            .map_err(unavailable)?;
        let bus = self.bus.clone();
        Ok((queue, Subscription { bus, token }))
    }
}

// === impl Watch ===

impl Stream for Watch {
    type Item = Result<WatchResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        // Before looking at the queue: what comes after the look must wake.
        this.queue.reader.register(cx.waker());
        if this.subscription.is_some() && this.shutdown.as_mut().poll(cx).is_ready() {
            this.subscription = None;
            let status = Status::unavailable("the control plane is shutting down");
            this.end = Some(status);
        }
        if let Some(item) = this.queue.take() {
            return Poll::Ready(Some(Ok(WatchResponse { item: Some(item) })));
        }
        if this.subscription.is_some() {
            return Poll::Pending;
        }
        // Polled again, it stays ended.
        let end = this.end.take();
        if let Some(status) = &end {
            this.call.end(status.code());
        }
        Poll::Ready(end.map(Err))
    }
}

// === impl Subscription ===

impl Drop for Subscription {
    fn drop(&mut self) {
        self.bus.unsubscribe(self.token);
    }
}

// === impl Queue ===

impl Queue {
    fn take(&self) -> Option<Item> {
        let mut waiting = self.waiting.lock();
        let (item, bytes) = waiting.items.pop_front()?;
        waiting.bytes -= bytes;
        Some(item)
    }

    /// Queues the event, or counts it where there is no room.
    fn push(&self, event: ConnectionEvent, bytes: usize) {
        let mut waiting = self.waiting.lock();
        let room = waiting.items.len() < MAX_WAITING && waiting.bytes + bytes <= MAX_WAITING_BYTES;
        if room {
            waiting.items.push_back((Item::Event(event), bytes));
            waiting.bytes += bytes;
            drop(waiting);
            self.watched.queued.increment(1);
        } else {
            waiting.miss(1);
            drop(waiting);
            self.watched.missed.increment(1);
        }
        self.reader.wake();
    }

    fn miss(&self, missed: u64) {
        self.waiting.lock().miss(missed);
        self.watched.missed.increment(missed);
        self.reader.wake();
    }

    fn is_meant(&self, event: &ConnectionEvent) -> bool {
        let user = event.connection.as_ref().map(|connection| &connection.user);
        self.user.is_empty() || user == Some(&self.user)
    }
}

impl Sink for Queue {
    fn deliver(&self, message: &Message) {
        match ConnectionEvent::decode(message.payload.clone()) {
            Ok(event) if is_whole(&event) => {
                if self.is_meant(&event) {
                    self.push(event, message.payload.len());
                }
            }
            // There was one, and nobody can say what.
            _ => self.lost(1),
        }
    }

    /// Whose events they were is not known: of one user's, none may be missing.
    fn lost(&self, dropped: u64) {
        self.miss(if self.user.is_empty() { dropped } else { 0 });
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

// === impl Waiting ===

impl Waiting {
    /// Adds to the count at the end, which is all that a full queue grows by.
    fn miss(&mut self, missed: u64) {
        if let Some((Item::Missed(before), _)) = self.items.back_mut() {
            *before += missed;
        } else {
            self.items.push_back((Item::Missed(missed), 0));
        }
    }
}

fn is_whole(event: &ConnectionEvent) -> bool {
    event.kind() != ConnectionEventKind::Unspecified && event.connection.is_some()
}

fn unavailable(problem: impl fmt::Display) -> Status {
    let message = format!("events can't be subscribed to: {problem}");
    rich(Code::Unavailable, "EVENTS_UNAVAILABLE", message)
}
