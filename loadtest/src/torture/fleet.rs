//! The cluster under torture: nats-servers, gateways behind proxies that can cut
//! them off, control planes; and how each fault is done and undone.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use control::client::GatewayServiceClient;
use testkit::{NatsCluster, Process, Proxy, Tokens};
use tokio::{
    process::Command,
    sync::Mutex,
    time::{Instant, sleep, timeout},
};
use wire::control::DrainGatewayRequest;

use super::{
    places::Places,
    schedule::{Fault, Kind},
};

/// How long a process may take to be ready while others are disturbed.
const READY: Duration = Duration::from_secs(90);

/// How long a drain may take.
const DRAIN: Duration = Duration::from_secs(90);

/// How long a nats-server may take to have everything again.
const HEALTHY: Duration = Duration::from_secs(60);

const LOOK: Duration = Duration::from_millis(100);

/// What a fleet is made of.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) binary: PathBuf,
    pub(super) nats: usize,
    pub(super) gateways: usize,
    pub(super) controls: usize,
    pub(super) workers: usize,
    pub(super) config: String,
    /// More of the environment of gateways.
    pub(super) gateway_env: Vec<(String, String)>,
}

/// See the module. Killed, with all of its processes, when dropped.
#[derive(Debug)]
pub(super) struct Fleet {
    plan: Plan,
    pub(super) nats: NatsCluster,
    pub(super) tokens: Tokens,
    pub(super) places: Arc<Places>,
    folder: PathBuf,
    gateways: Vec<Gateway>,
    controls: Vec<Slot>,
    workers: Vec<Slot>,
}

/// A gateway and its ways to the nats-servers.
#[derive(Debug)]
struct Gateway {
    slot: Slot,
    proxies: Vec<Proxy>,
}

/// A process that faults are done to, one at a time: whoever does one holds the
/// lock until it is undone.
type Slot = Mutex<Option<Process>>;

#[derive(Clone, Copy, Debug)]
enum Role {
    Gateway,
    Control,
    Worker,
}

// === impl Fleet ===

impl Fleet {
    /// Starts all of it in `folder` and waits until everybody is ready.
    pub(super) async fn start(plan: Plan, folder: &Path) -> Result<Self> {
        let nats = NatsCluster::start(plan.nats).await;
        let tokens = Tokens::new();
        let replicas = plan.nats.min(3);
        let config = format!(
            "{}\n[nats]\nreplicas = {replicas}\n{}",
            plan.config,
            tokens.config()
        );
        fs::write(folder.join("tidegate.toml"), config)?;
        fs::create_dir_all(folder.join("effects"))?;
        let mut gateways = Vec::new();
        for _ in 0..plan.gateways {
            let mut proxies = Vec::new();
            for index in 0..plan.nats {
                proxies.push(Proxy::to(&nats.server(index).address()).await);
            }
            gateways.push(Gateway {
                slot: Slot::default(),
                proxies,
            });
        }
        let fleet = Self {
            places: Places::new(plan.gateways, plan.controls),
            controls: slots(plan.controls),
            workers: slots(plan.workers),
            folder: folder.to_owned(),
            plan,
            nats,
            tokens,
            gateways,
        };
        for index in 0..fleet.controls.len() {
            *fleet.controls[index].lock().await = Some(fleet.start_control(index).await?);
        }
        for index in 0..fleet.gateways.len() {
            *fleet.gateways[index].slot.lock().await = Some(fleet.start_gateway(index).await?);
        }
        for index in 0..fleet.workers.len() {
            *fleet.workers[index].lock().await = Some(fleet.start_worker(index).await?);
        }
        Ok(fleet)
    }

    /// Where workers leave their effects.
    pub(super) fn effects(&self) -> PathBuf {
        self.folder.join("effects")
    }

