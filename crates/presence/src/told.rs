//! What the clients of a channel are told.

use wire::client::PresenceChange;

use crate::member::Member;

/// Members in a sample.
pub(crate) const SAMPLE: usize = 50;

/// Who is in a channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// How many sessions.
    pub sessions: u64,
    /// How many users; where gateways only count their members it is what they
    /// count together, so users of several of them count more than once.
    pub users: u64,
    /// Some of them, or all.
    pub members: Vec<Member>,
    /// There are more.
    pub sampled: bool,
}

/// Something to tell clients that have asked for a channel's presence.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Who is meant.
    pub audience: Audience,
    /// What is told; the alias is the caller's to put in.
    pub change: PresenceChange,
}

/// Which of those who have asked are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All of them; a snapshot.
    Everybody,
    /// Who has had no snapshot yet.
    Newcomers,
    /// Who has had one.
    Others,
}
