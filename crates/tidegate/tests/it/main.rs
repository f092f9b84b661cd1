//! The binary as its users meet it.

mod attacks;
mod cli;
mod cluster;
mod dev_process;
mod isolation;
mod keys;
mod secrets;
mod tenants;
