//! `tidegate cluster`: a whole cluster on this machine, for development. Starts
//! nats-servers, gateways and control planes as child processes, with a small
//! balancer in front, and ends them in order.

mod announce;
pub mod balancer;
mod child;
mod nats;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use bus::{NatsBus, NatsOptions};
use lifecycle::{DrainOutcome, Scope, Signals};
use serde_json::Value;
use tokio::process::Command;
use worker::{Request, Worker};

use self::{
    announce::{Announcer, Plan},
    balancer::Targets,
    child::{News, Recipe},
};
use crate::{
    config::{self, GatewayConfig},
    dev,
};

/// How long control planes and servers may take to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// What gateways may take beyond their drain.
const DRAIN_MARGIN: Duration = Duration::from_secs(10);

/// Behind the patience of those who end the children: to kill and to report.
const KILL_MARGIN: Duration = Duration::from_secs(5);

/// What `tidegate cluster` can be told.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Gateways.
    pub gateways: usize,
    /// Control planes.
    pub controls: usize,
    /// nats-servers: 1, or 3 with three copies of everything.
    pub nats: usize,
    /// Servers that run already; none is started then.
    pub nats_url: Option<String>,
    /// The nats-server program; absent: found by environment or PATH.
    pub nats_server: Option<PathBuf>,
    /// Where clients connect; 0 takes a free port.
    pub client_port: u16,
    /// Where backends connect by gRPC; likewise.
    pub grpc_port: u16,
    /// A configuration for the gateways and control planes; absent: the
    /// namespaces and routes of `tidegate dev`.
    pub config: Option<PathBuf>,
    /// Folder for stores, configurations and logs; absent: one of its own that
    /// goes with it.
    pub folder: Option<PathBuf>,
    /// Print JSON lines instead of text.
    pub json: bool,
}

/// What all children of one kind are started with.
#[derive(Clone, Debug)]
struct Setup {
    program: PathBuf,
    config: PathBuf,
    folder: PathBuf,
    environment: Vec<(String, String)>,
    /// How long gateways may take to end.
    gateway_patience: Duration,
}

/// Runs until SIGTERM or Ctrl-C; a second signal ends at once.
///
/// # Errors
/// If a part can't be started, or one did not end in order.
pub async fn run(options: ClusterOptions) -> Result<()> {
    let mut signals = Signals::listen()?;
    telemetry::init_tracing(telemetry::LogFormat::Pretty, "warn")?;
    let folder = Folder::make(options.folder.clone())?;
    let setup = Setup::new(&options, &folder.path)?;
    let gateway_patience = setup.gateway_patience + KILL_MARGIN;
    // Ended in this order: gateways while there is a bus, then what they need.
    let (gateways, rest) = (Scope::root(), Scope::root());
    let outcome = tokio::select! {
        started = start(&options, setup, &gateways, &rest) => started,
        signal = signals.next() => Err(anyhow::anyhow!("{signal} while starting")),
    };
    if outcome.is_ok() {
        tokio::select! {
            _ = signals.next() => {}
            () = gateways.cancelled() => {}
            () = rest.cancelled() => {}
        }
    }
    let end = async {
        let (first, second) = (
            gateways.drain(gateway_patience).await,
            rest.drain(PATIENCE * 2).await,
        );
        for outcome in [first, second] {
            if let DrainOutcome::Abandoned { names } = outcome {
                anyhow::bail!("still running: {}", names.join(", "));
            }
        }
        Ok(())
    };
    let ended = tokio::select! {
        ended = end => ended,
        signal = signals.next() => Err(anyhow::anyhow!("{signal} again: ended without draining")),
    };
    outcome.and(ended)
}

async fn start(
    options: &ClusterOptions,
    mut setup: Setup,
    gateways: &Scope,
    rest: &Scope,
) -> Result<()> {
    let mut announcer = Announcer::new(options.json);
    let servers = match &options.nats_url {
        Some(_) => Vec::new(),
        None => {
            let program = nats::find(options.nats_server.as_deref())?;
            nats::start(&program, options.nats, &setup.folder, rest).await?
        }
    };
    let urls = match &options.nats_url {
        Some(url) => vec![url.clone()],
        None => servers
            .iter()
            .map(|server| format!("nats://{}", server.address))
            .collect(),
    };
    for server in &servers {
        announcer.nats(&server.name, server.address, server.pid)?;
    }
    setup.connect_to(&urls);
    let (to_gateways, to_controls) = (Targets::default(), Targets::default());
    // The bus may need a moment to elect its leaders: control planes go first,
    // they declare the same tables and streams as gateways do.
    for index in 1..=options.controls {
        let targets = to_controls.clone();
        let name = format!("control{index}");
        start_child(
            &setup,
            ("control", name),
            PATIENCE,
            rest,
            targets,
            announcer,
        )
        .await?;
    }
    for index in 1..=options.gateways {
        let targets = to_gateways.clone();
        let name = format!("gw{index}");
        start_child(
            &setup,
            ("gateway", name),
            setup.gateway_patience,
            gateways,
            targets,
            announcer,
        )
        .await?;
    }
    spawn_worker(&urls, rest).await?;
    let clients = balancer::serve(options.client_port, to_gateways, "clients", rest).await?;
    let grpc = balancer::serve(options.grpc_port, to_controls, "grpc", rest).await?;
    announcer.ready(&Plan {
        client_url: format!("ws://{clients}/v1/ws"),
        grpc_url: format!("http://{grpc}"),
        nats_urls: urls,
        folder: setup.folder,
        gateways: options.gateways,
        controls: options.controls,
        nats: servers.len(),
    })
}

