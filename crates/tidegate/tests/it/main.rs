//! The binary as its users meet it.

mod cli;
mod cluster;
mod dev_process;
