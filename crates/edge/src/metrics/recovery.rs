//! Counts of what is read from logs for those who are behind.

use hub::{ReadOutcome, Totals};
use metrics::{Counter, Gauge, counter, gauge};
use wire::client::Verdict;

/// Counts of one shard, with where they go.
pub(crate) struct RecoveryCounters {
    recovered: u64,
    lost: u64,
    given_state: u64,
    pages: u64,
    publications: u64,
    gone: u64,
    failed: u64,
    handles: Handles,
}

struct Handles {
    lagging: Gauge,
    catch_ups: Counter,
    recovered: Counter,
    lost: Counter,
    given_state: Counter,
    pages: Counter,
    publications: Counter,
    gone: Counter,
    failed: Counter,
}

// === impl RecoveryCounters ===

impl RecoveryCounters {
    pub(super) fn new(shard: &str) -> Self {
        let label = || shard.to_owned();
        let verdicts = |verdict: &'static str| counter!("tidegate_edge_recoveries_total", "shard" => label(), "verdict" => verdict);
        let reads = |result: &'static str| counter!("tidegate_edge_log_reads_total", "shard" => label(), "result" => result);
        let handles = Handles {
            lagging: gauge!("tidegate_edge_lagging_subscriptions", "shard" => label()),
            catch_ups: counter!("tidegate_edge_catch_ups_total", "shard" => label()),
            recovered: verdicts("recovered"),
            lost: verdicts("lost"),
            given_state: verdicts("resnapshot"),
            pages: reads("page"),
            publications: counter!("tidegate_edge_log_read_publications_total", "shard" => label()),
            gone: reads("gone"),
            failed: reads("failed"),
        };
        Self {
            recovered: 0,
            lost: 0,
            given_state: 0,
            pages: 0,
            publications: 0,
            gone: 0,
            failed: 0,
            handles,
        }
    }

    /// Counts the verdict on a subscription, if it was from a position.
    pub(crate) fn subscribed(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Recovered => self.recovered += 1,
            Verdict::Lost => self.lost += 1,
            Verdict::Resnapshot => self.given_state += 1,
            _ => {}
        }
    }

    /// Counts a read.
    pub(crate) fn read(&mut self, outcome: &ReadOutcome) {
        match outcome {
            ReadOutcome::Page(page) => {
                self.pages += 1;
                self.publications += page.publications.len() as u64;
            }
            ReadOutcome::Gone => self.gone += 1,
            ReadOutcome::Failed => self.failed += 1,
        }
    }

    pub(super) fn publish(&self, totals: &Totals) {
        let handles = &self.handles;
        handles.lagging.set(totals.lagging as f64);
        handles.catch_ups.absolute(totals.fallen);
        handles.recovered.absolute(self.recovered);
        handles.lost.absolute(self.lost);
        handles.given_state.absolute(self.given_state);
        handles.pages.absolute(self.pages);
        handles.publications.absolute(self.publications);
        handles.gone.absolute(self.gone);
        handles.failed.absolute(self.failed);
    }
}
