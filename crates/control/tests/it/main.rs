//! The control plane over real gRPC, with an in-memory bus and gateways that
//! say what a test tells them.

mod auditing;
mod broadcasting;
mod callers;
mod connections;
mod crowd;
mod encrypted;
mod explaining;
mod history;
mod holding_bus;
mod listing;
mod mailboxes;
mod operating;
mod plane;
mod presence;
mod publishing;
mod registered;
mod sending;
mod serving;
mod streaming;
mod tokens;
mod watching;
mod wills;
