//! `tidegate dev`.

use std::path::PathBuf;

use tidegate::dev::{self, DevOptions};

use super::Failure;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Port for clients; 0 takes a free one [default: 7400]
    #[arg(long, value_name = "PORT")]
    client_port: Option<u16>,

    /// Port for gRPC, likewise [default: 7410]
    #[arg(long, value_name = "PORT")]
    grpc_port: Option<u16>,

    /// Port for metrics and health, likewise [default: 7420]
    #[arg(long, value_name = "PORT")]
    admin_port: Option<u16>,

    /// Serve /v1/echo, which sends every message back, for conformance suites
    #[arg(long)]
    echo: bool,

    /// A configuration to start from
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    let Args {
        client_port,
        grpc_port,
        admin_port,
        echo,
        config,
    } = args;
    dev::run(DevOptions {
        client_port,
        grpc_port,
        admin_port,
        json,
        echo,
        config,
    })
    .await?;
    Ok(())
}
