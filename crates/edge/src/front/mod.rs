//! The front: everything that happens to a socket before a shard owns it.
//!
//! Runs on the process's multi-thread runtime: accept, HTTP head, upgrade checks
//! and token verification, under one absolute deadline and two caps (handshakes
//! under way, connections held).

mod handshake;
mod listener;
mod upgrade;
mod verify;

pub(crate) use handshake::Outcome;
pub(crate) use listener::{ConnectionSlot, Listener};
pub(crate) use upgrade::{Refusal, WEBSOCKET_PATH};
pub(crate) use verify::{Verification, VerifyQueue, VerifyTask, queue as verify_queue};
