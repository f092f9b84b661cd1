//! A coarse clock: read once a turn, told to everything in that turn; and time
//! as the protocols write it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time since the shard's start, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u32);

/// Ticks per second. Four bytes of ticks last for more than eight years.
pub(crate) const TICKS_PER_SECOND: u32 = 16;

/// A shard's clock.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    now: Tick,
    now_ms: u64,
}

// === impl Tick ===

impl Tick {
    /// Later than any.
    pub(crate) const NEVER: Self = Self(u32::MAX);

    /// How much later `self` is than `earlier`, in ticks.
    pub(crate) fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }

    /// So many ticks later.
    pub(crate) fn later(self, ticks: u32) -> Self {
        Self(self.0.saturating_add(ticks))
    }

    /// The tick `duration` later, rounded up.
    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(ticks(duration)))
    }
}

// === impl Clock ===

impl Clock {
    /// How long a tick is.
    pub(crate) const TICK: Duration = Duration::from_nanos(1_000_000_000 / TICKS_PER_SECOND as u64);

    /// Starts now.
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
            now: Tick(0),
            now_ms: 0,
        }
    }

    /// Reads the system's clock.
    pub(crate) fn update(&mut self) -> Tick {
        let elapsed = self.start.elapsed();
        self.now = Tick(ticks(elapsed));
        self.now_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.now
    }

    /// The same in milliseconds since the start.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The time as of the last update.
    pub(crate) fn now(&self) -> Tick {
        self.now
    }
}

/// `duration` in ticks, rounded up.
pub(crate) fn ticks(duration: Duration) -> u32 {
    let ticks = duration.as_nanos().div_ceil(Clock::TICK.as_nanos());
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// Now, as the protocol writes it.
pub(crate) fn now_ms() -> i64 {
    unix_ms(SystemTime::now())
}

/// A time as the protocol writes it: milliseconds since the Unix epoch.
pub(crate) fn unix_ms(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
