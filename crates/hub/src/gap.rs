//! What was withheld from a member, to be told in the place where it would have
//! come.

use wire::{
    Subprotocol,
    client::{Gap, GapCause, ServerEvent, server_event::Event},
};

use crate::frame::Frame;

/// A gap in an outbox, with the frame that tells it. Encoded anew whenever it
/// grows, which happens only to slow members.
#[derive(Debug)]
pub(crate) struct QueuedGap {
    gap: Gap,
    subprotocol: Subprotocol,
    frame: Frame,
    /// Who continues from the log behind this offset is told it again.
    again_behind: Option<u64>,
}

// === impl QueuedGap ===

impl QueuedGap {
    pub(crate) fn new(gap: Gap, subprotocol: Subprotocol, again_behind: Option<u64>) -> Self {
        let frame = Frame::of_event(subprotocol, &event(gap));
        Self {
            gap,
            subprotocol,
            frame,
            again_behind,
        }
    }

    pub(crate) fn again_behind(&self) -> Option<u64> {
        self.again_behind
    }

    pub(crate) fn alias(&self) -> u32 {
        self.gap.alias
    }

    /// How many publications it tells of.
    pub(crate) fn withheld(&self) -> u64 {
        self.gap.dropped + self.gap.conflated
    }

    pub(crate) fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// Takes in what was withheld right after it in the same channel; `again`:
    /// that is told again, too.
    pub(crate) fn absorb(&mut self, later: &Gap, again: bool) {
        self.again_behind = self.again_behind.filter(|_| again);
        absorb(&mut self.gap, later);
        self.frame = Frame::of_event(self.subprotocol, &event(self.gap));
    }
}

/// Makes `gap` cover what `later`, the next gap of the same channel, covers too.
/// Of two causes the connection's own slowness is told, as only the client can
/// do something about it.
pub(crate) fn absorb(gap: &mut Gap, later: &Gap) {
    let slow = GapCause::SlowConnection as i32;
    if later.cause == slow {
        gap.cause = slow;
    }
    gap.dropped += later.dropped;
    gap.conflated += later.conflated;
    if later.from != 0 && later.from <= gap.to {
        // The log began anew in between: the range is of the new one.
        gap.from = 0;
        gap.to = 0;
    }
    if gap.from == 0 {
        gap.from = later.from;
    }
    if later.to != 0 {
        gap.to = later.to;
    }
}

/// The event that tells `gap`.
pub(crate) fn event(gap: Gap) -> ServerEvent {
    ServerEvent {
        event: Some(Event::Gap(gap)),
    }
}
