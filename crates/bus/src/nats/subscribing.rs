//! Subscriptions: a SUB at the server for each part, and a task that follows it.

use std::sync::Arc;

use async_nats::Message as Raw;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tokio::{
    sync::{oneshot, watch},
    task::{unconstrained, yield_now},
};

use super::{
    feed::Feed,
    headers,
    line::Seen,
    link::Link,
    log::{Leg, Logs},
    log_message::Stamp,
    options::SUBSCRIPTION_CAPACITY,
};
use crate::{
    metrics::BusMetrics,
    origin::Origin,
    port::{BusError, Message, Sink, Subscribed},
    subject::{Pattern, Subject},
};

/// How long the server may take to confirm a subscription.
const CONFIRMATION: std::time::Duration = std::time::Duration::from_secs(5);

/// What the servers and their clients tell each other.
const OWN: [&str; 2] = ["_INBOX.", "$"];

/// A subscription whose SUBs are on their way.
pub(super) struct Subscription {
    legs: Vec<(Leg, Feed)>,
    sink: Arc<dyn Sink>,
    line: watch::Receiver<Seen>,
    metrics: Arc<BusMetrics>,
}

/// One part of it, without a log.
struct Plain {
    feed: Feed,
    except: Vec<Pattern>,
    sink: Arc<dyn Sink>,
    line: watch::Receiver<Seen>,
    /// What was known of the connection when it was last looked at.
    known: Seen,
    /// Nothing waited to be delivered since the connection was lost.
    empty: bool,
    metrics: Arc<BusMetrics>,
}

/// What happens to a subscription without a log.
enum Event {
    Delivery(Raw),
    /// The connection has something to tell.
    Line,
    End,
}

// === impl Subscription ===

impl Subscription {
    /// Sends the SUBs.
    ///
    /// # Errors
    /// If the connection has ended.
    pub(super) async fn begin(
        link: &Link,
        logs: &Arc<Logs>,
        pattern: &Pattern,
        sink: Arc<dyn Sink>,
        metrics: Arc<BusMetrics>,
    ) -> Result<Self, BusError> {
        // Before the first SUB, so that nothing goes unnoticed.
        let line = link.seen();
        let mut legs = Vec::new();
        for leg in logs.legs(pattern, &sink) {
            let feed = link.subscribe(leg.subject.clone(), None).await?;
            legs.push((leg, feed));
        }
        Ok(Self {
            legs,
            sink,
            line,
            metrics,
        })
    }

    /// Waits until the server has seen the SUBs, and for a single log where
    /// deliveries continue from.
    ///
    /// # Errors
    /// If the bus is away.
    pub(super) async fn confirmed(&mut self, link: &Link) -> Result<Subscribed, BusError> {
        let (tx, rx) = oneshot::channel();
        let done = Box::new(move |outcome| drop(tx.send(outcome)));
        link.inbox.round_trip(CONFIRMATION, done);
        rx.await.unwrap_or(Err(BusError::Unavailable))?;
        let mut position = None;
        for (leg, _) in &mut self.legs {
            if let Some(chain) = &mut leg.chain {
                position = chain.begin().await?;
            }
        }
        Ok(Subscribed { position })
    }

    /// Delivers until it is dropped.
    pub(super) async fn follow(self) {
        let Self {
            legs,
            sink,
            line,
            metrics,
        } = self;
        let known = *line.borrow();
        let parts = legs.into_iter().map(|(leg, feed)| {
            let plain = Plain {
                feed,
                except: leg.except,
                sink: sink.clone(),
                line: line.clone(),
                known,
                empty: false,
                metrics: metrics.clone(),
            };
            follow_leg(leg.chain, plain)
        });
        let mut parts: Vec<_> = parts.map(Box::pin).collect();
        match (parts.pop(), parts.is_empty()) {
            // The usual case, and the smallest task.
            (Some(only), true) => only.await,
            (Some(last), false) => {
                parts.push(last);
                futures_util::future::join_all(parts).await;
            }
            (None, _) => {}
        }
    }
}

