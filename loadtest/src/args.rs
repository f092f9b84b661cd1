//! The command line.

use std::net::SocketAddrV4;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    cluster::ClusterCommand,
    torture::{TortureArgs, WorkerArgs},
};

/// Loads a gateway on this machine and measures it beside a bare baseline.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The bare server, which the scenarios start themselves.
    #[command(hide = true)]
    Baseline(BaselineArgs),
    /// One client process among several, driven over its standard input.
    #[command(hide = true)]
    Share,
    /// Measure a cluster on NATS, or bare NATS.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// A worker of the torture, which starts it itself.
    #[command(hide = true)]
    TortureWorker(WorkerArgs),
    /// Do everything to a cluster that can happen to it, and check every promise.
    Torture(Box<TortureArgs>),
    #[command(flatten)]
    Scenario(Box<Scenario>),
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Scenario {
    /// Many authenticated connections with one subscription each, held.
    Idle(IdleArgs),
    /// One publisher, many subscribers.
    Fanout(FanoutArgs),
    /// Requests through the route `echo`.
    Echo(EchoArgs),
    /// Connections opened and closed as fast as they are answered.
    Storm(StormArgs),
}

/// What every scenario takes.
#[derive(Clone, Debug, Parser)]
pub(crate) struct CommonArgs {
    /// Client processes that share the connections; one can hold about 20,000.
    #[arg(long, default_value_t = 1)]
    pub(crate) processes: usize,
    /// New connections per second; zero: as fast as they are answered.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) connect_rate: f64,
    /// Connections that may be unanswered at once.
    #[arg(long, default_value_t = 256)]
    pub(crate) inflight: usize,
    /// Runs of each server, alternating; the report shows medians.
    #[arg(long, default_value_t = 1)]
    pub(crate) repeat: usize,
    /// A running gateway, instead of starting one.
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Its gRPC address.
    #[arg(long)]
    pub(crate) grpc: Option<String>,
    /// Its process, whose CPU and memory are measured.
    #[arg(long, requires = "url")]
    pub(crate) server_pid: Option<u32>,
    /// The program started as `tidegate dev`; by default the one beside this program.
    #[arg(long)]
    pub(crate) server_bin: Option<PathBuf>,
    /// More arguments for `tidegate dev`.
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) server_arg: Vec<String>,
    /// Token of the clients, where the gateway does not print one.
    #[arg(long)]
    pub(crate) token: Option<String>,
    /// Where the token travels.
    #[arg(long, value_enum, default_value_t = TokenIn::Hello)]
    pub(crate) token_in: TokenIn,
    /// The channel subscribed to.
    #[arg(long, default_value = "demo.load")]
    pub(crate) channel: String,
    /// Server on CPU 0, clients on CPU 1.
    #[arg(long)]
    pub(crate) pin: bool,
    /// What is measured.
    #[arg(long, value_enum, default_value_t = Against::Both)]
    pub(crate) against: Against,
    /// Messages that the baseline joins in one write.
    #[arg(long, default_value_t = 1)]
    pub(crate) batch: usize,
    /// One line of JSON with every run, instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Debug, Parser)]
pub(crate) struct IdleArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// Connections.
    #[arg(short = 'n', long, default_value_t = 10_000)]
    pub(crate) connections: usize,
    /// Seconds to hold the connections.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) hold: f64,
    /// Then each connection also moves one large message (see `--large`).
    #[arg(long)]
    pub(crate) after_large: bool,
    /// Bytes of that message.
    #[arg(long, default_value_t = 60_000)]
    pub(crate) large: usize,
}

#[derive(Clone, Debug, Parser)]
pub(crate) struct FanoutArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// Connections.
    #[arg(short = 'n', long, default_value_t = 1_000)]
    pub(crate) connections: usize,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// How the publisher speaks to the gateway; the baseline knows only ws.
    #[arg(long, value_enum, default_value_t = PublishOver::Grpc)]
    pub(crate) publish: PublishOver,
    /// Messages published in one write or batch.
    #[arg(long, default_value_t = 1)]
    pub(crate) burst: usize,
    /// Without a rate: messages not yet delivered to everyone, at most.
    #[arg(long, default_value_t = 64)]
    pub(crate) window: u64,
    /// Messages delivered first, as fast as can be, and not counted.
    #[arg(long, default_value_t = 32)]
    pub(crate) warmup: u64,
    /// Subscribers that stop reading; runs with and without them are compared.
    #[arg(long, default_value_t = 0)]
    pub(crate) slow: usize,
}

