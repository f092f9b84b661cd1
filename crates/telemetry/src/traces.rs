//! Traces: spans of this process, sent to an OpenTelemetry collector by OTLP.
//!
//! Whoever ends a span puts it into a bounded queue and goes on; one task sends
//! them in batches. What finds the queue full is lost and counted, as is a batch
//! that the collector does not take in time: it is not sent again, so a collector
//! that is slow or away costs spans and nothing else. The task ends with its
//! scope, after a last try to send what waits.

mod queue;
mod sampling;

use std::{fmt, mem, time::Duration};

use lifecycle::Scope;
use metrics::{Counter, counter};
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracerProvider, SpanData, SpanExporter as _},
};
use thiserror::Error;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};
use tonic::transport::Endpoint;

use self::{queue::Queue, sampling::Sampling};

/// Spans that may wait, at some 1 KiB each.
const QUEUED_SPANS: usize = 8_192;

/// Spans in one call to the collector.
const BATCH_SPANS: usize = 512;

/// How long the first span of a batch waits for others.
const BATCH_DELAY: Duration = Duration::from_secs(1);

/// How long what waits at the end may take.
const FLUSH_LIMIT: Duration = Duration::from_secs(3);

/// After that much silence the collector is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Where traces go, and which.
#[derive(Clone, Debug)]
pub struct TracesConfig {
    /// The collector, `http://<host>:<port>`; it takes OTLP by gRPC.
    pub endpoint: String,
    /// The share of traces begun in this process that is recorded, 0 to 1.
    pub sample: f64,
    /// Traces begun elsewhere and recorded there are recorded here as well, so
    /// many a second at most.
    pub max_followed_per_second: u32,
    /// How long the collector may take for a batch.
    pub timeout: Duration,
    /// `service.name` of this process, such as `tidegate-gateway`.
    pub service: String,
    /// `service.instance.id` of this process.
    pub instance: String,
}

/// The way of this process's spans to the collector.
pub struct Traces {
    sender: Sender,
    spans: mpsc::Receiver<SpanData>,
    batch: Vec<SpanData>,
}

/// Why spans can't be sent.
#[derive(Debug, Error)]
pub enum TracesError {
    /// Not the address of a collector.
    #[error("{endpoint:?} is not the address of a collector")]
    Endpoint {
        /// What was configured.
        endpoint: String,
        /// What is wrong with it.
        source: tonic::transport::Error,
    },
    /// The library refuses its settings.
    #[error("the exporter of traces can't be made")]
    Exporter(#[source] ExporterBuildError),
}

/// Sends batches, and counts.
struct Sender {
    exporter: opentelemetry_otlp::SpanExporter,
    timeout: Duration,
    exported: Counter,
    lost: Counter,
    /// The collector took the last batch, or none was sent.
    works: bool,
}

/// Spans on their way to the collector: lost, unless it takes them.
struct Lost {
    spans: u64,
    counter: Counter,
}

// === impl Traces ===

impl Traces {
    /// Makes this process record traces: parts that are made from here on have
    /// tracers. Nothing is sent until it runs. Call on a tokio runtime.
    ///
    /// # Errors
    /// If the endpoint is not an address. Whether the collector is there is not
    /// looked at.
    pub fn install(config: &TracesConfig) -> Result<Self, TracesError> {
        let mut exporter = exporter(config)?;
        let resource = Resource::builder_empty()
            .with_service_name(config.service.clone())
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", config.instance.clone()),
            ])
            .build();
        exporter.set_resource(&resource);
        let (sender, spans) = mpsc::channel(QUEUED_SPANS);
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampling::new(config.sample, config.max_followed_per_second).sampler())
            .with_span_processor(Queue::new(sender))
            .with_resource(resource)
            .build();
        global::set_tracer_provider(provider);
        Ok(Self {
            sender: Sender {
                exporter,
                timeout: config.timeout,
                exported: counter!("tidegate_telemetry_spans_exported_total"),
                lost: counter!("tidegate_telemetry_spans_dropped_total", "reason" => "collector"),
                works: true,
            },
            spans,
            batch: Vec::with_capacity(BATCH_SPANS),
        })
    }

    /// Sends spans until the scope is cancelled, then what still waits, for some
    /// seconds at most.
    pub async fn run(mut self, scope: Scope) {
        let too_late = async {
            scope.cancelled().await;
            sleep(FLUSH_LIMIT).await;
        };
        tokio::select! {
            () = self.work(&scope) => return,
            () = too_late => {}
        }
        let left = self.batch.len() + self.spans.len();
        self.sender.lost.increment(left as u64);
        tracing::warn!("the collector of traces did not take the last spans");
    }

    async fn work(&mut self, scope: &Scope) {
        loop {
            tokio::select! {
                () = scope.cancelled() => break,
                () = gather(&mut self.spans, &mut self.batch) => {}
            }
            self.sender.send(&mut self.batch).await;
        }
        self.spans.close();
        while !self.batch.is_empty() || self.spans.recv_many(&mut self.batch, BATCH_SPANS).await > 0
        {
            self.sender.send(&mut self.batch).await;
        }
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces")
            .field("waiting", &self.spans.len())
            .finish_non_exhaustive()
    }
}

/// Takes spans until a batch is full, or the first one has waited long enough.
/// Whatever it has taken is in `batch` when it is dropped.
async fn gather(spans: &mut mpsc::Receiver<SpanData>, batch: &mut Vec<SpanData>) {
    if batch.is_empty() {
        // The provider holds the sender for as long as the process lives.
        spans.recv_many(batch, BATCH_SPANS).await;
    }
    let until = Instant::now() + BATCH_DELAY;
    while batch.len() < BATCH_SPANS {
        let room = BATCH_SPANS - batch.len();
        tokio::select! {
            taken = spans.recv_many(batch, room) => if taken == 0 { return },
            () = sleep_until(until) => return,
        }
    }
}

fn exporter(config: &TracesConfig) -> Result<opentelemetry_otlp::SpanExporter, TracesError> {
    let refused = |source| TracesError::Endpoint {
        endpoint: config.endpoint.clone(),
        source,
    };
    let endpoint = Endpoint::from_shared(config.endpoint.clone()).map_err(refused)?;
    let channel = endpoint
        .connect_timeout(config.timeout)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(config.timeout)
        .connect_lazy();
    opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_channel(channel)
        .with_timeout(config.timeout)
        .build()
        .map_err(TracesError::Exporter)
}

// === impl Sender ===

impl Sender {
    /// Sends a batch, once. It is empty afterwards.
    async fn send(&mut self, batch: &mut Vec<SpanData>) {
        let spans = mem::replace(batch, Vec::with_capacity(BATCH_SPANS));
        let mut lost = Lost {
            spans: spans.len() as u64,
            counter: self.lost.clone(),
        };
        let sent = timeout(self.timeout, self.exporter.export(spans)).await;
        let problem = match sent {
            Ok(Ok(())) => {
                self.exported.increment(mem::take(&mut lost.spans));
                if !self.works {
                    tracing::info!("the collector of traces takes spans again");
                }
                self.works = true;
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it did not answer in time".to_owned(),
        };
        if self.works {
            // Once, and not for every batch of a long outage.
            tracing::warn!(problem, "the collector of traces takes no spans");
        }
        self.works = false;
    }
}

// === impl Lost ===

impl Drop for Lost {
    fn drop(&mut self) {
        self.counter.increment(self.spans);
    }
}

#[cfg(test)]
mod tests;
