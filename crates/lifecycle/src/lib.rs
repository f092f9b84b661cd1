//! Named tasks, the cancellation tree, signals and deadlines.
//!
//! A process makes one [`Scope::root`], hands children of it to its parts, and
//! at its end drains them in order, each with a deadline. Nothing else in this
//! code base starts a task or a thread, so nothing outlives its owner unseen.

mod scope;
mod signal;
mod tracked;

pub use scope::{DrainOutcome, Scope};
pub use signal::{Signal, Signals};
pub use tracked::{TaskName, Tracked};
