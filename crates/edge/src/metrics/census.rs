//! What a look at every connection of a shard finds, once a second.

use std::mem;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use wire::Subprotocol;

use crate::clock::{TICKS_PER_SECOND, Tick};

/// Stalled connections whose outboxes are recorded in one tick; recording costs some
/// ten times what looking does.
const STALLED_PER_TICK: u32 = 64;

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Greeting,
    Live,
    Unread,
    Stalled,
    Moving,
    Closing,
}

/// Limits that a connection can be near.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Outbox,
    Requests,
    Rate,
}

/// Counts of the connections seen in this round, with where they go.
pub(crate) struct Census {
    states: [[u32; State::LABELS.len()]; Subprotocol::ALL.len()],
    near: [u32; Limit::LABELS.len()],
    stalled: u32,
    /// Outboxes that may yet be recorded in this tick.
    room: u32,
    stalled_seconds: u64,
    began: Tick,
    handles: Handles,
}

struct Handles {
    states: [[Gauge; State::LABELS.len()]; Subprotocol::ALL.len()],
    near: [Gauge; Limit::LABELS.len()],
    stalled_seconds: Counter,
    bytes: Histogram,
    age: Histogram,
}

// === impl State ===

impl State {
    /// In order.
    const LABELS: [&str; 6] = ["greeting", "live", "unread", "stalled", "moving", "closing"];
}

// === impl Limit ===

impl Limit {
    /// In order.
    const LABELS: [&str; 3] = ["outbox", "requests", "rate"];
}

// === impl Census ===

impl Census {
    pub(super) fn new(shard: &str) -> Self {
        Self {
            states: Default::default(),
            near: Default::default(),
            stalled: 0,
            room: 0,
            stalled_seconds: 0,
            began: Tick::default(),
            handles: Handles::new(shard),
        }
    }

    /// A part of the round begins.
    pub(crate) fn begin(&mut self) {
        self.room = STALLED_PER_TICK;
    }

    /// Counts a connection.
    pub(crate) fn see(&mut self, subprotocol: Subprotocol, state: State) {
        self.states[subprotocol as usize][state as usize] += 1;
    }

    /// Counts one that is near a limit.
    pub(crate) fn is_near(&mut self, limit: Limit) {
        self.near[limit as usize] += 1;
    }

    /// Counts one that the kernel takes no more of, with what waits in its outbox,
    /// which was last empty so many ticks ago.
    pub(crate) fn is_stalled(&mut self, bytes: usize, ticks: u32) {
        self.stalled += 1;
        let Some(room) = self.room.checked_sub(1) else {
            return;
        };
        self.room = room;
        self.handles.bytes.record(bytes as f64);
        let seconds = f64::from(ticks) / f64::from(TICKS_PER_SECOND);
        self.handles.age.record(seconds);
    }

    /// The round is over.
    pub(super) fn publish(&mut self, now: Tick) {
        // Rounds have whole seconds unless the shard was late.
        let ticks = now.since(self.began) + TICKS_PER_SECOND / 2;
        self.stalled_seconds += u64::from(self.stalled) * u64::from(ticks / TICKS_PER_SECOND);
        self.stalled = 0;
        self.began = now;
        let handles = &self.handles;
        handles.stalled_seconds.absolute(self.stalled_seconds);
        let states = mem::take(&mut self.states);
        let counts = states.as_flattened().iter().chain(&self.near);
        let gauges = handles.states.as_flattened().iter().chain(&handles.near);
        for (gauge, count) in gauges.zip(counts) {
            gauge.set(f64::from(*count));
        }
        self.near = Default::default();
    }
}

// === impl Handles ===

impl Handles {
    fn new(shard: &str) -> Self {
        let label = || shard.to_owned();
        let state = |encoding: &'static str, state: &'static str| gauge!("tidegate_edge_connection_states", "shard" => label(), "transport" => "websocket", "encoding" => encoding, "state" => state);
        let near = |limit: &'static str| gauge!("tidegate_edge_near_limit_connections", "shard" => label(), "limit" => limit);
        let encoding = |subprotocol| match subprotocol {
            Subprotocol::Protobuf => "protobuf",
            Subprotocol::Json => "json",
        };
        Self {
            states: Subprotocol::ALL
                .map(|one| State::LABELS.map(|label| state(encoding(one), label))),
            near: Limit::LABELS.map(near),
            stalled_seconds: counter!("tidegate_edge_write_stalled_seconds_total", "shard" => label()),
            bytes: histogram!("tidegate_edge_stalled_outbox_bytes", "shard" => label()),
            age: histogram!("tidegate_edge_stalled_outbox_age_seconds", "shard" => label()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn labels_are_in_order() {
        assert_eq!(State::LABELS[State::Stalled as usize], "stalled");
        assert_eq!(State::LABELS[State::Closing as usize], "closing");
        assert_eq!(Limit::LABELS[Limit::Rate as usize], "rate");
    }

    #[test]
    fn seconds_of_stalled_connections_add_up_and_counts_begin_anew() {
        let mut census = Census::new("9");
        let mut now = Tick::default();
        for (stalled, seconds, sum) in [(2, 1, 2), (0, 1, 2), (3, 4, 14)] {
            census.begin();
            for _ in 0..stalled {
                census.see(Subprotocol::Json, State::Stalled);
                census.is_stalled(100, 3);
            }
            assert_eq!(
                census.states[Subprotocol::Json as usize][State::Stalled as usize],
                stalled
            );
            now = now.after(Duration::from_secs(seconds));
            census.publish(now);
            assert_eq!(census.stalled_seconds, sum);
            assert!(census.states.as_flattened().iter().all(|count| *count == 0));
        }
    }

    #[test]
    fn so_many_outboxes_are_recorded_in_a_tick() {
        let mut census = Census::new("10");
        census.begin();
        for _ in 0..STALLED_PER_TICK + 5 {
            census.is_stalled(100, 3);
        }
        assert_eq!((census.room, census.stalled), (0, STALLED_PER_TICK + 5));
    }
}
