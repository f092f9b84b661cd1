//! The front: everything that happens to a socket before a shard owns it.
//!
//! Runs on the process's multi-thread runtime: accept, HTTP head, upgrade checks,
//! waiting for Hello and token verification, under one absolute deadline and
//! two caps (HTTP handshakes under way, connections held), as fast as admission
//! allows. A shard gets a socket when there is something for it to decide.

mod admission;
mod door;
mod farewell;
mod handshake;
mod hello;
mod listener;
mod upgrade;

pub(crate) use admission::Prefix;
pub use admission::{AdmissionLimits, FlappingLimits};
pub(crate) use door::Door;
pub(crate) use handshake::Outcome;
pub(crate) use hello::Verdict;
pub(crate) use listener::{ConnectionSlot, Listener};
pub(crate) use upgrade::{Refusal, WEBSOCKET_PATH};
