//! The way from whoever ends a span to the task that sends it.

use std::time::Duration;

use metrics::{Counter, counter};
use opentelemetry::Context;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use tokio::sync::mpsc;

/// A bounded queue. Overflow policy: the newest are lost and counted.
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
    lost: Counter,
}

// === impl Queue ===

impl Queue {
    pub(super) fn new(spans: mpsc::Sender<SpanData>) -> Self {
        Self {
            spans,
            lost: counter!("tidegate_telemetry_spans_dropped_total", "reason" => "queue_full"),
        }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        // The task may have ended before the last spans.
        if self.spans.try_send(span).is_err() {
            self.lost.increment(1);
        }
    }

    /// The task does it at its own end.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queue")
    }
}
