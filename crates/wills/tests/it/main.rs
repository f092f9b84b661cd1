//! Wills end to end on the in-memory bus.
