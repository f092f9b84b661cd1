//! One process: a bus, what its role puts on it, and an admin server. Wiring
//! only; what the parts do is theirs.

mod carrier;
mod signing;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use auth::SigningKeys;
use bus::Bus;
use control::{Control, ControlDeps, Directory};
use edge::{Drain, Edge};
use keyring::Keyring;
use lifecycle::{DrainOutcome, Scope};
use registry::{Reader, Registrar};
use telemetry::{Admin, Condition, Health, Metrics, Traces};
use wills::Keeper;
use wire::GatewayId;

use crate::config::Config;

/// How much longer than the edge's own close timeout a stop may take.
const STOP_MARGIN: Duration = Duration::from_secs(5);

/// Random letters and digits that tell a gateway's process from the one before.
const PROCESS_SUFFIX: usize = 5;

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A gateway and a control plane on an in-memory bus.
    Everything,
    /// A gateway, on NATS.
    Gateway,
    /// A control plane, on NATS.
    Control,
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    scope: Scope,
    /// Runs the bus, which must outlive all else: a gateway's last words go to
    /// the registry.
    carrier: Scope,
    bus: Arc<dyn Bus>,
    /// Says what tokens are worth.
    keyring: Arc<Keyring>,
    stop_deadline: Duration,
    gateway: Option<GatewayId>,
    drain: Option<Drain>,
    client_url: Option<String>,
    grpc: Option<(&'static str, SocketAddr)>,
    admin: SocketAddr,
}

// === impl Role ===

impl Role {
    /// The command that runs it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Everything => "dev",
            Self::Gateway => "gateway",
            Self::Control => "control",
        }
    }

    fn has_gateway(self) -> bool {
        self != Self::Control
    }

    fn has_control(self) -> bool {
        self != Self::Gateway
    }
}

// === impl Node ===

impl Node {
    /// Binds the admin port, reaches the bus, binds the role's ports, and
    /// serves. The probes answer from the first step on.
    ///
    /// # Errors
    /// If a port can't be bound, the bus can't be used, or a key of the
    /// configuration can't; nothing is left running then.
    pub async fn start(config: &Config, role: Role) -> Result<Self> {
        let (scope, carrier) = (Scope::root(), Scope::root());
        let started = Self::start_in(config, role, &scope, &carrier).await;
        if started.is_err() {
            // Whatever did not end in time ends with the process.
            let _ = scope.drain(STOP_MARGIN).await;
            let _ = carrier.drain(STOP_MARGIN).await;
        }
        started
    }

    async fn start_in(config: &Config, role: Role, scope: &Scope, carrier: &Scope) -> Result<Self> {
        let metrics = Metrics::install().context("metrics recorder")?;
        let health = Health::default();
        let started = health.register("started");
        let reachable = health.register("bus");
        let serving = role.has_gateway().then(|| health.register("serving"));
        let mut admin = Admin::bind(config.admin.listen, metrics.clone(), health.clone()).await?;
        let keys = match role.has_control() {
            true => config.signing()?.map(Arc::new),
            false => None,
        };
        if let Some(keys) = &keys {
            admin = admin.with_page(signing::page(keys));
        }
        let admin_address = admin.local_addr();
        scope.spawn_cancellable("metrics-upkeep", metrics.upkeep());
        scope.spawn("admin", admin.run(scope.clone()));
        // The last spans are of what ends with the scope.
        if let Some(traces) = config.traces(role.name(), &config.gateway.id) {
            let traces = Traces::install(&traces).context("traces")?;
            carrier.spawn("traces", traces.run(carrier.clone()));
        }

        let bus = carrier::connect(config, role, carrier).await?;
        let (carried, all) = (carrier.clone(), scope.clone());
        scope.spawn_cancellable("carrier", async move {
            carried.cancelled().await;
            all.cancel();
        });
        carrier::follow(&bus, reachable, scope);
        let keyring = Arc::new(config.auth.keyring()?);
        if let Some(keys) = keys
            .clone()
            .filter(|_| !config.control.signing_key.is_empty())
        {
            signing::follow(config, keys, keyring.verifier(), scope)?;
        }
        scope.spawn_cancellable("keyring", keyring.clone().run());
        let mut node = Self {
            bus,
            keyring,
            stop_deadline: config.gateway.close_timeout + STOP_MARGIN,
            gateway: None,
            drain: None,
            client_url: None,
            grpc: None,
            admin: admin_address,
            scope: scope.clone(),
            carrier: carrier.clone(),
        };
        if role.has_gateway() {
            node.add_gateway(config, role, serving)?;
        }
        if role.has_control() {
            node.add_control(config, role, keys).await?;
        }
        started.set_ready();
        Ok(node)
    }

