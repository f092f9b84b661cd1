//! What the clocks of publishers are worth here.
//!
//! A message that takes long can only be told from a clock that differs by what
//! others of the same process took: the quickest one lately counts as having
//! taken no time.

use std::time::{Duration, Instant};

use foldhash::{HashMap, HashMapExt};
use parking_lot::Mutex;

/// Processes that are followed. Of more, those that were
/// not heard lately are forgotten, and then nothing is known of new ones.
const MAX_PROCESSES: usize = 1024;

/// For how long the quickest message counts, once or twice: clocks drift, and are
/// set.
const WINDOW_US: i64 = 30_000_000;

/// See the module. Shared by all channels.
#[derive(Debug)]
pub(super) struct Clocks {
    began: Instant,
    // A lock: held for a look-up. The bus delivers by one thread, or a few.
    lags: Mutex<HashMap<u32, Lag>>,
}

/// Least difference between our clock and the process's, when a message came.
#[derive(Clone, Copy, Debug)]
struct Lag {
    since_us: i64,
    least_us: i64,
    /// In the window before.
    before_us: i64,
}

// === impl Clocks ===

impl Clocks {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            lags: Mutex::new(HashMap::new()),
        }
    }

    /// Takes note that what was published at `at_us` has come.
    pub(super) fn hear(&self, process: u32, at_us: i64, now: Instant) {
        let now_us = micros(now.saturating_duration_since(self.began));
        let lag_us = now_us.saturating_sub(at_us);
        let mut lags = self.lags.lock();
        if let Some(lag) = lags.get_mut(&process) {
            return lag.hear(lag_us, now_us);
        }
        if lags.len() >= MAX_PROCESSES {
            lags.retain(|_, lag| now_us - lag.since_us < 2 * WINDOW_US);
        }
        if lags.len() < MAX_PROCESSES {
            lags.insert(process, Lag::new(lag_us, now_us));
        }
    }

    /// A process's time in ours; `None`: nothing is known of its clock.
    pub(super) fn translate(&self, process: u32, at_us: i64) -> Option<i64> {
        let lags = self.lags.lock();
        let lag = lags.get(&process).filter(|_| at_us != 0)?;
        Some(at_us.saturating_add(lag.least_us.min(lag.before_us)))
    }
}

// === impl Lag ===

impl Lag {
    fn new(lag_us: i64, now_us: i64) -> Self {
        Self {
            since_us: now_us,
            least_us: lag_us,
            before_us: lag_us,
        }
    }

    fn hear(&mut self, lag_us: i64, now_us: i64) {
        if now_us.saturating_sub(self.since_us) < WINDOW_US {
            self.least_us = self.least_us.min(lag_us);
            return;
        }
        *self = Self {
            before_us: self.least_us,
            ..Self::new(lag_us, now_us)
        };
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quickest_message_tells_the_clock_until_it_is_too_old() {
        let began = Instant::now();
        let clocks = Clocks::new(began);
        let hear = |at_us: u64, took_us: u64| {
            let came = began + Duration::from_micros(at_us + took_us);
            clocks.hear(7, 1_000 + at_us.cast_signed(), came);
        };
        assert_eq!(clocks.translate(7, 5), None);
        hear(0, 400);
        hear(10_000, 100);
        hear(20_000, 300);
        assert_eq!(clocks.translate(7, 21_000), Some(20_100));
        assert_eq!(clocks.translate(7, 0), None);
        // The clock was set back.
        let second = 1_000_000_u64;
        for seconds in [40, 80, 120] {
            clocks.hear(7, 1_000, began + Duration::from_micros(seconds * second));
        }
        assert_eq!(clocks.translate(7, 1_000), Some(80 * second.cast_signed()));
    }

    #[test]
    fn made_up_times_and_many_publishers_do_no_harm() {
        let began = Instant::now();
        let clocks = Clocks::new(began);
        for at_us in [i64::MIN, i64::MAX, -1] {
            clocks.hear(1, at_us, began);
            clocks.translate(1, at_us);
        }
        for process in 0..2 * MAX_PROCESSES as u32 {
            clocks.hear(process, 1, began);
        }
        assert_eq!(clocks.lags.lock().len(), MAX_PROCESSES);
    }
}
