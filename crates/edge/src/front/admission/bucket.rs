//! A token bucket of eight bytes, and a line of those who wait for its tokens.

use std::time::Duration;

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// How fast tokens come, and how many gather.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// Nanoseconds from token to token.
    interval: u64,
    burst: u64,
}

/// Tokens, as the instant at which it will be full (the generic cell rate
/// algorithm): full is what is past.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    full_at: u64,
}

/// Those who wait, as the instant of the last one's turn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Line {
    end: u64,
}

// === impl Rate ===

impl Rate {
    /// For lines whose bucket has no limit: a thousand a second.
    pub(super) const UNLIMITED: Self = Self {
        interval: SECOND / 1000,
        burst: 1,
    };

    /// None for a rate of zero.
    pub(super) fn new(per_second: u32, burst: u32) -> Option<Self> {
        let interval = SECOND.checked_div(per_second.into())?;
        Some(Self {
            interval,
            burst: burst.max(1).into(),
        })
    }

    pub(super) fn burst(self) -> u64 {
        self.burst
    }

    /// Tokens that come in this time.
    pub(super) fn within(self, time: Duration) -> u64 {
        nanos(time) / self.interval
    }

    /// How long an empty bucket takes to fill.
    pub(super) fn full_after(self) -> Duration {
        Duration::from_nanos(self.interval.saturating_mul(self.burst))
    }
}

// === impl Bucket ===

impl Bucket {
    /// Whether there is a token besides `held`.
    pub(super) fn has(self, now: Duration, rate: Rate, held: u64) -> bool {
        let missing = self.full_at.saturating_sub(nanos(now));
        let tokens = rate.burst.saturating_sub(missing.div_ceil(rate.interval));
        tokens > held
    }

    /// Takes a token, which there must be.
    pub(super) fn take(&mut self, now: Duration, rate: Rate) {
        self.full_at = self.full_at.max(nanos(now)) + rate.interval;
    }
}

// === impl Line ===

impl Line {
    /// Whether anybody is still to come.
    pub(super) fn is_ahead_of(self, now: Duration) -> bool {
        self.end > nanos(now)
    }

    pub(super) fn end(self) -> Duration {
        Duration::from_nanos(self.end)
    }

    /// The wait of one more, who stands behind `first` too. Of a line that would
    /// reach beyond the horizon the half that is farther away is used again, so
    /// that nobody waits longer and nobody waits with all others for one instant.
    pub(super) fn next(
        &mut self,
        now: Duration,
        rate: Rate,
        first: Duration,
        horizon: Duration,
    ) -> Duration {
        let now = nanos(now);
        let horizon = nanos(horizon);
        let mut turn = self.end.max(nanos(first)).max(now) + rate.interval;
        if turn > now + horizon {
            turn = now + horizon / 2 + rate.interval;
        }
        self.end = turn;
        Duration::from_nanos(turn - now)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
