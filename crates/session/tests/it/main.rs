//! Sessions as the owner of a socket sees them.

mod any_order;
mod owner;
