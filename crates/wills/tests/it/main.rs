//! Wills on the in-memory bus, on paused time.

mod arming;
mod faulty;
mod firing;
mod racing;
mod stage;
