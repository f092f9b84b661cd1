//! Measurements that need a cluster on NATS: beside bare NATS in the same run,
//! targeted sends, and what channels with local interest cost a gateway.
//!
//! `tidegate cluster` runs them; `loadtest/cluster.sh` puts both together.

mod bare;
mod interest;
mod send;

use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use hdrhistogram::Histogram;
use tokio::runtime;

/// Measures a running cluster, or bare NATS beside it.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Publish and subscribe on bare NATS: as fast as can be, then at half of
    /// it for the latency.
    BarePubsub(BareArgs),
    /// Request and reply on bare NATS.
    BareRequest(BareArgs),
    /// Sends to one user by gRPC.
    Send(SendArgs),
    /// Subscribes to many channels and prints the gateway's memory.
    Interest(InterestArgs),
}

#[derive(Clone, Debug, Parser)]
pub(crate) struct BareArgs {
    /// A nats-server.
    #[arg(long, default_value = "nats://127.0.0.1:4222")]
    pub(crate) nats: String,
    /// Seconds of each part.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) secs: f64,
    /// Bytes of a payload.
    #[arg(long, default_value_t = 128)]
    pub(crate) size: usize,
    /// Messages or requests under way at most.
    #[arg(long, default_value_t = 64)]
    pub(crate) window: usize,
    /// Messages a second in the second part; zero: half of the first part's.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) rate: f64,
}

#[derive(Clone, Debug, Parser)]
pub(crate) struct SendArgs {
    /// A control plane.
    #[arg(long, default_value = "http://127.0.0.1:7410")]
    pub(crate) grpc: String,
    /// A gateway.
    #[arg(long, default_value = "ws://127.0.0.1:7400/v1/ws")]
    pub(crate) url: String,
    /// Seconds.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) secs: f64,
    /// Sends under way.
    #[arg(long, default_value_t = 64)]
    pub(crate) window: usize,
}

#[derive(Clone, Debug, Parser)]
pub(crate) struct InterestArgs {
    /// A gateway.
    #[arg(long, default_value = "ws://127.0.0.1:7400/v1/ws")]
    pub(crate) url: String,
    /// A control plane, for tokens.
    #[arg(long, default_value = "http://127.0.0.1:7410")]
    pub(crate) grpc: String,
    /// The gateway's process.
    #[arg(long)]
    pub(crate) server_pid: u32,
    /// Channels.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) channels: usize,
    /// Channels of one connection.
    #[arg(long, default_value_t = 100)]
    pub(crate) per_connection: usize,
    /// First token of the channels.
    #[arg(long, default_value = "demo")]
    pub(crate) namespace: String,
}

// === impl ClusterCommand ===

impl ClusterCommand {
    /// Runs it and prints one line.
    pub(crate) fn run(&self) -> Result<()> {
        let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            match self {
                Self::BarePubsub(args) => bare::pubsub(args).await,
                Self::BareRequest(args) => bare::request(args).await,
                Self::Send(args) => send::run(args).await,
                Self::Interest(args) => interest::run(args).await,
            }
        })
    }
}

/// Latencies from 1 µs to a minute, to two digits.
fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 2).expect("valid bounds")
}

/// `p50 0.12 ms, p99 0.34 ms`.
fn percentiles(latencies: &Histogram<u64>) -> String {
    let at = |quantile: f64| latencies.value_at_quantile(quantile) as f64 / 1_000.0;
    format!("p50 {:.3} ms, p99 {:.3} ms", at(0.5), at(0.99))
}

fn micros(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros())
        .unwrap_or(u64::MAX)
        .max(1)
}
