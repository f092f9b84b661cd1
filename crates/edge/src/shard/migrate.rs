//! The drain's part of a shard: asks its clients to move, as many as the gateway
//! may ask now.

use std::{sync::atomic::Ordering, time::Duration};

use metrics::counter;
use wire::CloseCause;

use super::{Shard, connection::Phase, member};
use crate::drain::TICK;

/// Where a shard stands with asking.
#[derive(Debug, Default)]
pub(super) struct Migration {
    /// The next slot to look at.
    slot: usize,
}

impl Shard {
    /// Asks clients to move while the gateway's budget lasts; `left` is what is
    /// left of the window. Slots are gone through in turn, again and again:
    /// whoever had a request under way may have none the next time.
    pub(super) fn migrate(&mut self, left: Duration) {
        let capacity = self.connections.capacity();
        for _ in 0..capacity {
            let slot = self.migration.slot;
            self.migration.slot = if slot + 1 < capacity { slot + 1 } else { 0 };
            let Some(migrates) = self.may_be_asked(slot) else {
                continue;
            };
            if !self.take_from_budget() {
                // Its turn comes with the next budget.
                self.migration.slot = slot;
                return;
            }
            if migrates {
                self.ask_to_move(slot, left);
            } else {
                counter!("tidegate_edge_migrations_total", "outcome" => "closed").increment(1);
                self.close(slot, CloseCause::Draining);
            }
        }
    }

    /// Whether the connection in this slot can be asked, and follows Migrate.
    fn may_be_asked(&self, slot: usize) -> Option<bool> {
        let connection = self.connections.get(slot)?;
        let Phase::Established(session) = &connection.phase else {
            return None;
        };
        let profile = &connection.profile;
        match (profile.migrates, profile.asked_to_move) {
            (true, asked) => (!asked).then_some(true),
            // It is closed when it is asked: after its answers.
            (false, _) => (session.in_flight() == 0).then_some(false),
        }
    }

    fn take_from_budget(&self) -> bool {
        let budget = &self.core.gateway.migrations;
        let take = |left: u64| left.checked_sub(1);
        budget
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take)
            .is_ok()
    }

    fn ask_to_move(&mut self, slot: usize, left: Duration) {
        let ticket = self.core.ticket(&self.connections[slot]);
        let millis = |wait: Duration| u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        // The pace is ours already; the client spreads within a tick.
        let event = session::migrate(ticket, millis(TICK), millis(left));
        self.core.hub.send(member(slot), &event, None);
        self.connections[slot].profile.asked_to_move = true;
        counter!("tidegate_edge_migrations_total", "outcome" => "asked").increment(1);
    }
}
