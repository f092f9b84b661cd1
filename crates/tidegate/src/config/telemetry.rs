//! The configuration's part about telemetry that is sent somewhere.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use telemetry::TracesConfig;

/// Telemetry that is sent somewhere.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Distributed traces.
    pub traces: TracesSection,
}

/// Distributed traces, sent to an OpenTelemetry collector.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TracesSection {
    /// The collector, which takes OTLP by gRPC, e.g. `http://collector:4317`; empty: no
    /// traces are recorded.
    pub endpoint: String,
    /// The share of requests and publications that are recorded although nobody
    /// asked for it, 0 to 1.
    pub sample: f64,
    /// Those whose sender has recorded them are recorded as well, so many a second
    /// at most in each process.
    pub max_followed_per_second: u32,
    /// How long the collector may take for a batch of spans, before they are lost.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub timeout: Duration,
}

// === impl TracesSection ===

impl TracesSection {
    pub(super) fn is_on(&self) -> bool {
        !self.endpoint.is_empty()
    }

    /// What the exporter is told; absent: there is none.
    pub(super) fn exporter(&self, role: &str, instance: &str) -> Option<TracesConfig> {
        self.is_on().then(|| TracesConfig {
            endpoint: self.endpoint.clone(),
            sample: self.sample,
            max_followed_per_second: self.max_followed_per_second,
            timeout: self.timeout,
            service: format!("tidegate-{role}"),
            instance: instance.to_owned(),
        })
    }
}

impl Default for TracesSection {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            // One in a thousand shows where time goes, at no cost that counts.
            sample: 0.001,
            // Some 300 spans a second, at 20 µs of CPU each.
            max_followed_per_second: 100,
            timeout: Duration::from_secs(5),
        }
    }
}
