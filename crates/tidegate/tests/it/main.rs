//! The binary as its users meet it.

mod cli;
mod dev_process;
