//! Automation: the one door for everything that is not `cargo build`.

mod generate;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;

/// Tidegate's automation.
#[derive(Debug, Parser)]
enum Command {
    /// Generate code from proto/.
    Gen {
        /// Only check that the committed code is up to date.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> Result<()> {
    let root = workspace_root()?;
    match Command::parse() {
        Command::Gen { check } => generate::run(&root, check),
    }
}

fn workspace_root() -> Result<PathBuf> {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.ancestors().nth(2).context("xtask is not in crates/")?;
    Ok(root.to_path_buf())
}
