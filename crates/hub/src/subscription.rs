//! Where a member stands in a channel.

/// A member's place among the listeners of a channel, among those who are behind,
/// or among those who don't get all of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscription {
    /// The channel's key in the table.
    pub(crate) channel: u32,
    /// Index in the list; the highest bits tell in which.
    position: u32,
}

/// Marks positions of those who are behind.
const BEHIND: u32 = 1 << 31;

/// Marks positions among those who don't get all.
const FOLLOWS: u32 = 1 << 30;

// === impl Subscription ===

impl Subscription {
    /// Among the listeners.
    pub(crate) fn live(channel: u32, index: usize) -> Self {
        Self {
            channel,
            position: index as u32,
        }
    }

    /// Among those who are behind in the log.
    pub(crate) fn behind(channel: u32, index: usize) -> Self {
        Self {
            channel,
            position: index as u32 | BEHIND,
        }
    }

    /// Among those who don't get all; with something to be given now, or not.
    pub(crate) fn following(channel: u32, index: usize, is_behind: bool) -> Self {
        let behind = if is_behind { BEHIND } else { 0 };
        Self {
            channel,
            position: index as u32 | FOLLOWS | behind,
        }
    }

    /// It does not get all.
    pub(crate) fn follows(self) -> bool {
        self.position & FOLLOWS != 0
    }

    pub(crate) fn is_behind(self) -> bool {
        self.position & BEHIND != 0
    }

    pub(crate) fn index(self) -> usize {
        (self.position & !(BEHIND | FOLLOWS)) as usize
    }
}
