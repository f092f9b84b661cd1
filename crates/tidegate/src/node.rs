//! One process: a gateway and a control plane on one bus, and their admin
//! server. Wiring only; what the parts do is theirs.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use auth::Verifier;
use bus::{Bus, BusExt, MemoryBus};
use control::{Control, ControlDeps};
use edge::Edge;
use lifecycle::{DrainOutcome, Scope};
use telemetry::{Admin, Health, Metrics};

use crate::config::Config;

/// How much longer than the edge's own close timeout a stop may take.
const STOP_MARGIN: Duration = Duration::from_secs(5);

/// A running node.
#[derive(Debug)]
pub struct Node {
    scope: Scope,
    bus: Arc<dyn Bus>,
    stop_deadline: Duration,
    client_url: String,
    grpc: SocketAddr,
    admin: SocketAddr,
}

// === impl Node ===

impl Node {
    /// Binds every port, then serves on an in-memory bus of its own.
    ///
    /// # Errors
    /// If a port can't be bound or a key of the configuration can't be used;
    /// nothing is left running then.
    pub async fn start(config: &Config) -> Result<Self> {
        let metrics = Metrics::install().context("metrics recorder")?;
        let health = Health::default();
        let started = health.register("started");
        let scope = Scope::root();

        let memory = Arc::new(MemoryBus::new());
        let bus: Arc<dyn Bus> = memory.clone();
        let keeper = memory.clone();
        scope.spawn_cancellable("memory-bus", async move { keeper.run().await });
        for log in config.logs() {
            memory.keep_log(log).await.context("declaring the logs")?;
        }

        let verifier = Arc::new(Verifier::new(config.auth.keys()?, config.auth.verifier()));
        let signer = config.auth.signer()?.map(Arc::new);
        let admin = Admin::bind(config.admin.listen, metrics.clone(), health.clone()).await?;
        let directory = Arc::new(vec![config.gateway_id()]);
        let deps = ControlDeps {
            bus: bus.clone(),
            signer,
            directory,
        };
        let control = Control::bind(config.control(), deps).await?;
        let edge = Edge::bind(config.edge(), bus.clone(), verifier)?;

        let node = Self {
            bus,
            stop_deadline: config.gateway.close_timeout + STOP_MARGIN,
            client_url: edge.url(),
            grpc: control.local_addr(),
            admin: admin.local_addr(),
            scope: scope.clone(),
        };
        scope.spawn_cancellable("metrics-upkeep", metrics.upkeep());
        scope.spawn("admin", admin.run(scope.clone()));
        scope.spawn("control", control.run(scope.clone()));
        edge.start(&scope)?;
        started.set_ready();
        Ok(node)
    }

    /// Where clients connect.
    pub fn client_url(&self) -> &str {
        &self.client_url
    }

    /// Where backends connect by gRPC.
    pub fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// Where metrics and health are served.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// The bus, for workers in the same process.
    pub fn bus(&self) -> &Arc<dyn Bus> {
        &self.bus
    }

    /// Owns everything that runs; cancelled when a part fails.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Closes every connection in order and ends all tasks, within a deadline.
    ///
    /// # Errors
    /// If something did not end in time, or had panicked.
    pub async fn stop(self) -> Result<()> {
        let outcome = self.scope.drain(self.stop_deadline).await;
        if let Some(name) = self.scope.panicked() {
            anyhow::bail!("{name} panicked");
        }
        match outcome {
            DrainOutcome::Finished => Ok(()),
            DrainOutcome::Abandoned { names } => {
                anyhow::bail!("still running: {}", names.join(", "))
            }
        }
    }
}
