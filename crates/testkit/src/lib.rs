//! The language of end-to-end tests: scripted clients that may break every
//! rule, tokens, and waiting with a deadline.
//!
//! Made for tests, so whatever does not happen panics and says what was
//! expected and what came instead. Every wait ends after [`DEADLINE`].

mod client;
mod dial;
mod events;
mod expect;
mod tokens;
mod wait;

pub use client::{Close, Frame, RawClient};
pub use dial::{Dial, HttpAnswer};
pub use events::{
    ack, cancel, hello, ping, publish, request, request_within, subscribe, subscribe_since,
    unsubscribe,
};
pub use tokens::Tokens;
pub use wait::{DEADLINE, eventually, within};
