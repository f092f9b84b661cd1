//! The one clock of every stamp and latency: `CLOCK_MONOTONIC`, which is the
//! same in all processes of a machine.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds in a second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// Nanoseconds since some moment before this machine's processes started.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or(0) * SECOND + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Nanoseconds of a span given in seconds.
pub(crate) fn nanos(seconds: f64) -> u64 {
    (seconds * SECOND as f64) as u64
}

/// Seconds of a span given in nanoseconds.
pub(crate) fn seconds(nanos: u64) -> f64 {
    nanos as f64 / SECOND as f64
}
