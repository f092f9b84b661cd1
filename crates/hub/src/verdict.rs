//! How a subscription begins, and what its client is told.

use crate::{member::MemberId, place::Place};

/// Chosen by the caller of [`crate::Hub::subscribe`]; comes back in [`Answer`].
pub type Ticket = u32;

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what is published from now on.
    Now,
    /// Behind this offset, of the life that the channel's log is in.
    Since {
        /// The last publication that the client has.
        offset: u64,
        /// Comes back if the answer has to wait.
        ticket: Ticket,
    },
}

/// How a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// With what is published from now on.
    Now,
    /// With everything behind the offset that it asked for.
    Recovered,
    /// With what is published from now on, as not all that was asked for can be
    /// had.
    Lost,
    /// Nobody knows yet. An [`Answer`] will tell; nothing is queued before.
    Unknown,
}

/// What became of an [`Entrance::Unknown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whose subscription.
    pub member: MemberId,
    /// As given to [`crate::Hub::subscribe`].
    pub ticket: Ticket,
    /// The verdict.
    pub verdict: Verdict,
}

/// The end of an [`Entrance::Unknown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything behind this place, the one asked for, follows.
    Recovered(Place),
    /// What is behind this place, the channel's own, follows.
    Lost(Place),
    /// The log can't be read: there is no such subscription any more.
    Unavailable,
}
