//! One client's protocol life as a sans-I/O state machine.
//!
//! The phases are types; a transition consumes the old one:
//!
//! ```text
//!   new connection                      upgrade request with a token
//!        |                                          |
//!        v                                          v
//!    Greeting --Hello{token}--> Verifying <--from_upgrade
//!        |                       |      |
//!        | anything else         |      | authenticated
//!        |              rejected |      v
//!        |                       |   Established --second Hello--+
//!        v                       v                              v
//!      Close                   Close                          Close
//! ```
//!
//! The owner of the socket hands over the events of each message one by one,
//! in order, and performs the [`Action`]s it finds in [`Actions`] afterwards;
//! what it learns from them it tells by the methods of the phase (`subscribed`,
//! `replied` and so on). Nothing here reads a clock, does I/O or logs.
//!
//! Rules that hold whatever a client sends:
//! - every operation with an id gets exactly one answer with that id, unless
//!   the connection ends first;
//! - after [`Action::Close`] a phase produces nothing more;
//! - what a session keeps is bounded by one message and the limits in force.

mod action;
mod config;
mod established;
mod greeting;
mod hidden;
mod in_flight;
mod introduction;
mod reply;
mod verifying;
mod waiting;

pub use action::{Action, Actions, Addressee, HistoryStart};
pub use config::{Authenticated, Grants, SessionConfig};
pub use established::{Entered, Established};
pub use greeting::Greeting;
pub use hidden::Hidden;
pub use introduction::Introduction;
pub use reply::{closing, degraded, migrate, recovered, token_expiring, token_revoked, welcome};
pub use verifying::Verifying;