    fn add_gateway(
        &mut self,
        config: &Config,
        role: Role,
        serving: Option<Condition>,
    ) -> Result<()> {
        let mut edge = config.edge()?;
        if role == Role::Gateway {
            edge.gateway = process_name(&edge.gateway);
        }
        let gateway = edge.gateway.clone();
        let keyring = self.keyring.clone();
        let started_at = SystemTime::now().duration_since(UNIX_EPOCH);
        let started_at_ms = i64::try_from(started_at.unwrap_or_default().as_millis());
        let registrar = Registrar::new(
            self.bus.clone(),
            gateway.clone(),
            env!("CARGO_PKG_VERSION"),
            started_at_ms.unwrap_or(i64::MAX),
        );
        let registrar = Some(Arc::new(registrar));
        let edge = Edge::bind(edge, self.bus.clone(), keyring, registrar)?;
        self.client_url = Some(edge.url());
        self.gateway = Some(gateway);
        let drain = edge.start(&self.scope)?;
        if let Some(serving) = serving {
            serving.set_ready();
            let begun = drain.clone();
            self.scope.spawn_cancellable("readiness", async move {
                begun.begun().await;
                serving.set_unready("draining");
            });
        }
        self.drain = Some(drain);
        Ok(())
    }

    async fn add_control(
        &mut self,
        config: &Config,
        role: Role,
        signing: Option<Arc<SigningKeys>>,
    ) -> Result<()> {
        let directory: Arc<dyn Directory> = match &self.gateway {
            // One process: whoever is connected is connected here.
            Some(gateway) if role == Role::Everything => Arc::new(vec![gateway.clone()]),
            _ => Arc::new(Reader::new(self.bus.clone())),
        };
        let deps = ControlDeps {
            bus: self.bus.clone(),
            signing,
            keyring: self.keyring.clone(),
            directory,
        };
        let control = Control::bind(config.control(), deps).await?;
        let scheme = config.control.tls.as_ref().map_or("http", |_| "https");
        self.grpc = Some((scheme, control.local_addr()));
        self.scope.spawn("control", control.run(self.scope.clone()));
        let keeper = Keeper::new(self.bus.clone(), config.keeper());
        let stop = self.scope.clone();
        let keeping = keeper.run(async move { stop.cancelled().await });
        self.scope.spawn("will-keeper", keeping);
        Ok(())
    }

    /// Where clients connect; absent: this node has no gateway.
    pub fn client_url(&self) -> Option<&str> {
        self.client_url.as_deref()
    }

    /// Where backends connect by gRPC; absent: this node has no control plane.
    pub fn grpc_url(&self) -> Option<String> {
        let (scheme, address) = self.grpc?;
        Some(format!("{scheme}://{address}"))
    }

    /// Where metrics and health are served.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// The gateway's name; absent: this node has none.
    pub fn gateway(&self) -> Option<&GatewayId> {
        self.gateway.as_ref()
    }

    /// The bus, for workers in the same process.
    pub fn bus(&self) -> &Arc<dyn Bus> {
        &self.bus
    }

    /// Owns everything that runs; cancelled when a part fails.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Resolves once the gateway's drain has begun, whoever wanted it; never
    /// without a gateway.
    pub async fn drain_begun(&self) {
        match &self.drain {
            Some(drain) => drain.begun().await,
            None => std::future::pending().await,
        }
    }

    /// Moves the gateway's clients elsewhere, as configured, and returns when
    /// none is left. Without a gateway there is nothing to do.
    pub async fn drain(&self) {
        if let Some(drain) = &self.drain {
            drain.begin();
            drain.ended().await;
        }
    }

    /// Closes every connection in order and ends all tasks, within a deadline.
    ///
    /// # Errors
    /// If something did not end in time, or had panicked.
    pub async fn stop(self) -> Result<()> {
        end(&self.scope, self.stop_deadline).await?;
        end(&self.carrier, STOP_MARGIN).await
    }
}

async fn end(scope: &Scope, deadline: Duration) -> Result<()> {
    let outcome = scope.drain(deadline).await;
    if let Some(name) = scope.panicked() {
        anyhow::bail!("{name} panicked");
    }
    match outcome {
        DrainOutcome::Finished => Ok(()),
        DrainOutcome::Abandoned { names } => {
            anyhow::bail!("still running: {}", names.join(", "))
        }
    }
}

/// The configured name and a part that no other process has: what an earlier
/// process of this name has left behind is never taken for this one's.
fn process_name(configured: &GatewayId) -> GatewayId {
    let suffix: String = (0..PROCESS_SUFFIX)
        .map(|_| fastrand::char('a'..='z'))
        .collect();
    GatewayId::new(&format!("{configured}-{suffix}")).expect("made of a valid name and letters")
}