async fn follow_leg(chain: Option<super::chain::Chain>, plain: Plain) {
    match chain {
        Some(chain) => chain.follow(plain.feed).await,
        None => plain.follow().await,
    }
}

// === impl Plain ===

impl Plain {
    async fn follow(mut self) {
        loop {
            match self.next_event().await {
                Event::Delivery(raw) => self.take(&raw),
                Event::Line => self.notice().await,
                Event::End => return,
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        tokio::select! {
            biased;
            Ok(()) = self.line.changed() => Event::Line,
            raw = self.feed.next() => raw.map_or(Event::End, Event::Delivery),
        }
    }

    /// Tells of what may be missing. A new connection is told when it is there:
    /// whoever then looks what has become of things misses nothing later.
    async fn notice(&mut self) {
        let now = *self.line.borrow_and_update();
        let before = std::mem::replace(&mut self.known, now);
        let anew = now.connections != before.connections;
        if anew {
            self.lost(0);
        }
        // What waits came before a connection was lost, unless it is there
        // again already; then both sides of it are told.
        let waited = self.deliver_what_waits();
        if anew && waited > 0 && !self.empty {
            self.lost(0);
        }
        self.empty = !now.connected;
        // What fell out of a full queue may be followed by nothing: it is told
        // when the queue is empty.
        let mut emptied = waited < SUBSCRIPTION_CAPACITY;
        while !emptied {
            yield_now().await;
            emptied = self.deliver_what_waits() < SUBSCRIPTION_CAPACITY;
        }
        if let Some(dropped) = self.feed.lost_at_end() {
            self.lost(dropped);
        }
    }

    /// Delivers what is in the queue now; gives how many that were.
    fn deliver_what_waits(&mut self) -> usize {
        for count in 0..SUBSCRIPTION_CAPACITY {
            // Unconstrained: a used-up budget would look like an empty queue.
            match unconstrained(self.feed.next()).now_or_never() {
                Some(Some(raw)) => self.take(&raw),
                _ => return count,
            }
        }
        SUBSCRIPTION_CAPACITY
    }

    fn lost(&self, dropped: u64) {
        self.metrics.losses_told.increment(1);
        self.sink.lost(dropped);
    }

    fn take(&self, raw: &Raw) {
        if let Some(dropped) = self.feed.lost_before_last() {
            self.lost(dropped);
        }
        if OWN.iter().any(|prefix| raw.subject.starts_with(prefix)) {
            // What a wildcard over everything matches beside messages.
            return;
        }
        let Ok(subject) = Subject::new(raw.subject.as_str()) else {
            return;
        };
        let elsewhere = self.except.iter().any(|pattern| pattern.matches(&subject));
        if elsewhere || Stamp::of(raw.headers.as_ref()).is_some() {
            // A log's message comes by the log's own way.
            return;
        }
        let stamp = raw.headers.as_ref().map(headers::stamp);
        match stamp {
            Some(stamp) if stamp.is_word => self.sink.reached(&subject, stamp.origin),
            stamp => self.sink.deliver(&message(raw, subject, stamp)),
        }
    }
}

/// The message as sinks see it. Its payload is a copy: the original holds on to
/// the connection's read buffer.
fn message(raw: &Raw, subject: Subject, stamp: Option<headers::Stamp>) -> Message {
    let headers = raw.headers.as_ref();
    let (key, traceparent) = headers
        .map(headers::key_and_traceparent)
        .unwrap_or_default();
    Message {
        subject,
        payload: Bytes::copy_from_slice(&raw.payload),
        key,
        published_at_us: stamp.map_or_else(headers::now_us, |stamp| stamp.published_at_us),
        offset: wire::Offset::NONE,
        previous: wire::Offset::NONE,
        origin: stamp.map_or(Origin::UNKNOWN, |stamp| stamp.origin),
        traceparent,
    }
}
