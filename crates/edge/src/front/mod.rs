//! The front: everything that happens to a socket before a shard owns it.
//!
//! Runs on the process's multi-thread runtime: accept, HTTP head, upgrade checks,
//! waiting for Hello and token verification, under one absolute deadline and
//! three caps (sockets before Hello, HTTP requests worked on, connections held), as
//! fast as admission allows. A shard gets a socket when there is something for it to
//! decide.

mod address;
mod admission;
mod door;
mod farewell;
mod handshake;
mod head;
mod hello;
mod listener;
mod places;
mod socket;
mod unfinished;
mod upgrade;

pub use address::Proxies;
pub(crate) use admission::Prefix;
pub use admission::{AdmissionLimits, FlappingLimits};
pub(crate) use door::Door;
pub(crate) use handshake::Outcome;
pub(crate) use listener::Listener;
pub(crate) use places::{ConnectionSlot, Places};
pub(crate) use unfinished::Unfinished;
pub(crate) use upgrade::{Refusal, WEBSOCKET_PATH};
