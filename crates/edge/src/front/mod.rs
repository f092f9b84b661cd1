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
pub use admission::{AdmissionLimits, FlappingLimits};
pub(crate) use admission::{Later, Prefix};
pub(crate) use door::Door;
pub(crate) use handshake::Outcome;
pub(crate) use head::Rewound;
pub(crate) use hello::{Caller, await_hello};
pub(crate) use listener::Listener;
pub(crate) use places::{ConnectionSlot, Places};
pub(crate) use socket::Socket;
pub(crate) use unfinished::{Unfinished, Visit};
pub(crate) use upgrade::{Refusal, Turned, WEBSOCKET_PATH, admit, check_origin, refuse, token};
