//! `tidegate gateway` and `tidegate control`.

use std::path::PathBuf;

use tidegate::{node::Role, serve};

use super::Failure;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration; every key can be given by the environment as well
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) async fn run(args: Args, role: Role, json: bool) -> Result<(), Failure> {
    serve::run(role, args.config.as_deref(), json).await?;
    Ok(())
}
