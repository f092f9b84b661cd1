//! The conformance kit: a scripted gateway that puts a client SDK through the
//! situations of the protocol, and says what it got wrong.
//!
//! ```text
//!     program with the SDK <--stdin, stdout: tasks, reports--> Client ---+
//!              |                                                        Stage: a script plays with both
//!              +------------------- WebSocket --------------> Peer -----+
//! ```
//!
//! For each [`Situation`] the program is started anew, told what to do by
//! [`Task`]s, and says by [`Report`]s what its application saw; `docs/protocol.md` has
//! that contract. A script fails with the first [`Fault`] and ends with its situation;
//! the program is killed then. Every wait has a deadline.

mod client;
mod contract;
mod fault;
mod peer;
mod situations;
mod stage;

pub use client::Client;
pub use contract::{Report, State, Task};
pub use fault::Fault;
pub use situations::{Situation, all};
