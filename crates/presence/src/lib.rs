//! Presence: who is in a channel, whichever gateways they are connected to.
//!
//! Each gateway alone speaks for its own members: its *part* of a channel, with a
//! version that grows with each change. The gateways that have members in a channel
//! tell each other how their parts change, on a subject of the channel's, and so each
//! of them knows everybody there: the *crowd*, in which a session counts once,
//! whoever names it.
//!
//! ```text
//!   shard: enter, leave ──> Own ──word (since, version, who)──> tg.pr.ch.<channel>
//!                            │                                        │
//!                            v                                        v
//!                          Crowd <──────────── Part of another gateway
//!                            │                   │ a version is missing
//!                            v                   └──> ask: tg.pr.gw.<gateway>
//!                     Told, once a tick: clients
//! ```
//!
//! Nothing is stored, so nothing outlives its gateway: who is silent on `tg.pr.beat`
//! has no members, and no table has to be cleared of ghosts
//! (`docs/adr/0019-presence-is-told-not-stored.md`). Whoever is not in a channel asks
//! one of the gateways that are, at `tg.pr.at.<channel>`; where nobody serves that,
//! nobody is there.

mod crowd;
mod keeper;
mod line;
mod member;
mod metrics;
mod neighbours;
mod own;
mod part;
mod room;
mod rooms;
mod roster;
mod settings;
mod subjects;
#[cfg(test)]
mod testing;
mod told;

pub use self::{
    member::Member,
    roster::{Holders, MAX_NAMED, Roster, Seen, Teller, Whom, look},
    settings::Settings,
    told::{Audience, Summary, Told},
};