    /// Does a fault, waits and undoes it.
    pub(super) async fn suffer(&self, fault: Fault) -> Result<()> {
        let (index, lasts) = (fault.target, fault.lasts);
        match fault.kind {
            Kind::KillGateway => self.kill_gateway(index, lasts).await,
            Kind::DrainGateway => self.drain_gateway(index).await,
            Kind::PauseGateway => pause(&self.gateways[index].slot, lasts).await,
            Kind::CutGateway => self.cut_gateway(index, lasts, fault.detail == 1).await,
            Kind::KillControl => self.kill_control(index, lasts).await,
            Kind::PauseControl => pause(&self.controls[index], lasts).await,
            Kind::KillNats | Kind::PauseNats => self.disturb_nats(fault).await,
            Kind::KillWorker => self.kill_worker(index, lasts).await,
            Kind::PauseWorker => pause(&self.workers[index], lasts).await,
            Kind::ThrottleClients => {
                let rate = self.places.rate(index);
                rate.set(fault.detail);
                sleep(lasts).await;
                rate.set(0);
                Ok(())
            }
        }
    }

    async fn kill_gateway(&self, index: usize, lasts: Duration) -> Result<()> {
        let mut slot = self.gateways[index].slot.lock().await;
        self.places.set_gateway(index, None);
        slot.take().context("a gateway that runs")?.kill().await;
        sleep(lasts).await;
        *slot = Some(self.start_gateway(index).await?);
        Ok(())
    }

    async fn kill_control(&self, index: usize, lasts: Duration) -> Result<()> {
        let mut slot = self.controls[index].lock().await;
        self.places.set_control(index, None);
        slot.take()
            .context("a control plane that runs")?
            .kill()
            .await;
        sleep(lasts).await;
        *slot = Some(self.start_control(index).await?);
        Ok(())
    }

    async fn kill_worker(&self, index: usize, lasts: Duration) -> Result<()> {
        let mut slot = self.workers[index].lock().await;
        slot.take().context("a worker that runs")?.kill().await;
        sleep(lasts).await;
        *slot = Some(self.start_worker(index).await?);
        Ok(())
    }

    /// The next one is there before the old one leaves.
    async fn drain_gateway(&self, index: usize) -> Result<()> {
        let mut slot = self.gateways[index].slot.lock().await;
        let next = self.start_gateway(index).await?;
        let old = slot.replace(next).context("a gateway that runs")?;
        if self.ask_to_drain(old.announced("gateway")).await.is_err() {
            old.terminate();
        }
        let ended = timeout(DRAIN, old.ended()).await;
        let status = ended.context("a drain that never ended")?;
        if !status.success() {
            bail!("a drained gateway ended with {status}");
        }
        Ok(())
    }

    /// Any control plane that answers, or none.
    async fn ask_to_drain(&self, gateway: &str) -> Result<()> {
        let control = self.places.control().context("no control plane")?;
        let channel = control::client::connect(&control.to_string()).await?;
        let mut request = tonic::Request::new(DrainGatewayRequest {
            gateway: gateway.to_owned(),
        });
        request.set_timeout(Duration::from_secs(5));
        let mut gateways = GatewayServiceClient::new(channel);
        gateways.drain_gateway(request).await?;
        Ok(())
    }

    async fn cut_gateway(&self, index: usize, lasts: Duration, is_severed: bool) -> Result<()> {
        let gateway = &self.gateways[index];
        let _whole = gateway.slot.lock().await;
        for proxy in &gateway.proxies {
            proxy.cut();
            if is_severed {
                proxy.sever();
            }
        }
        sleep(lasts).await;
        for proxy in &gateway.proxies {
            proxy.heal();
        }
        Ok(())
    }

    /// Only while all of them have everything: a majority must remain.
    async fn disturb_nats(&self, fault: Fault) -> Result<()> {
        self.all_of_nats_is_healthy().await?;
        if fault.kind == Kind::PauseNats {
            self.nats.pause(fault.target);
            sleep(fault.lasts).await;
            self.nats.resume(fault.target);
        } else {
            self.nats.kill(fault.target).await;
            sleep(fault.lasts).await;
            self.nats.restart(fault.target).await;
        }
        Ok(())
    }

