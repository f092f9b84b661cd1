//! Channels that nobody listens to any more and that the bus still delivers for
//! a while: clients that reconnect find them flowing, and the bus is spared
//! their leaving and coming.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use wire::Channel;

/// Channels that may linger, some 80 MB of subscriptions; beyond it the oldest
/// are let go before their time. Clients choose channel names, so this must be
/// bounded.
const MAX_LINGERING: usize = 16_384;

/// The queue, oldest first. A channel stands in it once at most, however often
/// its listeners come and leave.
pub(super) struct Lingering {
    linger: Duration,
    queue: VecDeque<(Instant, Channel)>,
}

/// Whether a channel lingers, as its owner keeps it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stay {
    /// When the last listener left; absent: somebody listens.
    left: Option<Instant>,
    /// It stands in the queue.
    queued: bool,
}

// === impl Lingering ===

impl Lingering {
    pub(super) fn new(linger: Duration) -> Self {
        Self {
            linger,
            queue: VecDeque::new(),
        }
    }

    /// The last listener of `channel` left.
    pub(super) fn begin(&mut self, channel: &Channel, stay: &mut Stay, now: Instant) {
        stay.left = Some(now);
        if !std::mem::replace(&mut stay.queued, true) {
            self.queue.push_back((now, channel.clone()));
        }
    }

    /// The next channel whose time may be over: [`Self::is_over`] tells.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<(Instant, Channel)> {
        let too_many = self.queue.len() > MAX_LINGERING;
        self.queue
            .pop_front_if(|(since, _)| too_many || now >= *since + self.linger)
    }

    /// Whether the channel is to be let go, which stood in the queue `since`
    /// then. If it was listened to in between, it stays.
    pub(super) fn is_over(&mut self, since: Instant, channel: Channel, stay: &mut Stay) -> bool {
        match stay.left {
            None => stay.queued = false,
            Some(left) if left > since => self.queue.push_back((left, channel)),
            Some(_) => return true,
        }
        false
    }
}

// === impl Stay ===

impl Stay {
    /// Somebody listens again.
    pub(super) fn end(&mut self) {
        self.left = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_secs(5);

    struct Bench {
        lingering: Lingering,
        now: Instant,
        channel: Channel,
        stay: Stay,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                lingering: Lingering::new(LINGER),
                now: Instant::now(),
                channel: channel("room.1"),
                stay: Stay::default(),
            }
        }

        fn leave(&mut self) {
            self.lingering
                .begin(&self.channel, &mut self.stay, self.now);
        }

        /// Whether the channel is let go now.
        fn sweep(&mut self) -> bool {
            while let Some((since, channel)) = self.lingering.next_due(self.now) {
                if self.lingering.is_over(since, channel, &mut self.stay) {
                    return true;
                }
            }
            false
        }
    }

    fn channel(name: &str) -> Channel {
        Channel::parse(name, 255).expect("valid")
    }

    #[test]
    fn a_channel_is_let_go_when_its_time_is_over() {
        let mut bench = Bench::new();
        bench.leave();
        bench.now += LINGER - Duration::from_nanos(1);
        assert!(!bench.sweep());
        bench.now += Duration::from_nanos(1);
        assert!(bench.sweep());
    }

    #[test]
    fn a_channel_that_is_listened_to_stays() {
        let mut bench = Bench::new();
        bench.leave();
        bench.stay.end();
        bench.now += 2 * LINGER;
        assert!(!bench.sweep());
        bench.leave();
        bench.now += LINGER;
        assert!(bench.sweep());
    }

    #[test]
    fn the_time_counts_from_the_last_leaving_and_the_queue_does_not_grow() {
        let mut bench = Bench::new();
        for _ in 0..100 {
            bench.leave();
            bench.stay.end();
            bench.now += LINGER / 200;
        }
        bench.leave();
        assert_eq!(bench.lingering.queue.len(), 1);
        bench.now += LINGER - Duration::from_nanos(1);
        assert!(!bench.sweep());
        bench.now += Duration::from_nanos(1);
        assert!(bench.sweep());
    }

    #[test]
    fn the_oldest_go_early_when_there_are_too_many() {
        let mut lingering = Lingering::new(LINGER);
        let now = Instant::now();
        for number in 0..=MAX_LINGERING {
            lingering.begin(
                &channel(&format!("room.{number}")),
                &mut Stay::default(),
                now,
            );
        }
        let early = lingering.next_due(now).map(|(_, channel)| channel);
        assert_eq!(early, Some(channel("room.0")));
        assert!(lingering.next_due(now).is_none());
    }
}
