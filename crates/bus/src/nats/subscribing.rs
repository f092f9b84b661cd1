//! Subscriptions: a SUB at the server for each part, and a task that follows it.

use std::sync::Arc;

use async_nats::{Message as Raw, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{oneshot, watch};

use super::{
    headers,
    link::Link,
    log::{Leg, Logs},
    log_message::Stamp,
};
use crate::{
    metrics::BusMetrics,
    port::{BusError, Message, Sink, Subscribed},
    subject::{Pattern, Subject},
};

/// How long the server may take to confirm a subscription.
const CONFIRMATION: std::time::Duration = std::time::Duration::from_secs(5);

/// A subscription whose SUBs are on their way.
pub(super) struct Subscription {
    legs: Vec<(Leg, Subscriber)>,
    sink: Arc<dyn Sink>,
    disturbances: watch::Receiver<u64>,
    metrics: Arc<BusMetrics>,
}

/// One part of it, without a log.
struct Plain {
    subscriber: Subscriber,
    except: Vec<Pattern>,
    sink: Arc<dyn Sink>,
    disturbances: watch::Receiver<u64>,
    metrics: Arc<BusMetrics>,
}

/// What happens to a subscription without a log.
enum Event {
    Delivery(Raw),
    Disturbed,
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
        // Subscribed to before the first SUB, so that nothing goes unnoticed.
        let disturbances = link.disturbances();
        let mut legs = Vec::new();
        for leg in logs.legs(pattern, &sink) {
            let subscriber = link.client.subscribe(leg.subject.clone()).await;
            legs.push((leg, subscriber.map_err(|_| BusError::Unavailable)?));
        }
        Ok(Self {
            legs,
            sink,
            disturbances,
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
            disturbances,
            metrics,
        } = self;
        let parts = legs.into_iter().map(|(leg, subscriber)| {
            let plain = Plain {
                subscriber,
                except: leg.except,
                sink: sink.clone(),
                disturbances: disturbances.clone(),
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
        Some(chain) => chain.follow(plain.subscriber).await,
        None => plain.follow().await,
    }
}

// === impl Plain ===

impl Plain {
    async fn follow(mut self) {
        loop {
            match self.next_event().await {
                Event::Delivery(raw) => self.take(&raw),
                Event::Disturbed => {
                    self.metrics.losses_told.increment(1);
                    self.sink.lost(0);
                }
                Event::End => return,
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        tokio::select! {
            biased;
            // The loss belongs before what came after it.
            Ok(()) = self.disturbances.changed() => Event::Disturbed,
            raw = self.subscriber.next() => raw.map_or(Event::End, Event::Delivery),
        }
    }

    fn take(&self, raw: &Raw) {
        let Ok(subject) = Subject::new(raw.subject.as_str()) else {
            return;
        };
        let elsewhere = self.except.iter().any(|pattern| pattern.matches(&subject));
        if elsewhere || Stamp::of(raw.headers.as_ref()).is_some() {
            // A log's message comes by the log's own way.
            return;
        }
        self.sink.deliver(&message(raw, subject));
    }
}

/// The message as sinks see it. Its payload is a copy: the original holds on to
/// the connection's read buffer.
fn message(raw: &Raw, subject: Subject) -> Message {
    let (key, published_at_us) = match &raw.headers {
        Some(headers) => (headers::key(headers), headers::published_at_us(headers)),
        None => (Box::default(), headers::now_us()),
    };
    Message {
        subject,
        payload: Bytes::copy_from_slice(&raw.payload),
        key,
        published_at_us,
        offset: wire::Offset::NONE,
        previous: wire::Offset::NONE,
    }
}
