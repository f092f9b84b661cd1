//! The hub as the edge uses it: what goes in, and what each connection reads.

mod accounts;
mod behaviour;
mod classes;
mod explaining;
mod model;
mod overflow;
mod pressure;
mod priorities;
mod simulation;
mod support;
