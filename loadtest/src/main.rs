//! Tidegate's load generator: idle, fanout, echo and storm, each measured
//! beside a bare baseline that does only the kernel's part of the work; and its
//! torture chamber.
//!
//! `cargo run --release -p loadtest -- fanout -n 1000 --rate 50`
//!
//! The process ends when the scenario's bounds (`--secs`, `--messages`,
//! `--hold`) are reached; the servers it started end with it.

mod args;
mod baseline;
mod clock;
mod cluster;
mod connection;
mod engine;
mod fleet;
mod frame;
mod grpc;
mod messages;
mod outcome;
mod payload;
mod process;
mod publisher;
mod report;
mod scenario;
mod share;
mod socket;
mod torture;

use anyhow::Result;
use clap::Parser;

use crate::args::{Args, Command};

fn main() -> Result<()> {
    let args = Args::parse();
    match args.command {
        Command::Baseline(options) => baseline::run(&options),
        Command::Cluster(command) => command.run(),
        Command::Share => share::run_child(),
        Command::Torture(args) => args.run(),
        Command::TortureWorker(args) => args.run(),
        Command::Scenario(scenario) => {
            let report = scenario::run(&scenario)?;
            report.print(scenario.common().json);
            Ok(())
        }
    }
}