    /// Waits for it.
    pub(super) async fn all_of_nats_is_healthy(&self) -> Result<()> {
        let until = Instant::now() + HEALTHY;
        for index in 0..self.plan.nats {
            while !self.nats.server(index).is_healthy().await {
                if Instant::now() > until {
                    bail!("nats-server {index} did not catch up within {HEALTHY:?}");
                }
                sleep(LOOK).await;
            }
        }
        Ok(())
    }

    async fn start_gateway(&self, index: usize) -> Result<Process> {
        let servers = self.gateways[index].servers();
        let process = self.start_process(Role::Gateway, index, servers).await?;
        let place = process.address("client_url");
        self.places.set_gateway(index, Some(place));
        Ok(process)
    }

    async fn start_control(&self, index: usize) -> Result<Process> {
        let servers = self.nats.urls();
        let process = self.start_process(Role::Control, index, servers).await?;
        let place = process.address("grpc_url");
        self.places.set_control(index, Some(place));
        Ok(process)
    }

    async fn start_worker(&self, index: usize) -> Result<Process> {
        let servers = self.nats.urls();
        self.start_process(Role::Worker, index, servers).await
    }

    /// Starts it until it is ready; what ends before is started again.
    async fn start_process(
        &self,
        role: Role,
        index: usize,
        servers: Vec<String>,
    ) -> Result<Process> {
        let until = Instant::now() + READY;
        let name = format!("{}{index}", role.name());
        let log = self.folder.join(format!("{name}.log"));
        loop {
            let command = match role {
                Role::Worker => self.worker_command(&servers)?,
                _ => self.command(role, &name, &servers),
            };
            let outcome = match Process::try_start(&name, command, &log).await {
                // It serves before it says so.
                Ok(process) if matches!(role, Role::Worker) => return Ok(process),
                Ok(process) if is_ready(&process, until).await => return Ok(process),
                Ok(_) => "it did not get ready".to_owned(),
                Err(problem) => problem,
            };
            if Instant::now() > until {
                bail!("{name} does not start: {outcome}; see {}", log.display());
            }
            sleep(LOOK).await;
        }
    }

    /// This very program.
    fn worker_command(&self, servers: &[String]) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["torture-worker", "--nats", &servers.join(",")])
            .arg("--folder")
            .arg(self.effects());
        Ok(command)
    }

    fn command(&self, role: Role, name: &str, servers: &[String]) -> Command {
        let mut command = Command::new(&self.plan.binary);
        command
            .args([role.name(), "--json", "--config"])
            .arg(self.folder.join("tidegate.toml"))
            .env("TIDEGATE_NATS__SERVERS", format!("{servers:?}"))
            .env("TIDEGATE_GATEWAY__ID", name)
            .env("TIDEGATE_GATEWAY__LISTEN", "127.0.0.1:0")
            .env("TIDEGATE_CONTROL__LISTEN", "127.0.0.1:0")
            .env("TIDEGATE_ADMIN__LISTEN", "127.0.0.1:0");
        if matches!(role, Role::Gateway) {
            command.envs(self.plan.gateway_env.iter().cloned());
        }
        command
    }
}

// === impl Gateway ===

impl Gateway {
    /// Where it reaches NATS.
    fn servers(&self) -> Vec<String> {
        let proxies = self.proxies.iter();
        let urls = proxies.map(|proxy| format!("nats://{}", proxy.address()));
        urls.collect()
    }
}

// === impl Role ===

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Control => "control",
            Self::Worker => "worker",
        }
    }
}

fn slots(count: usize) -> Vec<Slot> {
    (0..count).map(|_| Slot::default()).collect()
}

async fn pause(slot: &Slot, lasts: Duration) -> Result<()> {
    let slot = slot.lock().await;
    let process = slot.as_ref().context("a process that runs")?;
    process.pause();
    sleep(lasts).await;
    process.resume();
    Ok(())
}

async fn is_ready(process: &Process, until: Instant) -> bool {
    while Instant::now() < until {
        match process.admin("/readyz").await {
            Some(answer) if answer.status == 200 => return true,
            Some(_) => sleep(LOOK).await,
            None => return false,
        }
    }
    false
}
