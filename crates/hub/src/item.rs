//! One frame of an outbox, and what it may overtake.
//!
//! Answers and messages for one client go before publications, and publications
//! by their channel's priority. Within a priority a slow connection's channels
//! take turns by bytes: start-time fair queueing (Goyal, Vin and Cheng, 1996),
//! where a frame's time is when its channel's turn for it has come.

use std::rc::Rc;

use crate::{
    chunk::Chunk, fact::Receipt, gap::QueuedGap, outbox::ITEM_OVERHEAD, policy::DeliveryPolicy,
};

/// One frame to be written, with what scans of an outbox look at in place.
#[derive(Debug)]
pub(crate) enum Item {
    Publications {
        rank: Rank,
        time: Time,
        alias: u32,
        chunk: Rc<Chunk>,
    },
    Gap {
        rank: Rank,
        time: Time,
        alias: u32,
        gap: Box<QueuedGap>,
    },
    Control {
        urgency: Urgency,
        /// The channel whose subscription it is about; zero: none.
        alias: u32,
        control: Box<Control>,
    },
}

/// Something that is meant for one connection, and never dropped by policy.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) frame: Rc<[u8]>,
    pub(crate) receipt: Option<Receipt>,
}

/// What a control does not wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Publications, unless it is about their channel.
    First,
    /// Nothing: what was queued before is written before.
    InTurn,
}

/// A channel's priority, and what may be done with a frame of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rank(u8);

/// A frame's place among those of the same priority, in steps of 512 bytes. It
/// wraps around: only differences of up to 16 MiB count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(u16);

/// It may be let go for other publications.
const LOSSY: u8 = 1 << 4;

/// Of a follower: there is little of it, and it is the newest there is.
const FRESH: u8 = 1 << 5;

const PRIORITY: u8 = LOSSY - 1;

/// Bytes in a step of time.
const STEP_BYTES: usize = 512;

// === impl Item ===

impl Item {
    pub(crate) fn publications(chunk: Rc<Chunk>) -> Self {
        Self::Publications {
            rank: Rank::of(&chunk),
            time: Time::ZERO,
            alias: chunk.alias(),
            chunk,
        }
    }

    pub(crate) fn gap(gap: QueuedGap, priority: u8) -> Self {
        Self::Gap {
            rank: Rank(priority.min(DeliveryPolicy::MAX_PRIORITY)),
            time: Time::ZERO,
            alias: gap.alias(),
            gap: Box::new(gap),
        }
    }

    pub(crate) fn frame(&self) -> &[u8] {
        match self {
            Self::Publications { chunk, .. } => chunk.frame(),
            Self::Gap { gap, .. } => gap.frame(),
            Self::Control { control, .. } => &control.frame,
        }
    }

    /// What it takes from the byte limit.
    pub(crate) fn charge(&self) -> usize {
        self.frame().len() + ITEM_OVERHEAD
    }

    /// Bytes of it that other outboxes may share.
    pub(crate) fn shared(&self) -> u64 {
        match self {
            Self::Publications { chunk, .. } => chunk.frame().len() as u64,
            Self::Gap { .. } | Self::Control { .. } => 0,
        }
    }

    /// The channel that it is about; zero: none.
    pub(crate) fn alias(&self) -> u32 {
        match *self {
            Self::Publications { alias, .. }
            | Self::Gap { alias, .. }
            | Self::Control { alias, .. } => alias,
        }
    }

    /// Its channel's priority; of controls, above all of these.
    pub(crate) fn priority(&self) -> u8 {
        match self {
            Self::Publications { rank, .. } | Self::Gap { rank, .. } => rank.priority(),
            Self::Control { .. } => PRIORITY,
        }
    }

    /// Its rank, unless it is a control.
    pub(crate) fn rank(&self) -> Option<Rank> {
        match *self {
            Self::Publications { rank, .. } | Self::Gap { rank, .. } => Some(rank),
            Self::Control { .. } => None,
        }
    }

    /// Its time, unless it is a control.
    pub(crate) fn time(&self) -> Option<Time> {
        match *self {
            Self::Publications { time, .. } | Self::Gap { time, .. } => Some(time),
            Self::Control { .. } => None,
        }
    }

    pub(crate) fn set_time(&mut self, to: Time) {
        match self {
            Self::Publications { time, .. } | Self::Gap { time, .. } => *time = to,
            Self::Control { .. } => {}
        }
    }

    /// Whether it may be written before `other`, which was queued before it.
    /// `fairly`: channels of a priority take turns.
    pub(crate) fn overtakes(&self, other: &Self, fairly: bool) -> bool {
        if self.alias() != 0 && self.alias() == other.alias() {
            return false;
        }
        match (self, other) {
            (Self::Control { urgency, .. }, _) if *urgency == Urgency::InTurn => false,
            (Self::Control { alias, .. }, Self::Control { urgency, .. }) => match urgency {
                // The beginnings and ends of subscriptions keep their order.
                Urgency::InTurn => *alias == 0 || other.alias() == 0,
                Urgency::First => *alias == 0 && other.alias() != 0,
            },
            (Self::Control { .. }, _) => true,
            (_, Self::Control { urgency, .. }) => {
                *urgency == Urgency::InTurn && self.priority() > 0
            }
            _ if self.priority() != other.priority() => self.priority() > other.priority(),
            _ => match (self.time(), other.time()) {
                (Some(own), Some(others)) => fairly && own.is_before(others),
                _ => false,
            },
        }
    }
}

// === impl Rank ===

impl Rank {
    fn of(chunk: &Chunk) -> Self {
        let policy = chunk.policy();
        let mut rank = policy.priority.min(DeliveryPolicy::MAX_PRIORITY);
        if policy.is_fresh() {
            rank |= FRESH;
        } else if policy.is_lossy() {
            rank |= LOSSY;
        }
        Self(rank)
    }

    pub(crate) fn priority(self) -> u8 {
        self.0 & PRIORITY
    }

    pub(crate) fn is_lossy(self) -> bool {
        self.0 & LOSSY != 0
    }

    pub(crate) fn is_fresh(self) -> bool {
        self.0 & FRESH != 0
    }
}

// === impl Time ===

impl Time {
    pub(crate) const ZERO: Self = Self(0);

    /// When so many bytes more have had their turn.
    pub(crate) fn after(self, bytes: usize) -> Self {
        let steps = bytes.div_ceil(STEP_BYTES).min(usize::from(u16::MAX / 4));
        Self(self.0.wrapping_add(steps as u16))
    }

    pub(crate) fn is_before(self, other: Self) -> bool {
        (other.0.wrapping_sub(self.0) as i16) > 0
    }

    /// The later one, but not so much later than `now` that it would seem earlier.
    pub(crate) fn within(self, now: Self) -> Self {
        if self.is_before(now) {
            return now;
        }
        let ahead = self.0.wrapping_sub(now.0).min(u16::MAX / 4);
        Self(now.0.wrapping_add(ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_two_words() {
        assert_eq!(size_of::<Item>(), 16);
    }

    #[test]
    fn times_wrap_around() {
        let late = Time(u16::MAX - 1);
        assert_eq!(late.after(3 * STEP_BYTES), Time(1));
        assert!(late.is_before(Time(1)) && !Time(1).is_before(late));
        assert_eq!(Time(1).within(late), Time(1));
        assert_eq!(late.within(Time(1)), Time(1));
        assert_eq!(Time(30_000).within(Time(0)), Time(u16::MAX / 4));
    }
}
