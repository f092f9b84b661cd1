//! Two connections at once: subscribing on the second one to everything, turning
//! over to it, and leaving the first one when nothing is missing there.

use std::sync::Arc;

use wire::client::{Ping, Welcome, client_event};

use super::{Exchange, Side, on};

/// ```text
///   Settled --Migrate--> Recording --the second is open--> Joining --all subscribed--> Leaving
///      ^                     ^---------the second is lost-----+                            |
///      +---------------------------------------the old one is gone-------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// One connection, which stays.
    Settled,
    /// One connection, whose publications are on record.
    Recording,
    /// The second one is being subscribed.
    Joining,
    /// The second one is the old one.
    Leaving {
        /// Everything that its gateway had queued for us has come.
        has_heard_all: bool,
    },
}

// === impl Exchange ===

impl Exchange {
    /// The connection is going to be left.
    pub(crate) fn record(&mut self) {
        self.moving = Stage::Recording;
        for channel in self.line.aliases.values() {
            self.subscriptions.begin_overlap(self.line.id, channel);
        }
    }

    /// The second connection is there.
    pub(crate) fn second_connected(&mut self, welcome: &Welcome) {
        let mut line = self.next_line();
        self.limits = welcome.limits.unwrap_or_default();
        line.open(&self.limits);
        line.waiting.extend(self.will.welcomed(&welcome.session_id));
        self.second = Some(line);
    }

    /// Subscribes to everything on the second connection.
    pub(crate) fn join(&mut self) {
        if let Some(second) = self
            .second
            .as_mut()
            .filter(|_| self.moving == Stage::Recording)
        {
            self.moving = Stage::Joining;
            // What one gateway could not renew the other is asked for.
            self.line.postponed.clear();
            second.subscribe_to(self.subscriptions.again());
        }
    }

    /// Whether the second connection can take over.
    pub(crate) fn has_joined(&self) -> bool {
        let Some(second) = self
            .second
            .as_ref()
            .filter(|_| self.moving == Stage::Joining)
        else {
            return false;
        };
        // The postponed ones come later, while the old connection lasts.
        second.waiting.is_empty() && second.in_flight.is_empty()
    }

    /// From now on operations go over the second connection.
    pub(crate) fn turn_over(&mut self) {
        let Some(second) = self.second.as_mut() else {
            return;
        };
        std::mem::swap(&mut self.line, second);
        // What was set meanwhile was set on the old one.
        for setting in self.subscriptions.take_changes() {
            self.line.set(setting);
        }
        self.moving = Stage::Leaving {
            has_heard_all: false,
        };
        // Its answer comes behind all that the gateway has queued.
        second.send(client_event::Event::Ping(Ping { nonce: second.id }));
    }

    /// Whether the old connection has brought all that was queued in its gateway.
    pub(crate) fn has_heard_all(&self) -> bool {
        let has_heard_all = true;
        self.moving == Stage::Leaving { has_heard_all }
    }

    /// Whether nothing is lost when the old connection ends now.
    pub(crate) fn may_leave(&self) -> bool {
        self.has_heard_all()
            && self.line.is_subscribed()
            && self.subscriptions.have_met()
            && self
                .second
                .as_ref()
                .is_none_or(|old| old.in_flight.is_empty())
    }

    /// The old connection is gone; `is_complete` if it brought all that it could.
    pub(crate) fn left(&mut self, is_complete: bool) {
        if let Some(old) = self.second.take() {
            self.old_ended(old, is_complete);
        }
    }

    /// The record of what the old connection brought is no longer of use.
    pub(crate) fn forget_old(&mut self) {
        if self.moving == Stage::Settled {
            self.subscriptions.end_overlap();
            self.mailbox.end_overlap();
        }
    }

    /// The second connection was lost before it took over.
    pub(crate) fn second_lost(&mut self) {
        if let Some(second) = self.second.take() {
            self.moving = Stage::Recording;
            self.subscriptions.new_ended();
            self.mailbox.line_ended(second.id);
        }
    }

    /// The main connection is gone, and the second one takes its place.
    pub(crate) fn promote(&mut self) {
        self.join();
        if let Some(second) = self.second.take() {
            let old = std::mem::replace(&mut self.line, second);
            self.old_ended(old, false);
        }
    }

    /// Forgets about moving, as there is no connection any more.
    pub(super) fn stay(&mut self) {
        match self.moving {
            Stage::Leaving { .. } => self.left(false),
            _ => self.second_lost(),
        }
        self.moving = Stage::Settled;
    }

    /// Whether this connection is on its way out.
    pub(super) fn is_left(&self, side: Side) -> bool {
        side == Side::Second && matches!(self.moving, Stage::Leaving { .. })
    }

    /// Whether publishes on the old connection await their answer. They have it, or
    /// are sent again, by the time that connection ends.
    pub(super) fn old_is_publishing(&self) -> bool {
        let old = self.second.as_ref();
        old.is_some_and(|old| self.is_left(Side::Second) && old.in_flight.is_publishing())
    }

    /// The gateway has answered the Ping that [`Self::turn_over`] sent.
    pub(super) fn heard_the_end(&mut self, side: Side) {
        if self.is_left(side) {
            self.moving = Stage::Leaving {
                has_heard_all: true,
            };
        }
    }

    /// A subscription began on one connection: it goes on the record of the move,
    /// and the other connection follows if it is the newer one.
    pub(super) fn began(&mut self, side: Side, channel: &Arc<str>) {
        let is_old = match self.moving {
            Stage::Settled => return,
            Stage::Recording | Stage::Joining => side == Side::Main,
            Stage::Leaving { .. } => side == Side::Second,
        };
        let Some(line) = on(&mut self.line, &mut self.second, side) else {
            return;
        };
        let id = line.id;
        let other = on(&mut self.line, &mut self.second, side.other());
        if !is_old {
            // What the old connection has of it belongs to an earlier time.
            other.into_iter().for_each(|old| old.forget(channel));
            return;
        }
        self.subscriptions.begin_overlap(id, channel);
        let follows = self.moving != Stage::Recording;
        if let Some(newer) = other.filter(|newer| follows && !newer.has(channel)) {
            newer.subscribe_to(self.subscriptions.again_to(channel).into_iter().collect());
        }
    }

    fn old_ended(&mut self, mut old: super::Line, is_complete: bool) {
        self.moving = Stage::Settled;
        self.mailbox.line_ended(old.id);
        self.subscriptions.old_ended(is_complete);
        self.repeat(old.end());
    }
}