/// The worker of the demo's route `echo`, in this process.
async fn spawn_worker(urls: &[String], scope: &Scope) -> Result<()> {
    let options = NatsOptions {
        servers: urls.to_vec(),
        name: "tidegate cluster: echo worker".to_owned(),
        ..NatsOptions::local("")
    };
    let nats = NatsBus::connect(options).await.context("the echo worker")?;
    let runs = nats.clone();
    scope.spawn_cancellable("nats", async move { runs.run().await });
    let echo =
        Worker::new("demo").on_sync("echo", |request: &Request| Ok(request.payload().clone()));
    let stop = scope.clone();
    let stopped = async move { stop.cancelled().await };
    scope.spawn("echo-worker", echo.run(nats, stopped));
    Ok(())
}

async fn start_child(
    setup: &Setup,
    (role, name): (&'static str, String),
    patience: Duration,
    scope: &Scope,
    targets: Targets,
    announcer: Announcer,
) -> Result<()> {
    let recipe = setup.recipe(role, &name);
    let tell = move |name: &str, news: News| match news {
        News::Started(announced) => {
            match addresses(&announced) {
                Some((address, admin)) => targets.insert(name, address, admin),
                None => tracing::error!(name, %announced, "it did not say where it serves"),
            }
            announcer.child(role, name, &announced);
        }
        News::Ended(how) => {
            targets.remove(name);
            announcer.ended(role, name, &how);
        }
    };
    child::supervise(name, recipe, patience, scope, tell).await
}

/// Where a child serves, and its admin port.
fn addresses(announced: &Value) -> Option<(SocketAddr, SocketAddr)> {
    let authority = |key: &str| {
        let url = announced.get(key)?.as_str()?;
        let rest = url.split_once("://")?.1;
        rest.split('/').next()?.parse().ok()
    };
    let address = authority("client_url").or_else(|| authority("grpc_url"))?;
    Some((address, authority("admin_url")?))
}

// === impl Setup ===

impl Setup {
    fn new(options: &ClusterOptions, folder: &Path) -> Result<Self> {
        let (config, mut environment) = match &options.config {
            // Keys of this run alone, where the configuration brings none.
            Some(config) if config::load(Some(config))?.auth.key.is_empty() => {
                (config.clone(), dev::demo_secrets()?)
            }
            Some(config) => (config.clone(), Vec::new()),
            None => {
                let config = folder.join("tidegate.toml");
                fs::write(&config, dev::demo_toml()?)?;
                (config, dev::demo_secrets()?)
            }
        };
        for key in ["GATEWAY__LISTEN", "CONTROL__LISTEN", "ADMIN__LISTEN"] {
            environment.push((format!("TIDEGATE_{key}"), "127.0.0.1:0".to_owned()));
        }
        let gateway_patience = patience(&config::load(Some(&config))?.gateway);
        Ok(Self {
            program: std::env::current_exe().context("finding this program")?,
            config,
            folder: folder.to_path_buf(),
            environment,
            gateway_patience,
        })
    }

    /// Tells the children where the bus is.
    fn connect_to(&mut self, nats: &[String]) {
        let replicas = if nats.len() >= 3 { 3 } else { 1 };
        let quoted: Vec<_> = nats.iter().map(|url| format!("{url:?}")).collect();
        for (key, value) in [
            ("SERVERS", format!("[{}]", quoted.join(","))),
            ("REPLICAS", replicas.to_string()),
        ] {
            self.environment
                .push((format!("TIDEGATE_NATS__{key}"), value));
        }
    }

    fn recipe(&self, role: &'static str, name: &str) -> Recipe {
        let (setup, name) = (self.clone(), name.to_owned());
        Box::new(move || {
            let mut command = Command::new(&setup.program);
            command
                .arg(role)
                .args(["--json", "--config"])
                .arg(&setup.config)
                .envs(setup.environment.iter().cloned())
                .env("TIDEGATE_GATEWAY__ID", &name)
                // Ctrl-C is for us: children end in our order.
                .process_group(0);
            let log = fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(setup.folder.join(format!("{name}.log")));
            if let Ok(log) = log {
                command.stderr(log);
            }
            command
        })
    }
}

/// How long a gateway with this configuration may take from SIGTERM to its end.
fn patience(gateway: &GatewayConfig) -> Duration {
    let drain = gateway.drain.settle.saturating_add(gateway.drain.window);
    drain
        .saturating_add(gateway.close_timeout)
        .saturating_add(DRAIN_MARGIN)
}

/// The cluster's files.
struct Folder {
    path: PathBuf,
    /// It was made for this run.
    temporary: bool,
}

// === impl Folder ===

impl Folder {
    fn make(told: Option<PathBuf>) -> Result<Self> {
        let temporary = told.is_none();
        let path = told.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("tidegate-cluster-{}", std::process::id()))
        });
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self { path, temporary })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            // What can't be removed is in the system's folder for such things.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_with_a_long_drain_are_waited_for() {
        let folder = Folder::make(None).expect("made");
        let config = folder.path.join("long.toml");
        let long = "[gateway]\nclose_timeout = \"20s\"\n[gateway.drain]\nsettle = \"1m\"\nwindow = \"10m\"\n";
        fs::write(&config, long).expect("written");
        let config = config::load(Some(&config)).expect("valid");
        assert_eq!(patience(&config.gateway).as_secs(), 60 + 600 + 20 + 10);
    }
}
