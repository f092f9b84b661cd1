//! PublishService: from a backend's publication to the bus.

use std::sync::Arc;

use bus::{Bus, BusExt, Outgoing, Published, Subject};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use wire::{
    client::ErrorCode,
    control::{
        NewPublication, PublishBatchRequest, PublishBatchResponse, PublishRequest, PublishResponse,
        PublishResult, PublishStreamRequest,
    },
};

use crate::{
    callers::Caller,
    channels::Channels,
    config::ControlConfig,
    generated::publish_service_server::PublishService,
    metrics::{Method, Publications},
    publish_stream::PublishStream,
    status::{Refusal, invalid},
    trace::Tracing,
};

/// Publications in one batch. Keeps the answer to a batch of tiny publications
/// that are all refused in proportion to the request.
pub(crate) const MAX_BATCH: usize = 10_000;

/// Longest key and publication id, in bytes: they travel as NATS headers.
const MAX_HEADER_BYTES: usize = 255;

/// Serves PublishService.
pub(crate) struct Publishing {
    publisher: Arc<Publisher>,
    in_flight_batches: usize,
    shutdown: CancellationToken,
    tracing: Tracing,
    publish: Arc<Method>,
    publish_batch: Arc<Method>,
    publish_stream: Arc<Method>,
}

/// What all ways of publishing share.
pub(crate) struct Publisher {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) publications: Publications,
    channels: Channels,
}

/// Where publications come from.
struct Origin<'a> {
    caller: Caller,
    traceparent: &'a str,
}

/// What became of one publication of a batch, or will.
enum Outcome {
    Refused(Refusal),
    Awaited(oneshot::Receiver<Result<Published, bus::BusError>>),
}

// === impl Publishing ===

impl Publishing {
    /// `shutdown` ends streams.
    pub(crate) fn new(
        bus: Arc<dyn Bus>,
        channels: Channels,
        config: &ControlConfig,
        shutdown: CancellationToken,
    ) -> Self {
        let method = |name| Method::new("PublishService", name);
        Self {
            publisher: Arc::new(Publisher::new(bus, channels)),
            in_flight_batches: config.in_flight_batches.max(1),
            shutdown,
            tracing: Tracing::new("tidegate.control.v1.PublishService", config.traces),
            publish: method("Publish"),
            publish_batch: method("PublishBatch"),
            publish_stream: method("PublishStream"),
        }
    }
}

#[tonic::async_trait]
impl PublishService for Publishing {
    async fn publish(
        &self,
        request: Request<PublishRequest>,
    ) -> Result<Response<PublishResponse>, Status> {
        let trace = self.tracing.begin("Publish", request.metadata());
        let origin = Origin::new(&request, &trace.header);
        let work = self.publisher.publish(request.into_inner(), &origin);
        let result = self.publish.observe(work).await;
        trace.end(result)
    }

    async fn publish_batch(
        &self,
        request: Request<PublishBatchRequest>,
    ) -> Result<Response<PublishBatchResponse>, Status> {
        let trace = self.tracing.begin("PublishBatch", request.metadata());
        let origin = Origin::new(&request, &trace.header);
        let work = self.publisher.publish_batch(request.into_inner(), &origin);
        let result = self.publish_batch.observe(work).await;
        trace.end(result)
    }

    type PublishStreamStream = PublishStream;

    async fn publish_stream(
        &self,
        request: Request<Streaming<PublishStreamRequest>>,
    ) -> Result<Response<PublishStream>, Status> {
        Ok(Response::new(PublishStream::new(
            self.publisher.clone(),
            Caller::of(&request),
            request.into_inner(),
            self.in_flight_batches,
            self.shutdown.clone(),
            self.publish_stream.start(),
        )))
    }
}

// === impl Publisher ===

impl Publisher {
    fn new(bus: Arc<dyn Bus>, channels: Channels) -> Self {
        Self {
            bus,
            publications: Publications::new(),
            channels,
        }
    }

    /// Where publications to `channel` go, if `caller` may publish to it.
    pub(crate) fn subject(&self, channel: &str, caller: &Caller) -> Result<Subject, Refusal> {
        caller.check_publishing(channel)?;
        let channel = self.channels.check(channel)?;
        Ok(Subject::of_channel(&channel))
    }

