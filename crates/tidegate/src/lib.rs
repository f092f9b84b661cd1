//! Tidegate as a library: its configuration, and how the parts are wired.
//!
//! The binary is a thin layer over [`node`]; tests and examples start the same
//! node in their own process.

pub mod cluster;
pub mod config;
pub mod dev;
pub mod node;
pub mod serve;
