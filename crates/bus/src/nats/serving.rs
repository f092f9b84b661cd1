//! Serving requests: a queue subscription, and one that hears who has lost
//! interest.

use std::{
    collections::HashMap,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use async_nats::Message;
use bytes::Bytes;
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    feed::Feed,
    headers,
    lane::{Lane, Outbound},
};
use crate::{
    port::{BusError, Handler, Incoming, Responder},
    subject::Subject,
};

/// The queue group of all workers: the default of NATS micro services.
pub(super) const GROUP: &str = "q";

/// Until the server is asked again for no more requests.
const DRAIN_AGAIN: Duration = Duration::from_millis(1);

/// Where it is told that a request's caller has lost interest; payload: the
/// request's reply subject.
pub(super) fn cancel_subject(subject: &str) -> String {
    format!("tg.cn.{subject}")
}

/// What is counted for one subject (NATS ADR-32).
#[derive(Debug, Default)]
pub(super) struct EndpointStats(Mutex<Counts>);

#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) last_error: String,
    pub(super) processing: Duration,
}

/// One served subject at work.
pub(super) struct Serving {
    subject: Subject,
    handler: Arc<dyn Handler>,
    lane: Arc<Lane>,
    stats: Arc<EndpointStats>,
    under_way: Arc<UnderWay>,
}

/// Stops one served subject; held by its task and by the bus.
#[derive(Clone, Default)]
pub(super) struct Stop(Arc<Stopping>);

#[derive(Default)]
struct Stopping {
    // A lock: the task takes requests from the feed, whoever stops it asks the
    // server for no more, at once, so that what it does next comes after that.
    requests: Mutex<Requests>,
    stopped: CancellationToken,
}

#[derive(Default)]
struct Requests {
    feed: Option<Feed>,
    drained: bool,
}

/// Requests that have no answer yet, by reply subject.
#[derive(Default)]
struct UnderWay(Mutex<HashMap<String, CancellationToken, foldhash::fast::RandomState>>);

// === impl Serving ===

impl Serving {
    pub(super) fn new(
        subject: Subject,
        handler: Arc<dyn Handler>,
        lane: Arc<Lane>,
        stats: Arc<EndpointStats>,
    ) -> Self {
        Self {
            subject,
            handler,
            lane,
            stats,
            under_way: Arc::default(),
        }
    }

    /// Takes requests until it is stopped, and then those that have come
    /// already: nobody else would answer them.
    pub(super) async fn run(self, mut cancellations: Feed, stop: Stop) {
        let mut drained = false;
        loop {
            tokio::select! {
                biased;
                // First: a request comes before its cancellation.
                request = stop.next_request() => match request {
                    Some(request) => self.take(request),
                    None => return,
                },
                Some(cancelled) = cancellations.next() => self.cancel(&cancelled.payload),
                () = stop.0.stopped.cancelled(), if !drained => {
                    drained = stop.drain();
                    if !drained {
                        // The library's queue is full.
                        tokio::time::sleep(DRAIN_AGAIN).await;
                    }
                }
            }
        }
    }

    fn take(&self, request: Message) {
        // A message without a way back is none of a caller's.
        let Some(reply) = request.reply else { return };
        let (context, deadline) = headers::context(request.headers.as_ref());
        let cancelled = CancellationToken::new();
        self.under_way
            .0
            .lock()
            .insert(reply.to_string(), cancelled.clone());
        let (lane, stats, under_way) = (
            self.lane.clone(),
            self.stats.clone(),
            self.under_way.clone(),
        );
        let began = Instant::now();
        let responder = Responder::new(move |outcome: Result<Bytes, BusError>| {
            under_way.0.lock().remove(reply.as_str());
            stats.count(began.elapsed(), outcome.as_ref().err());
            let (headers, payload) = match outcome {
                Ok(payload) => (None, payload),
                Err(error) => (Some(headers::of_failure(&error)), Bytes::new()),
            };
            // What can't be sent is noticed by the caller's deadline.
            lane.push(Outbound {
                subject: reply,
                reply: None,
                headers,
                payload,
                done: None,
            });
        });
        self.handler.handle(Incoming {
            subject: self.subject.clone(),
            // A copy: the original holds on to the connection's read buffer.
            payload: Bytes::copy_from_slice(&request.payload),
            deadline,
            context,
            cancelled,
            responder,
        });
    }

    fn cancel(&self, reply: &[u8]) {
        let Ok(reply) = std::str::from_utf8(reply) else {
            return;
        };
        let token = self.under_way.0.lock().get(reply).cloned();
        if let Some(token) = token {
            token.cancel();
        }
    }
}

// === impl Stop ===

impl Stop {
    /// Where requests come from.
    pub(super) fn begin(&self, requests: Feed) {
        self.0.requests.lock().feed = Some(requests);
    }

    /// Takes no more requests; what has come is answered.
    pub(super) fn stop(&self) {
        self.drain();
        self.0.stopped.cancel();
    }

    /// Whether the server has been asked for no more.
    fn drain(&self) -> bool {
        let mut requests = self.0.requests.lock();
        if !requests.drained {
            let drained = requests.feed.as_mut().map(Feed::drain_now);
            requests.drained = drained.unwrap_or(false);
        }
        requests.drained
    }

    async fn next_request(&self) -> Option<Message> {
        std::future::poll_fn(|cx| match &mut self.0.requests.lock().feed {
            Some(feed) => feed.poll_next_unpin(cx),
            None => Poll::Ready(None),
        })
        .await
    }
}

// === impl EndpointStats ===

impl EndpointStats {
    /// What was counted so far.
    pub(super) fn counts(&self) -> Counts {
        self.0.lock().clone()
    }

    fn count(&self, took: Duration, error: Option<&BusError>) {
        let mut counts = self.0.lock();
        counts.requests += 1;
        counts.processing += took;
        if let Some(error) = error {
            counts.errors += 1;
            counts.last_error = error.to_string();
        }
    }
}
