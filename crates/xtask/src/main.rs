//! Automation: the one door for everything that is not `cargo build`.

mod alerts;
mod conformance;
mod deny;
mod generate;
mod helm;
mod interop;
mod metric_tables;
mod process;
mod sdk;
mod server;
mod steps;
mod tidy;
mod tools;
mod workspace;

use std::{ffi::OsString, process::ExitCode, time::Duration};

use anyhow::{Result, ensure};
use clap::Parser;

use crate::{steps::Step, workspace::Workspace};

/// Tidegate's automation.
#[derive(Debug, Parser)]
enum Command {
    /// Generate code from proto/, and the list of metrics from the tables of each crate.
    Gen {
        /// Only check that the committed code is up to date.
        #[arg(long)]
        check: bool,
    },
    /// Check the house rules that rustc and clippy do not know.
    Tidy,
    /// Run all checks and tests; what this machine has no tools for is skipped.
    Test {
        /// Only these steps.
        #[arg(long, value_delimiter = ',')]
        only: Vec<Step>,
    },
    /// What CI runs: all checks and tests, nothing skipped.
    Ci {
        /// Only these steps.
        #[arg(long, value_delimiter = ',')]
        only: Vec<Step>,
    },
    /// Run a program, and kill it after some seconds: what runs each binary of tests.
    Within {
        seconds: u64,
        /// The program and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        program: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let workspace = Workspace::find()?;
    match command {
        Command::Gen { check } => generate::run(&workspace.root, check),
        Command::Tidy => tidy::run(&workspace),
        Command::Test { only } => steps::run(&workspace, &only, false),
        Command::Ci { only } => steps::run(&workspace, &only, true),
        Command::Within { seconds, program } => {
            let limit = Duration::from_secs(seconds);
            let mut command = std::process::Command::new(&program[0]);
            let passed = process::run_within(command.args(&program[1..]), limit)?;
            ensure!(passed, "{} failed", process::describe(&command));
            Ok(())
        }
    }
}
