//! Automation: the one door for everything that is not `cargo build`.

mod generate;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::workspace::Workspace;

/// Tidegate's automation.
#[derive(Debug, Parser)]
enum Command {
    /// Generate code from proto/.
    Gen {
        /// Only check that the committed code is up to date.
        #[arg(long)]
        check: bool,
    },
    /// Check the house rules that rustc and clippy do not know.
    Tidy,
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
    }
}
