//! The journal on the in-memory bus, with everything that may go wrong.

mod answers;
mod deaths;
mod schedules;
mod stage;
mod unsteady;
