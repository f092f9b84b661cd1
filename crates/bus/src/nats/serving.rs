//! Serving requests: a queue subscription, and one that hears who has lost
//! interest.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    headers,
    lane::{Lane, Outbound},
};
use crate::{
    port::{BusError, Handler, Incoming, Responder},
    subject::Subject,
};

/// The queue group of all workers: the default of NATS micro services.
pub(super) const GROUP: &str = "q";

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

    /// Takes requests until `stop`, and then those that have come already:
    /// nobody else would answer them.
    pub(super) async fn run(
        self,
        mut requests: Subscriber,
        mut cancellations: Subscriber,
        stop: CancellationToken,
    ) {
        let mut stopping = false;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    // Fails only if the connection has ended, and with it all.
                    let _ = requests.unsubscribe().await;
                }
                Some(cancelled) = cancellations.next() => self.cancel(&cancelled.payload),
                request = requests.next() => match request {
                    Some(request) => self.take(request),
                    None => return,
                },
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
