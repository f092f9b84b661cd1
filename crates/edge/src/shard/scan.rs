//! Time: a scan over the connections, a part on each tick, does heartbeats and
//! deadlines, so that no connection has a timer of its own.

use std::time::{Duration, Instant};

use wire::CloseCause;

use super::{
    Core, Shard,
    connection::{Connection, Phase},
    member,
};
use crate::{
    clock::{Clock, Tick, ticks},
    metrics::{Limit, MEASURED, State},
};

/// Ticks in which every connection is looked at once: a second.
const TICKS_PER_ROUND: u32 = 16;

/// Where the scan stands.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// When the last part was scanned.
    scanned: Tick,
    /// The next slot to look at.
    slot: usize,
    /// Ticks since the round began.
    ticks: u32,
}

/// What the scan found to do.
enum Due {
    Ping,
    Token,
    Close(CloseCause),
    Remove(CloseCause),
}

// === impl Scanner ===

impl Scanner {
    /// How long the shard may sleep.
    pub(super) fn next_in(&self, now: Tick) -> Duration {
        if now.since(self.scanned) > 0 {
            Duration::ZERO
        } else {
            Clock::TICK
        }
    }
}

impl Shard {
    /// Looks at the part of the connections whose turn it is.
    pub(super) fn scan(&mut self) {
        let now = self.core.clock.now();
        let passed = now.since(self.scanner.scanned).min(TICKS_PER_ROUND);
        if passed == 0 {
            return;
        }
        self.core.deliveries.expire();
        self.core.retry_reads(false);
        self.retry_mailboxes();
        self.send_away();
        self.read_again();
        self.serve_states();
        self.scanner.scanned = now;
        self.scanner.ticks += passed;
        let end_of_round = self.scanner.ticks >= TICKS_PER_ROUND;
        let capacity = self.connections.capacity();
        let part = capacity.div_ceil(TICKS_PER_ROUND as usize) * passed as usize;
        let end = if end_of_round {
            capacity
        } else {
            (self.scanner.slot + part).min(capacity)
        };
        self.core.counters.census.begin();
        for slot in self.scanner.slot..end {
            self.look_at(slot, now);
        }
        self.scanner.slot = end;
        if end_of_round {
            self.scanner.slot = 0;
            self.scanner.ticks = 0;
            self.core.gateway.fanout.sweep(Instant::now());
            self.publish_counts(self.connections.len());
        }
    }

    pub(super) fn publish_counts(&mut self, connections: usize) {
        let Core {
            counters,
            hub,
            gateway,
            clock,
            ..
        } = &mut self.core;
        counters.publish(hub, connections, gateway, clock.now());
    }

    fn look_at(&mut self, slot: usize, now: Tick) {
        let Self {
            connections, core, ..
        } = self;
        let heartbeat = ticks(core.gateway.config.heartbeat);
        let Some(connection) = connections.get_mut(slot) else {
            return;
        };
        if connection.requests.is_empty() && connection.requests.capacity() > 0 {
            connection.requests = Vec::new();
        }
        if connection.flow.recorded {
            core.forget_recording(connection);
        }
        if !connection.wants_input() {
            // It is we who do not listen: that is no silence of the peer's.
            connection.heard = now;
        }
        if MEASURED {
            core.note(slot, connection, now);
        }
        connection.time_message(now, heartbeat);
        match due(connection, now, heartbeat, slot) {
            None => {}
            Some(Due::Ping) => {
                connection.flow.pinged = true;
                core.hub.send_frame(member(slot), core.ping.clone());
            }
            Some(Due::Token) => self.token_is_due(slot),
            Some(Due::Close(cause)) => self.close(slot, cause),
            Some(Due::Remove(cause)) => self.remove(slot, cause),
        }
    }
}

impl Core {
    /// Counts a connection for the metrics.
    fn note(&mut self, slot: usize, connection: &Connection, now: Tick) {
        let (census, flow) = (&mut self.counters.census, connection.flow);
        let mut is_full = false;
        let state = match &connection.phase {
            Phase::Greeting(_) | Phase::Verifying(_) => State::Greeting,
            Phase::Closing(_) => State::Closing,
            _ if flow.leaving || flow.asked_to_move => State::Moving,
            _ if flow.blocked => State::Stalled,
            Phase::Established(session) => {
                is_full = session.is_full();
                match is_full || flow.over_rate {
                    true => State::Unread,
                    false => State::Live,
                }
            }
            Phase::Echo => State::Live,
        };
        census.see(connection.profile.subprotocol, state);
        if is_full {
            census.is_near(Limit::Requests);
        }
        if flow.over_rate {
            census.is_near(Limit::Rate);
        }
        if flow.blocked {
            let (outbox, limits) = (self.hub.outbox(member(slot)), self.gateway.config.outbox);
            let ticks = now.since(connection.profile.waits_since);
            census.is_stalled(outbox.bytes(), ticks);
            if outbox.bytes() >= limits.bytes / 4 * 3 || outbox.items() >= limits.items / 4 * 3 {
                census.is_near(Limit::Outbox);
            }
        }
    }
}

fn due(connection: &Connection, now: Tick, heartbeat: u32, slot: usize) -> Option<Due> {
    let silent = now.since(connection.heard);
    match &connection.phase {
        Phase::Greeting(_) | Phase::Verifying(_) => {
            let late = now >= connection.profile.deadline;
            late.then_some(Due::Close(CloseCause::AuthenticationTimeout))
        }
        Phase::Established(_) if now >= connection.profile.deadline => {
            Some(Due::Close(CloseCause::MessageTimeout))
        }
        // Only after a ping: a scan may come so late that both are due, and no
        // link is given up that was not asked.
        Phase::Established(_)
            if silent >= heartbeat.saturating_mul(2) && connection.flow.pinged =>
        {
            Some(Due::Close(CloseCause::IdleTimeout))
        }
        Phase::Established(_) if now >= connection.token_due => Some(Due::Token),
        Phase::Established(_) => {
            // Up to an eighth sooner, by slot, so that connections that came
            // together are not pinged together.
            let spread = heartbeat / 8 + 1;
            let jitter = (slot as u32).wrapping_mul(0x9e37_79b9) % spread;
            (silent + jitter >= heartbeat && !connection.flow.pinged).then_some(Due::Ping)
        }
        Phase::Echo => None,
        Phase::Closing(closing) => (now >= closing.deadline).then_some(Due::Remove(closing.cause)),
    }
}