#[derive(Clone, Debug, Parser)]
pub(crate) struct EchoArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// Connections.
    #[arg(short = 'n', long, default_value_t = 100)]
    pub(crate) connections: usize,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// Requests under way on each connection.
    #[arg(long, default_value_t = 1)]
    pub(crate) depth: usize,
}

#[derive(Clone, Debug, Parser)]
pub(crate) struct StormArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// Seconds to run.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) secs: f64,
}

/// How much is sent, and how fast.
#[derive(Clone, Debug, Parser)]
pub(crate) struct LoadArgs {
    /// Messages per second (all together), stamped with the planned time so
    /// that a stall counts as latency; zero: as fast as answered.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) rate: f64,
    /// Seconds to send.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) secs: f64,
    /// Messages to send at most; zero: only `--secs` counts.
    #[arg(long, default_value_t = 0)]
    pub(crate) messages: u64,
    /// Bytes of a payload, at least 20.
    #[arg(long, default_value_t = 128)]
    pub(crate) size: usize,
    /// Seconds without progress after which missing messages are given up.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) drain: f64,
}

#[derive(Clone, Debug, Parser)]
pub(crate) struct BaselineArgs {
    /// Messages joined in one write.
    #[arg(long, default_value_t = 1)]
    pub(crate) batch: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TokenIn {
    /// In the Hello message.
    Hello,
    /// In the access_token query parameter: no Hello is sent.
    Query,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Against {
    /// The gateway and the baseline, alternating.
    Both,
    /// The gateway alone.
    Gateway,
    /// The baseline alone.
    Baseline,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PublishOver {
    /// A stream of batches to the control plane.
    Grpc,
    /// Publish events of a client connection.
    Ws,
}

// === impl Scenario ===

impl Scenario {
    pub(crate) fn common(&self) -> &CommonArgs {
        match self {
            Self::Idle(args) => &args.common,
            Self::Fanout(args) => &args.common,
            Self::Echo(args) => &args.common,
            Self::Storm(args) => &args.common,
        }
    }
}

/// The address and path of a `ws://` URL. Only loopback addresses are taken:
/// this program is for one's own machine.
pub(crate) fn websocket_target(url: &str) -> Result<(SocketAddrV4, String)> {
    let rest = url
        .strip_prefix("ws://")
        .with_context(|| format!("{url} is no ws:// URL"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address: SocketAddrV4 = host
        .replace("localhost", "127.0.0.1")
        .parse()
        .with_context(|| format!("{host} is no IPv4 address and port"))?;
    ensure!(
        address.ip().is_loopback(),
        "{address} is not on this machine: only 127.0.0.0/8 is loaded"
    );
    Ok((address, format!("/{path}")))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn scenario_options_are_read() {
        let args = Args::parse_from([
            "loadtest",
            "fanout",
            "-n",
            "7",
            "--rate",
            "50",
            "--publish",
            "ws",
        ]);
        let Command::Scenario(scenario) = args.command else {
            panic!("not a scenario")
        };
        let Scenario::Fanout(fanout) = *scenario else {
            panic!("not fanout")
        };
        assert_eq!((fanout.connections, fanout.load.rate), (7, 50.0));
        assert_eq!(fanout.publish, PublishOver::Ws);
    }

    #[test]
    fn only_loopback_targets_are_taken() {
        let (address, path) = websocket_target("ws://127.0.0.1:7400/v1/ws").unwrap();
        assert_eq!((address.port(), path.as_str()), (7400, "/v1/ws"));
        assert!(websocket_target("ws://localhost:1").is_ok());
        assert!(websocket_target("ws://192.0.2.1:7400/v1/ws").is_err());
        assert!(websocket_target("http://127.0.0.1:7400/").is_err());
    }
}
