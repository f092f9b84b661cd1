//! Which traces are recorded: a share of those begun here, and those recorded
//! elsewhere, up to a rate. A client that marks all it sends as recorded can make
//! us export that many a second, and costs the others their traces, not more.

use std::{sync::Arc, time::Instant};

use metrics::{Counter, counter};
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceContextExt, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};
use parking_lot::Mutex;

/// How to decide.
pub(super) struct Sampling {
    share: f64,
    bounded: Bounded,
}

/// Agrees with whoever has recorded the parent, so many times a second.
#[derive(Clone)]
struct Bounded {
    // A lock: held for a few instructions, once per trace that comes recorded.
    bucket: Arc<Mutex<Bucket>>,
    refused: Counter,
}

/// Leave to follow traces, one second's worth at most.
struct Bucket {
    per_second: f64,
    left: f64,
    filled_at: Instant,
}

// === impl Sampling ===

impl Sampling {
    pub(super) fn new(share: f64, max_followed_per_second: u32) -> Self {
        let per_second = f64::from(max_followed_per_second);
        let bucket = Bucket {
            per_second,
            left: per_second,
            filled_at: Instant::now(),
        };
        Self {
            share,
            bounded: Bounded {
                bucket: Arc::new(Mutex::new(bucket)),
                refused: counter!("tidegate_telemetry_traces_refused_total"),
            },
        }
    }

    /// The rule as the library wants it: spans within this process are recorded
    /// as their parents are.
    pub(super) fn sampler(self) -> Box<dyn ShouldSample> {
        let root = Sampler::TraceIdRatioBased(self.share);
        Box::new(Sampler::parent_based(root).with_remote_parent_sampled(self.bounded))
    }
}

// === impl Bounded ===

impl ShouldSample for Bounded {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _trace: TraceId,
        _name: &str,
        _kind: &SpanKind,
        _attributes: &[KeyValue],
        _links: &[Link],
    ) -> SamplingResult {
        let decision = match self.bucket.lock().take(Instant::now()) {
            true => SamplingDecision::RecordAndSample,
            false => {
                self.refused.increment(1);
                SamplingDecision::Drop
            }
        };
        let state = |parent: &Context| parent.span().span_context().trace_state().clone();
        SamplingResult {
            decision,
            attributes: Vec::new(),
            trace_state: parent.map_or_else(TraceState::default, state),
        }
    }
}

impl std::fmt::Debug for Bounded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bounded")
    }
}

// === impl Bucket ===

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.left = (self.left + passed * self.per_second).min(self.per_second);
        self.filled_at = now;
        let may = self.left >= 1.0;
        self.left -= f64::from(u8::from(may));
        may
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_has_so_many_and_a_pause_saves_up_no_more() {
        let start = Instant::now();
        let mut bucket = Bucket {
            per_second: 3.0,
            left: 3.0,
            filled_at: start,
        };
        let mut taken_at = |millis: u64| {
            let now = start + Duration::from_millis(millis);
            (0..10).filter(|_| bucket.take(now)).count()
        };
        assert_eq!(taken_at(0), 3);
        assert_eq!(taken_at(0), 0);
        assert_eq!(taken_at(1_000), 3);
        assert_eq!(taken_at(60_000), 3);
        assert_eq!(taken_at(60_340), 1);
    }

    #[test]
    fn none_are_followed_at_a_rate_of_zero() {
        let bounded = Sampling::new(1.0, 0).bounded;
        let kind = SpanKind::Server;
        let result = bounded.should_sample(None, 7_u128.into(), "name", &kind, &[], &[]);
        assert_eq!(result.decision, SamplingDecision::Drop);
    }
}
