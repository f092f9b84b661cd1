//! The process's metrics: one Prometheus recorder behind the `metrics` facade.
//!
//! Histograms get their buckets from the unit at the end of their name, as the
//! house rule for metric names makes it tell what is measured.

use std::{fmt, sync::OnceLock, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use thiserror::Error;
use tokio::time::{MissedTickBehavior, interval};

use crate::metrics::{self as own, Process};

/// `*_seconds`: from a tenth of the best latency we promise (0.3 ms) to the
/// longest deadline a client may set; three steps a decade keep quantiles
/// within a factor of about two.
const LATENCY_SECONDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0,
];

/// `*_lifetime_seconds`: how long connections and sessions live, from a client
/// that fails at once to one that stays for a day.
const LIFETIME_SECONDS: &[f64] = &[1.0, 10.0, 60.0, 300.0, 1_800.0, 7_200.0, 28_800.0, 86_400.0];

/// `*_bytes`: powers of four from the smallest event to the largest message.
const SIZE_BYTES: &[f64] = &[
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
];

/// Everything else counts things, such as events in a write: powers of two
/// while batches are small, powers of four above.
const COUNT: &[f64] = &[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0,
];

/// Histograms keep each sample, at 16 bytes, until the next upkeep: 2.5 MB with 150,000
/// requests a second.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(1);

static INSTALLED: OnceLock<Option<Metrics>> = OnceLock::new();

/// A handle to the process's metrics; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    process: Process,
}

/// Another recorder was installed in this process before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("another metrics recorder is installed already")]
pub struct RecorderTaken;

// === impl Metrics ===

impl Metrics {
    /// Installs the recorder at the first call; every call returns it, so that
    /// many tests can share a process. Handles made before are not recorded.
    ///
    /// # Errors
    /// If the process has another recorder.
    pub fn install() -> Result<Self, RecorderTaken> {
        let install = || {
            let recorder = builder().build_recorder();
            let handle = recorder.handle();
            // Without one the facade's handles do nothing.
            if cfg!(not(feature = "unmeasured")) {
                ::metrics::set_global_recorder(recorder).ok()?;
            }
            own::describe();
            let process = Process::new();
            Some(Self { handle, process })
        };
        INSTALLED.get_or_init(install).clone().ok_or(RecorderTaken)
    }

    /// Everything recorded so far, and what the process holds now, in the Prometheus
    /// text format.
    pub fn render(&self) -> String {
        self.process.look();
        self.handle.render()
    }

    /// Folds recorded samples together, so that memory stays bounded when nobody
    /// scrapes. Runs until dropped: spawn it as a cancellable task.
    pub async fn upkeep(self) {
        let mut ticks = interval(UPKEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.handle.run_upkeep();
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

fn builder() -> PrometheusBuilder {
    let by_suffix = [
        ("_seconds", LATENCY_SECONDS),
        ("_lifetime_seconds", LIFETIME_SECONDS),
        ("_bytes", SIZE_BYTES),
    ];
    let builder = PrometheusBuilder::new()
        .set_buckets(COUNT)
        .expect("the list is not empty");
    by_suffix
        .into_iter()
        .fold(builder, |builder, (suffix, buckets)| {
            builder
                .set_buckets_for_metric(Matcher::Suffix(suffix.into()), buckets)
                .expect("the list is not empty")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_returns_the_one_recorder() {
        let (first, second) = (
            Metrics::install().expect("ours"),
            Metrics::install().expect("ours"),
        );
        metrics::counter!("tidegate_test_installs_total").increment(2);
        assert!(first.render().contains("tidegate_test_installs_total 2"));
        assert!(second.render().contains("tidegate_test_installs_total 2"));
    }

    #[test]
    fn the_unit_in_a_name_chooses_the_buckets() {
        let recorder = builder().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("tidegate_test_delay_seconds").record(0.1);
            metrics::histogram!("tidegate_test_connection_lifetime_seconds").record(0.1);
            metrics::histogram!("tidegate_test_message_bytes").record(100.0);
            metrics::histogram!("tidegate_test_batch_events").record(3.0);
        });
        let text = recorder.handle().render();
        for line in [
            "tidegate_test_delay_seconds_bucket{le=\"0.00005\"} 0",
            "tidegate_test_connection_lifetime_seconds_bucket{le=\"86400\"} 1",
            "tidegate_test_message_bytes_bucket{le=\"256\"} 1",
            "tidegate_test_batch_events_bucket{le=\"4\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("quantile"), "summaries can't be added up");
    }
}
