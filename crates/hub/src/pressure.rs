//! What all outboxes of a hub hold together, and the level down to which they are
//! let run empty when that is too much.
//!
//! The level is a bound on each outbox for what may be let go, and sinks by halves:
//! the largest lose first, and all end equal, whoever they are. What comes again
//! from a log goes before what is lost; answers, and publications that may not be
//! lost, are bounded by the outbox's own limits alone. Only at the lowest level the
//! largest outboxes that hold nothing else are given up.

use std::{cell::Cell, rc::Rc};

use crate::{
    hub::Hub,
    member::Members,
    outbox::Outbox,
    policy::{Bounds, OutboxLimits},
};

/// The lowest level, in bytes.
const FLOOR: usize = 4 << 10;

/// Bytes of frames that outboxes share, each counted once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scale(Rc<Cell<u64>>);

/// A frame's part in a [`Scale`]; taken from it when the frame is freed.
#[derive(Debug)]
pub(crate) struct Weight {
    scale: Scale,
    bytes: u64,
}

// === impl Scale ===

impl Scale {
    pub(crate) fn weigh(&self, bytes: usize) -> Weight {
        let bytes = bytes as u64;
        self.0.set(self.0.get() + bytes);
        Weight {
            scale: self.clone(),
            bytes,
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.get()
    }
}

// === impl Weight ===

impl Drop for Weight {
    fn drop(&mut self) {
        let scale = &self.scale.0;
        scale.set(scale.get() - self.bytes);
    }
}

// === impl Hub ===

impl Hub {
    /// Bytes that outboxes hold: frames, those shared counted once, and
    /// [`crate::ITEM_OVERHEAD`] for each place in an outbox.
    pub fn held_bytes(&self) -> u64 {
        let ledger = self.members.ledger();
        self.members.scale().bytes() + ledger.bytes - ledger.shared
    }

    /// The level of outboxes now, in bytes.
    pub fn level(&self) -> usize {
        self.members.bounds().level
    }

    /// Halves the level, and has those above it let go of what they may; at the
    /// lowest level, gives up the largest that holds more. Time grows with the
    /// members.
    pub fn tighten(&mut self) {
        let Bounds { limits, level } = self.members.bounds();
        let lowest = FLOOR.min(limits.bytes);
        self.members.set_level((level / 2).max(lowest));
        self.members.shed();
        if level == lowest {
            self.members.give_up_largest(lowest);
        }
        self.settle();
    }

    /// Doubles the level, up to the limits of outboxes.
    pub fn relax(&mut self) {
        let Bounds { limits, level } = self.members.bounds();
        self.members.set_level((level * 2).min(limits.bytes));
    }
}

// === impl Members ===

impl Members {
    /// Has every member above the level let go of what it may.
    fn shed(&mut self) {
        for id in self.above(self.bounds().level) {
            self.let_go(id);
        }
    }

    fn give_up_largest(&mut self, lowest: usize) {
        let bytes = |id| self.get(id).map_or(0, |member| member.outbox.bytes());
        let largest = self.above(lowest).into_iter().max_by_key(|&id| bytes(id));
        if let Some(id) = largest {
            self.overflow(id);
        }
    }
}

// === impl Bounds ===

impl Bounds {
    pub(crate) fn new(limits: OutboxLimits) -> Self {
        Self {
            limits,
            level: limits.bytes,
        }
    }

    /// Whether an outbox is above the level.
    pub(crate) fn is_above(&self, outbox: &Outbox) -> bool {
        outbox.bytes() > self.level
    }
}
