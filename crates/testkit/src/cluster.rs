//! A cluster of real processes: nats-servers, gateways, control planes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::process::Command;

use crate::{NatsCluster, Process, Tokens, wait::eventually};

/// Numbers the clusters of this process, for their folders.
static CLUSTERS: AtomicU32 = AtomicU32::new(1);

/// What a cluster is made of.
#[derive(Debug)]
pub struct Layout<'a> {
    /// The `tidegate` binary.
    pub binary: &'a str,
    /// nats-servers; streams and tables have as many copies, three at most.
    pub nats: usize,
    /// Names of the gateways.
    pub gateways: &'a [&'a str],
    /// Names of the control planes.
    pub controls: &'a [&'a str],
    /// The configuration, without addresses and keys. Keys of `[nats]` come first,
    /// as `nats.…` each.
    pub config: &'a str,
}

/// A running cluster; all of it is killed when dropped.
#[derive(Debug)]
pub struct Cluster {
    /// The servers, which other clusters may share.
    pub nats: Arc<NatsCluster>,
    /// Issues tokens that its gateways accept.
    pub tokens: Tokens,
    binary: String,
    folder: PathBuf,
    processes: BTreeMap<String, Process>,
}

// === impl Cluster ===

impl Cluster {
    /// Starts all of it and waits until every process is ready.
    pub async fn start(layout: Layout<'_>) -> Self {
        let nats = NatsCluster::start(layout.nats).await;
        Self::start_on(Arc::new(nats), layout).await
    }

    /// The same, on servers that are there.
    pub async fn start_on(nats: Arc<NatsCluster>, layout: Layout<'_>) -> Self {
        let number = CLUSTERS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!(
            "tidegate-test-cluster-{}-{number}",
            std::process::id()
        ));
        fs::create_dir_all(&folder).expect("a folder for tests");
        let tokens = Tokens::new();
        let config = format!(
            "nats.replicas = {}\n{}\n{}",
            layout.nats.min(3),
            layout.config,
            tokens.config()
        );
        fs::write(folder.join("tidegate.toml"), config).expect("a file for tests");
        let mut cluster = Self {
            nats,
            tokens,
            binary: layout.binary.to_owned(),
            folder,
            processes: BTreeMap::new(),
        };
        for name in layout.controls {
            cluster.start_control(name).await;
        }
        for name in layout.gateways {
            cluster.start_gateway(name).await;
        }
        cluster
    }

    /// Starts a gateway, anew after it was killed or has ended.
    pub async fn start_gateway(&mut self, name: &str) {
        self.start_process("gateway", name).await;
    }

    /// Starts a control plane, likewise.
    pub async fn start_control(&mut self, name: &str) {
        self.start_process("control", name).await;
    }

    /// A running process.
    pub fn process(&self, name: &str) -> &Process {
        &self.processes[name]
    }

    /// Takes a process out, to kill it or to wait for its end.
    pub fn take(&mut self, name: &str) -> Process {
        self.processes.remove(name).expect("a process of this name")
    }

    /// Where a gateway takes clients.
    pub fn client_url(&self, gateway: &str) -> String {
        self.process(gateway).announced("client_url").to_owned()
    }

    /// Where a control plane takes backends.
    pub fn grpc_url(&self, control: &str) -> String {
        self.process(control).announced("grpc_url").to_owned()
    }

    /// Where stores, logs and the configuration are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    async fn start_process(&mut self, role: &str, name: &str) {
        let servers: Vec<_> = self
            .nats
            .urls()
            .iter()
            .map(|url| format!("{url:?}"))
            .collect();
        let mut command = Command::new(&self.binary);
        command
            .args([role, "--json", "--config"])
            .arg(self.folder.join("tidegate.toml"))
            .env("TIDEGATE_NATS__SERVERS", format!("[{}]", servers.join(",")))
            .env("TIDEGATE_GATEWAY__ID", name)
            .env("TIDEGATE_GATEWAY__LISTEN", "127.0.0.1:0")
            .env("TIDEGATE_CONTROL__LISTEN", "127.0.0.1:0")
            .env("TIDEGATE_ADMIN__LISTEN", "127.0.0.1:0");
        let log = self.folder.join(format!("{name}.log"));
        let process = Process::start(name, command, &log).await;
        eventually(&format!("{name} is ready"), async || {
            let answer = process.admin("/readyz").await;
            answer.is_some_and(|answer| answer.status == 200)
        })
        .await;
        self.processes.insert(name.to_owned(), process);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.processes.clear();
        if std::thread::panicking() {
            eprintln!("logs of the cluster: {}", self.folder.display());
        } else {
            // Nobody reads it any more.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}
