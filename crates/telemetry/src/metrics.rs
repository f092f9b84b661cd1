//! The process's metrics.
//!
//! | metric | labels | meaning |
//! |---|---|---|
//! | `tidegate_build_info` | `version` | always 1; the labels say what runs |
//! | `tidegate_process_ready` | `condition` | 1 while it holds; the process is ready while all do |
//! | `process_start_time_seconds` | | when the process began to record, in seconds since 1970 |
//! | `process_open_fds` | | open file descriptors: every connection has one |
//! | `process_max_fds` | | how many it may have; absent where there is no limit |
//! | `process_resident_memory_bytes` | | memory in use, as the system counts it |
//! | `tidegate_telemetry_spans_exported_total` | | spans of traces that the collector has taken |
//! | `tidegate_telemetry_spans_dropped_total` | `reason` | spans lost: `queue_full`, or `collector` (it did not take them in time) |
//! | `tidegate_telemetry_traces_refused_total` | | traces recorded elsewhere and not followed here, beyond `telemetry.traces.max_followed_per_second` |

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use metrics::{Gauge, describe_counter, describe_gauge, describe_histogram, gauge};
use rustix::process::{Resource, getrlimit};

/// What the process holds; read from `/proc` at every scrape. Elsewhere than on
/// Linux, what can't be read stays 0.
#[derive(Clone)]
pub(crate) struct Process {
    open_fds: Gauge,
    resident: Gauge,
}

enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Every metric of every crate, with the words of its table.
const DESCRIPTIONS: &[(Kind, &str, &str)] = include!("generated/metrics.rs");

/// Tells the recorder what each metric means.
pub(crate) fn describe() {
    for (kind, name, help) in DESCRIPTIONS {
        match kind {
            Kind::Counter => describe_counter!(*name, *help),
            Kind::Gauge => describe_gauge!(*name, *help),
            Kind::Histogram => describe_histogram!(*name, *help),
        }
    }
}

// === impl Process ===

impl Process {
    /// Records also what does not change while the process lives.
    pub(crate) fn new() -> Self {
        gauge!("tidegate_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        gauge!("process_start_time_seconds").set(now.unwrap_or_default().as_secs_f64());
        if let Some(limit) = getrlimit(Resource::Nofile).current {
            gauge!("process_max_fds").set(limit as f64);
        }
        Self {
            open_fds: gauge!("process_open_fds"),
            resident: gauge!("process_resident_memory_bytes"),
        }
    }

    pub(crate) fn look(&self) {
        if let Some(open) = open_fds() {
            self.open_fds.set(open as f64);
        }
        let status = fs::read_to_string("/proc/self/status");
        if let Some(bytes) = status.ok().as_deref().and_then(resident_bytes) {
            self.resident.set(bytes as f64);
        }
    }
}

/// Since Linux 6.2 the folder's size is their number; before, they are counted.
fn open_fds() -> Option<u64> {
    let folder = "/proc/self/fd";
    match fs::metadata(folder).ok()?.len() {
        0 => Some(fs::read_dir(folder).ok()?.count() as u64),
        open => Some(open),
    }
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metrics;

    #[test]
    fn resident_memory_is_told_in_bytes() {
        let status = "VmHWM:\t   900 kB\nVmRSS:\t   812 kB\n";
        assert_eq!(resident_bytes(status), Some(812 * 1024));
        assert_eq!(resident_bytes("VmRSS:\tmuch\n"), None);
    }

    #[test]
    fn a_scrape_says_what_the_process_is_and_holds_with_its_meaning() {
        let text = Metrics::install().expect("ours").render();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let line = line.unwrap_or_else(|| panic!("{name} is not in\n{text}"));
            line.trim().parse().expect("a number")
        };
        assert!(value("process_open_fds ") > 2.0);
        assert!(value("process_max_fds ") >= value("process_open_fds "));
        assert!(value("process_resident_memory_bytes ") > 1e5);
        assert!(value("process_start_time_seconds ") > 1.7e9);
        assert!(text.contains("tidegate_build_info{version="));
        assert!(text.contains("# HELP process_open_fds open file descriptors"));
    }
}
