//! `tidegate config`: check, schema, show.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use schemars::schema_for;
use tidegate::config::{Config, load, warnings_of_file};

use super::{Failure, output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say whether a file can be used, environment included, and what of it is not safe
    Check {
        /// The configuration
        file: PathBuf,
        /// Fail if anything is not safe
        #[arg(long)]
        deny_warnings: bool,
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
        Action::Check {
            file,
            deny_warnings,
        } => check(file, *deny_warnings, json),
        Action::Schema => Ok(output::line(pretty(&schema_for!(Config)))?),
        Action::Show { file } => show(file.as_deref(), json),
    }
}

fn check(file: &Path, deny_warnings: bool, json: bool) -> Result<(), Failure> {
    let mut warnings = load(Some(file))?.warnings();
    warnings.extend(warnings_of_file(file));
    if json {
        output::line(serde_json::json!({ "valid": true, "warnings": warnings }))?;
    } else {
        output::line(format_args!("{} is valid", file.display()))?;
        for warning in &warnings {
            let (code, key, problem) = (warning.code, &warning.key, warning.problem);
            output::line(format_args!("warning[{code}] {key}: {problem}"))?;
        }
    }
    match warnings.len() {
        count if deny_warnings && count > 0 => Err(Failure::failed(format_args!(
            "{count} settings are not safe"
        ))),
        _ => Ok(()),
    }
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
