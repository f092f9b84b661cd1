//! The control plane over real gRPC, with an in-memory bus and gateways that
//! say what a test tells them.

mod connections;
mod holding_bus;
mod plane;
mod publishing;
mod sending;
mod serving;
mod streaming;
mod tokens;
