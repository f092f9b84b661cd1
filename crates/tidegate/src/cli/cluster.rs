//! `tidegate cluster`.

use std::path::PathBuf;

use clap::value_parser;
use tidegate::cluster::{self, ClusterOptions};

use super::Failure;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Gateways
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = value_parser!(u8).range(1..=32))]
    gateways: u8,

    /// Control planes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u8).range(1..=8))]
    controls: u8,

    /// nats-servers: 1, or 3 with three copies of everything
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u8).range(1..=5))]
    nats: u8,

    /// Use these servers, and start none
    #[arg(long, value_name = "URL", conflicts_with = "nats")]
    nats_url: Option<String>,

    /// The nats-server program [default: $TIDEGATE_NATS_SERVER, or as on the PATH]
    #[arg(long, value_name = "FILE")]
    nats_server: Option<PathBuf>,

    /// Port for clients; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 7400)]
    client_port: u16,

    /// Port for gRPC, likewise
    #[arg(long, value_name = "PORT", default_value_t = 7410)]
    grpc_port: u16,

    /// A configuration for gateways and control planes [default: that of `tidegate dev`]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Keep stores and logs in this folder
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    cluster::run(ClusterOptions {
        gateways: args.gateways.into(),
        controls: args.controls.into(),
        nats: args.nats.into(),
        nats_url: args.nats_url,
        nats_server: args.nats_server,
        client_port: args.client_port,
        grpc_port: args.grpc_port,
        config: args.config,
        folder: args.folder,
        json,
    })
    .await?;
    Ok(())
}
