//! What one client process counted, in a form that can be sent and added up.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::clock;

/// Nanoseconds up to ten minutes, to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600 * clock::SECOND, 3).expect("the bounds are valid")
}

/// A histogram as pairs of value and count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Latencies(Vec<(u64, u64)>);

/// Counts and latencies of one share of the connections, or of all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Connections that are ready.
    pub(crate) ready: u64,
    /// Connections that never became ready.
    pub(crate) failed: u64,
    /// Ready connections that the server closed.
    pub(crate) lost: u64,
    /// From connect() to ready.
    pub(crate) ready_latency: Latencies,
    /// Messages (or in a storm, connections) done.
    pub(crate) done: u64,
    /// Requests sent.
    pub(crate) sent: u64,
    pub(crate) duplicates: u64,
    pub(crate) out_of_order: u64,
    /// Of what is done.
    pub(crate) latency: Latencies,
    /// When the last one was done, on the clock.
    pub(crate) last_at: u64,
    /// Memory that the connections take in the client process, bytes.
    pub(crate) client_rss: u64,
    /// What went wrong, and how often.
    pub(crate) notes: BTreeMap<String, u64>,
}

// === impl Latencies ===

impl Latencies {
    /// Nanoseconds at a quantile between 0 and 1; zero if there are none.
    pub(crate) fn quantile(&self, quantile: f64) -> u64 {
        self.to_histogram().value_at_quantile(quantile)
    }

    fn to_histogram(&self) -> Histogram<u64> {
        let mut histogram = histogram();
        for &(value, count) in &self.0 {
            histogram.saturating_record_n(value, count);
        }
        histogram
    }
}

impl From<&Histogram<u64>> for Latencies {
    fn from(histogram: &Histogram<u64>) -> Self {
        Self(
            histogram
                .iter_recorded()
                .map(|step| (step.value_iterated_to(), step.count_at_value()))
                .collect(),
        )
    }
}

// === impl Outcome ===

impl Outcome {
    /// Adds another share.
    pub(crate) fn add(&mut self, other: &Self) {
        self.ready += other.ready;
        self.failed += other.failed;
        self.lost += other.lost;
        self.done += other.done;
        self.sent += other.sent;
        self.duplicates += other.duplicates;
        self.out_of_order += other.out_of_order;
        self.client_rss += other.client_rss;
        self.last_at = self.last_at.max(other.last_at);
        self.ready_latency
            .0
            .extend_from_slice(&other.ready_latency.0);
        self.latency.0.extend_from_slice(&other.latency.0);
        for (note, count) in &other.notes {
            *self.notes.entry(note.clone()).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_after_travelling_as_json() {
        let mut recorded = histogram();
        recorded.record_n(1_000, 98).unwrap();
        recorded.record_n(1_000_000, 2).unwrap();
        let one = Outcome {
            ready: 2,
            last_at: 5,
            latency: Latencies::from(&recorded),
            notes: BTreeMap::from([("refused".to_owned(), 1)]),
            ..Outcome::default()
        };
        let text = serde_json::to_string(&one).unwrap();
        let mut sum: Outcome = serde_json::from_str(&text).unwrap();
        assert_eq!(sum, one);
        sum.add(&Outcome {
            last_at: 3,
            ..one.clone()
        });
        assert_eq!((sum.ready, sum.last_at, sum.notes["refused"]), (4, 5, 2));
        assert_eq!(sum.latency.quantile(0.5) / 10, 100);
        assert_eq!(sum.latency.quantile(0.99) / 100_000, 10);
    }
}
