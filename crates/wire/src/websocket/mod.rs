//! RFC 6455 frames, sans-I/O: what a server reads from clients, and the frames
//! either side writes.
//!
//! Reading is strict: every rule of the RFC that a client can break is a
//! [`Violation`] with the close code it earns. No extension is negotiated, so
//! reserved bits must be zero.

mod frame;
mod header;
mod incoming;
mod mask;
mod message;
mod reader;
mod violation;

pub use frame::{client_frame, close_frame, ping_frame, pong_frame};
pub use header::{MAX_SERVER_HEADER, OpCode, parse_server_frame, server_header};
pub use incoming::{CloseFrame, Incoming};
pub use reader::{Messages, Reader, ReaderLimits};
pub use violation::Violation;

/// Longest payload of a control frame, in bytes (RFC 6455 section 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

#[cfg(test)]
mod tests;
