//! `tidegate config`: check, schema, show.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use schemars::schema_for;
use tidegate::config::{Config, load};

use super::{Failure, output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say whether a file can be used, environment included
    Check {
        /// The configuration
        file: PathBuf,
    },
    /// Print the JSON Schema of configurations
    Schema,
    /// Print what is in force: defaults, then the file, then the environment
    Show {
        /// The configuration
        file: Option<PathBuf>,
    },
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    match &args.action {
        Action::Check { file } => check(file, json),
        Action::Schema => Ok(output::line(pretty(&schema_for!(Config)))?),
        Action::Show { file } => show(file.as_deref(), json),
    }
}

fn check(file: &Path, json: bool) -> Result<(), Failure> {
    load(Some(file))?;
    if json {
        output::line(serde_json::json!({ "valid": true }))?;
    } else {
        output::line(format_args!("{} is valid", file.display()))?;
    }
    Ok(())
}

/// TOML, as files are written; secrets are hidden by their own type.
fn show(file: Option<&Path>, json: bool) -> Result<(), Failure> {
    let config = load(file)?;
    if json {
        output::line(serde_json::json!(config))?;
    } else {
        let text = toml::to_string(&config).expect("a configuration is made of tables and values");
        output::raw(text.as_bytes())?;
    }
    Ok(())
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).expect("its keys are text")
}
