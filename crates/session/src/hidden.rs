//! What must not be printed.

use std::fmt;

/// A value that shows nothing of itself in logs and in the messages of tests.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden<T>(pub T);

// === impl Hidden ===

impl<T> fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}