    async fn publish(
        &self,
        request: PublishRequest,
        origin: &Origin<'_>,
    ) -> Result<PublishResponse, Status> {
        let publication = request
            .publication
            .ok_or_else(|| invalid("publication", "is missing"))?;
        let result = match self.outgoing(publication, origin) {
            Ok(outgoing) => self.bus.send(outgoing).await.map_err(Refusal::from),
            Err(refusal) => Err(refusal),
        };
        self.publications
            .count(usize::from(result.is_ok()), usize::from(result.is_err()));
        let published = result?;
        Ok(PublishResponse {
            offset: published.offset.0,
            duplicate: published.duplicate,
        })
    }

    async fn publish_batch(
        &self,
        request: PublishBatchRequest,
        origin: &Origin<'_>,
    ) -> Result<PublishBatchResponse, Status> {
        check_batch(&request.publications)?;
        // All are on their way, in order, before the first is awaited.
        let outcomes: Vec<Outcome> = request
            .publications
            .into_iter()
            .map(|publication| self.start(publication, origin))
            .collect();
        let mut results = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            results.push(outcome.settled().await);
        }
        let failed = results
            .iter()
            .filter(|result| result.error.is_some())
            .count();
        self.publications.count(results.len() - failed, failed);
        Ok(PublishBatchResponse { results })
    }

    fn start(&self, publication: NewPublication, origin: &Origin<'_>) -> Outcome {
        match self.outgoing(publication, origin) {
            Ok(outgoing) => {
                let (tx, rx) = oneshot::channel();
                // The receiver is gone if the caller is.
                let done = move |outcome| drop(tx.send(outcome));
                self.bus.publish(outgoing, Box::new(done));
                Outcome::Awaited(rx)
            }
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    fn outgoing(
        &self,
        publication: NewPublication,
        origin: &Origin<'_>,
    ) -> Result<Outgoing, Refusal> {
        let subject = self.subject(&publication.channel, &origin.caller)?;
        let outgoing = outgoing(publication, subject)?;
        Ok(Outgoing {
            traceparent: origin.traceparent.into(),
            ..outgoing
        })
    }
}

// === impl Origin ===

impl<'a> Origin<'a> {
    fn new<T>(request: &Request<T>, traceparent: &'a str) -> Self {
        Self {
            caller: Caller::of(request),
            traceparent,
        }
    }
}

/// What the bus gets, once everything about the publication is checked.
pub(crate) fn outgoing(publication: NewPublication, subject: Subject) -> Result<Outgoing, Refusal> {
    check_header("key", &publication.key)?;
    check_header("publication_id", &publication.publication_id)?;
    if publication.published_at_us < 0 {
        return Err(malformed("published_at_us", "is negative"));
    }
    Ok(Outgoing {
        subject,
        payload: publication.payload,
        key: publication.key.into(),
        published_at_us: publication.published_at_us,
        message_id: publication.publication_id.into(),
        traceparent: Box::default(),
    })
}

/// Refuses batches that are too long.
pub(crate) fn check_batch(publications: &[NewPublication]) -> Result<(), Status> {
    if publications.len() > MAX_BATCH {
        return Err(invalid(
            "publications",
            format_args!("more than {MAX_BATCH} in one batch"),
        ));
    }
    Ok(())
}

/// A line break in a header would begin another header.
fn check_header(field: &str, value: &str) -> Result<(), Refusal> {
    if value.len() > MAX_HEADER_BYTES {
        return Err(malformed(field, "is longer than 255 bytes"));
    }
    if value.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(malformed(field, "has a control character"));
    }
    Ok(())
}

fn malformed(field: &str, problem: &str) -> Refusal {
    Refusal::new(
        ErrorCode::MalformedMessage,
        format_args!("{field} {problem}"),
    )
}

// === impl Outcome ===

impl Outcome {
    async fn settled(self) -> PublishResult {
        let result = match self {
            Self::Refused(refusal) => Err(refusal),
            Self::Awaited(rx) => rx
                .await
                .unwrap_or(Err(bus::BusError::Unavailable))
                .map_err(Refusal::from),
        };
        match result {
            Ok(published) => PublishResult {
                offset: published.offset.0,
                duplicate: published.duplicate,
                error: None,
            },
            Err(refusal) => PublishResult {
                error: Some(refusal.into()),
                ..PublishResult::default()
            },
        }
    }
}
