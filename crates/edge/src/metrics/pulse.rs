//! How the loop of a shard keeps up: how long its turns are, how much waits for it,
//! and how old publications are when they are written.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use metrics::{Gauge, Histogram, gauge, histogram};

use super::MEASURED;
use crate::clock::Tick;

/// Measures of one shard's loop, with where they go.
pub(crate) struct Pulse {
    /// Since when the loop sleeps, or works.
    since: Instant,
    /// Since these were last published.
    published: Instant,
    worked: Duration,
    longest: Duration,
    deepest: usize,
    age: Sample,
    handles: Handles,
}

/// Which publication of a turn is looked at.
#[derive(Debug, Default)]
enum Sample {
    /// The next one.
    #[default]
    Wanted,
    /// This one, published at this time of the Unix epoch in microseconds.
    Taken(i64),
    /// None any more in this tick.
    Told(Tick),
}

struct Handles {
    delay: Histogram,
    load: Gauge,
    queue: Histogram,
    age: Histogram,
}

// === impl Pulse ===

impl Pulse {
    pub(super) fn new(shard: &str) -> Self {
        let label = || shard.to_owned();
        let now = Instant::now();
        Self {
            since: now,
            published: now,
            worked: Duration::ZERO,
            longest: Duration::ZERO,
            deepest: 0,
            age: Sample::Wanted,
            handles: Handles {
                delay: histogram!("tidegate_edge_loop_delay_seconds", "shard" => label()),
                load: gauge!("tidegate_edge_shard_load", "shard" => label()),
                queue: histogram!("tidegate_edge_shard_queue_items", "shard" => label()),
                age: histogram!("tidegate_edge_publication_age_seconds", "shard" => label()),
            },
        }
    }

    /// The turn is over.
    pub(crate) fn sleeps(&mut self, now: Instant) {
        let worked = now.duration_since(self.since);
        self.worked += worked;
        self.longest = self.longest.max(worked);
        self.since = now;
    }

    /// The next one begins; it was to begin after `timeout` at the latest.
    pub(crate) fn wakes(&mut self, now: Instant, timeout: Duration) {
        let slept = now.duration_since(self.since);
        self.longest = self.longest.max(slept.saturating_sub(timeout));
        self.since = now;
    }

    /// So much mail waited.
    pub(crate) fn finds(&mut self, mail: usize) {
        self.deepest = self.deepest.max(mail);
    }

    /// A publication with this time, in microseconds of the Unix epoch, is about to be
    /// delivered; zero: nobody knows it.
    pub(crate) fn carries(&mut self, published_at_us: i64) {
        if MEASURED && matches!(self.age, Sample::Wanted) && published_at_us > 0 {
            self.age = Sample::Taken(published_at_us);
        }
    }

    /// All that was carried is written, as far as sockets take it.
    pub(crate) fn wrote(&mut self, now: Tick) {
        match self.age {
            Sample::Taken(at) => {
                let age = since_us(SystemTime::now(), at);
                self.handles.age.record(age.as_secs_f64());
                self.age = Sample::Told(now);
            }
            Sample::Told(tick) if tick != now => self.age = Sample::Wanted,
            Sample::Told(_) | Sample::Wanted => {}
        }
    }

    pub(super) fn publish(&mut self) {
        let passed = self.since.duration_since(self.published);
        if !passed.is_zero() {
            let load = self.worked.as_secs_f64() / passed.as_secs_f64();
            self.handles.load.set(load);
        }
        self.handles.delay.record(self.longest.as_secs_f64());
        self.handles.queue.record(self.deepest as f64);
        self.published = self.since;
        self.worked = Duration::ZERO;
        self.longest = Duration::ZERO;
        self.deepest = 0;
    }
}

/// Time since then; zero if that is later, because clocks differ.
fn since_us(now: SystemTime, at_us: i64) -> Duration {
    let at = Duration::from_micros(at_us.try_into().unwrap_or(0));
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_delay_is_the_longest_turn_or_the_latest_waking() {
        let mut pulse = Pulse::new("7");
        let mut now = pulse.since;
        for (slept, timeout, worked, longest) in
            [(5, 10, 2, 2), (10, 10, 1, 2), (15, 10, 1, 5), (0, 0, 9, 9)]
        {
            now += slept * MS;
            pulse.wakes(now, timeout * MS);
            now += worked * MS;
            pulse.sleeps(now);
            assert_eq!(pulse.longest, longest * MS);
        }
        assert_eq!(pulse.worked, 13 * MS);
        pulse.publish();
        assert_eq!(
            (pulse.longest, pulse.worked),
            (Duration::ZERO, Duration::ZERO)
        );
    }

    #[test]
    fn one_publication_of_a_tick_is_looked_at() {
        let mut pulse = Pulse::new("8");
        let (first, second) = (Tick::default(), Tick::default().after(MS));
        pulse.carries(0);
        pulse.wrote(first);
        assert!(matches!(pulse.age, Sample::Wanted), "it had no time");
        pulse.carries(1);
        pulse.carries(2);
        assert!(matches!(pulse.age, Sample::Taken(1)));
        for tick in [first, first] {
            pulse.wrote(tick);
            pulse.carries(3);
            assert!(matches!(pulse.age, Sample::Told(_)));
        }
        pulse.wrote(second);
        pulse.carries(4);
        assert!(matches!(pulse.age, Sample::Taken(4)));
    }

    #[test]
    fn a_publisher_whose_clock_is_ahead_is_taken_for_new() {
        let now = UNIX_EPOCH + 5 * MS;
        assert_eq!(since_us(now, 2_000), 3 * MS);
        assert_eq!(since_us(now, 9_000), Duration::ZERO);
        assert_eq!(since_us(now, -1), 5 * MS);
    }
}
