//! A shard's part in the drain: sends its connections away one by one, then closes
//! what is left, and ends.

use std::{collections::VecDeque, time::Instant};

use wire::CloseCause;

use super::{
    Core, Shard,
    connection::{Connection, Phase},
    mail::ConnectionKey,
    member,
    perform::Ending,
};
use crate::{
    clock::Tick,
    drain::{DrainStage, STEP},
};

/// Where a shard is in its life.
///
/// ```text
/// Serving --Migrate--> Migrating --End--> Ending --last connection gone, or time up--> gone
///    \----------------End------------------^
/// ```
pub(super) enum Stage {
    Serving,
    Migrating(Migrating),
    /// Everything is being closed; over at this tick, whatever is left.
    Ending(Tick),
}

/// Connections on their way out.
pub(super) struct Migrating {
    began: Instant,
    until: Instant,
    /// Those that were not sent away yet. Some may be gone.
    waiting: VecDeque<ConnectionKey>,
}

// === impl Shard ===

impl Shard {
    /// Whether there is nothing left to do, ever.
    pub(super) fn is_over(&self) -> bool {
        match self.stage {
            Stage::Serving | Stage::Migrating(_) => false,
            Stage::Ending(by) => self.connections.is_empty() || self.core.clock.now() >= by,
        }
    }

    /// From now on connections are sent away, each in its slot; at `until` what
    /// is left will be closed.
    pub(super) fn migrate(&mut self, until: Instant) {
        let keys = self.connections.iter();
        self.stage = Stage::Migrating(Migrating {
            began: Instant::now(),
            until,
            waiting: keys.map(|(slot, it)| it.key(slot)).collect(),
        });
        // The last one may have gone before anybody listened for it.
        self.core.gateway.drain.note_progress();
        self.send_away();
    }

    /// Takes care of a connection that came after the drain had begun.
    pub(super) fn turn_away(&mut self, slot: usize) {
        let Some(connection) = self.connections.get(slot) else {
            return;
        };
        match &mut self.stage {
            Stage::Serving => {}
            Stage::Migrating(migrating) => migrating.waiting.push_back(connection.key(slot)),
            Stage::Ending(_) => self.close(slot, CloseCause::Draining),
        }
    }

    /// Sends away as many connections as have their turn.
    pub(super) fn send_away(&mut self) {
        let Stage::Migrating(migrating) = &self.stage else {
            return;
        };
        let (since_first, waiting) = (migrating.began.elapsed(), migrating.waiting.len());
        if waiting == 0 {
            return;
        }
        for _ in 0..self.core.gateway.drain.grant(since_first, waiting) {
            let Some((slot, until)) = self.next_to_leave() else {
                return;
            };
            self.send_one_away(slot, until);
        }
    }

    /// The next connection that still lives.
    fn next_to_leave(&mut self) -> Option<(usize, Instant)> {
        loop {
            let Stage::Migrating(migrating) = &mut self.stage else {
                return None;
            };
            let until = migrating.until;
            let key = migrating.waiting.pop_front()?;
            let connection = self.connection(key);
            if connection.is_some_and(|it| !matches!(it.phase, Phase::Closing(_))) {
                return Some((key.slot as usize, until));
            }
        }
    }

    /// Asks a client to move, or closes its connection once it has the answers
    /// that are under way.
    fn send_one_away(&mut self, slot: usize, until: Instant) {
        let Self {
            connections, core, ..
        } = self;
        let Some(connection) = connections.get_mut(slot) else {
            return;
        };
        let sent = match &connection.phase {
            Phase::Established(_) if connection.profile.migrates => {
                core.ask_to_move(slot, connection, until)
            }
            Phase::Established(_) => {
                // Nothing more is read: what is answered is what has been read.
                connection.flow.leaving = true;
                Ok(())
            }
            _ => Err(CloseCause::Draining.into()),
        };
        match sent {
            Ok(()) => self.close_if_answered(slot),
            Err(ending) => self.end(slot, ending),
        }
    }

    /// Closes a connection that was only waiting for its answers.
    pub(super) fn close_if_answered(&mut self, slot: usize) {
        let Some(connection) = self.connections.get(slot) else {
            return;
        };
        if let Phase::Established(session) = &connection.phase
            && connection.flow.leaving
            && session.in_flight() == 0
        {
            self.core.counters.turned_away += 1;
            self.close(slot, CloseCause::Draining);
        }
    }

    /// Closes everything. With `spread`, each client is told to come back in a
    /// slot of its own.
    pub(super) fn close_all(&mut self, spread: bool) {
        let limit = self.core.gateway.config.close_timeout;
        self.stage = Stage::Ending(self.core.clock.now().after(limit));
        let slots: Vec<usize> = self.connections.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let is_left_over = !matches!(self.connections[slot].phase, Phase::Closing(_));
            if spread && is_left_over {
                self.core.counters.left_over += 1;
                let retry_after = self.core.gateway.drain.next_return();
                self.close_until(slot, CloseCause::Draining, retry_after);
            } else {
                self.close(slot, CloseCause::Draining);
            }
        }
    }

    /// Lets go of those that did not go within their time.
    pub(super) fn abandon_all(&mut self) {
        let slots: Vec<usize> = self.connections.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let cause = match &self.connections[slot].phase {
                Phase::Closing(closing) => closing.cause,
                _ => CloseCause::Draining,
            };
            self.remove(slot, cause);
        }
    }
}

// === impl Core ===

impl Core {
    fn ask_to_move(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        until: Instant,
    ) -> Result<(), Ending> {
        connection.flow.asked_to_move = true;
        self.counters.asked_to_move += 1;
        let left = until.saturating_duration_since(Instant::now());
        let deadline_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        let spread_ms = u32::try_from(STEP.as_millis()).unwrap_or(u32::MAX);
        let ticket = self.ticket(connection);
        // Zero would mean that there is no deadline.
        let event = session::migrate(ticket, spread_ms, deadline_ms.max(1));
        self.hub.send(member(slot), &event, None);
        self.make_room(slot, connection)
    }

    /// Notes the end of a connection.
    pub(super) fn left(&mut self, connection: &Connection, cause: CloseCause) {
        if connection.flow.asked_to_move && cause != CloseCause::Draining {
            self.counters.moved += 1;
        }
        self.give_back();
    }

    /// One connection less on this shard.
    pub(super) fn give_back(&self) {
        let load = &self.gateway.shards[self.index].load;
        load.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        if self.gateway.drain.stage() != DrainStage::Serving {
            self.gateway.drain.note_progress();
        }
    }
}
