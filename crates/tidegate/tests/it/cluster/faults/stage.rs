//! A cluster with clients, publishers and a worker, and what can happen to it.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use client::Client;
use lifecycle::Scope;
use testkit::{Cluster, Dial, Layout, RawClient, hello, within};
use tidegate::cluster::balancer::{self, Targets};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{interval, sleep, timeout},
};
use tonic::transport::Channel;
use worker::Worker;

use super::super::{
    drains::enter,
    grpc,
    prometheus::{self, Prometheus},
    publish, subscribe, within_a_minute,
};

const CONFIG: &str = r#"
[gateway]
outbox_bytes = "256KiB"
drain = { settle = "1s", rate = 5, window = "30s" }
admission = { rate = 20, burst = 40 }

[[namespace]]
name = "live"
publish = "anyone"
subscribe = "anyone"

[[namespace]]
name = "market"
delivery = "latest"
subscribe = "anyone"

[[namespace]]
name = "log"
overflow = "catch_up"
history = { messages = 1000, age = "10m" }
subscribe = "anyone"

[[route]]
name = "shop.buy"
deadline = "5s"
"#;

const CLIENTS: usize = 40;
const BUYERS: usize = 8;
const STORM: usize = 1_000;

/// Between two publications of each publisher.
const PERIOD: Duration = Duration::from_millis(50);

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    NatsServerKilled,
    NatsPaused,
    GatewayKilled,
    GatewayDrained,
    ControlKilled,
    WorkerGone,
    WorkerSlow,
    DeafClient,
    StoodStill,
    BadTokens,
    Storm,
}

/// The cluster, and whoever uses it.
pub(super) struct Stage {
    cluster: Cluster,
    scope: Scope,
    /// Of the balancer.
    gateways: Targets,
    scraped: prometheus::Targets,
    /// To the control planes; another one after a restart.
    controls: [watch::Sender<Channel>; 2],
    load: JoinSet<()>,
    worker: Option<JoinSet<()>>,
    /// How long the worker takes, in milliseconds.
    working: Arc<AtomicU64>,
    /// Which nats-server was killed.
    killed: usize,
    /// What a fault does while it lasts.
    doing: JoinSet<()>,
}

// === impl Stage ===

impl Stage {
    pub(super) async fn set() -> Self {
        let cluster = Cluster::start(Layout {
            binary: env!("CARGO_BIN_EXE_tidegate"),
            nats: 3,
            gateways: &["gw1", "gw2"],
            controls: &["control1", "control2"],
            config: CONFIG,
        })
        .await;
        let (scope, gateways) = (Scope::root(), Targets::default());
        let controls = [
            watch::Sender::new(grpc(&cluster, "control1").await),
            watch::Sender::new(grpc(&cluster, "control2").await),
        ];
        for gateway in ["gw1", "gw2"] {
            enter(&cluster, &gateways, gateway);
        }
        let mut stage = Self {
            cluster,
            scope,
            gateways,
            scraped: BTreeMap::new(),
            controls,
            load: JoinSet::new(),
            worker: None,
            working: Arc::new(AtomicU64::new(2)),
            killed: 0,
            doing: JoinSet::new(),
        };
        for name in ["gw1", "gw2", "control1", "control2"] {
            stage.find(name);
        }
        stage.employ().await;
        stage.load().await;
        stage
    }

    pub(super) fn folder(&self) -> &Path {
        self.cluster.folder()
    }

    /// Lets Prometheus know where everything is.
    pub(super) fn show(&self, prometheus: &Prometheus) {
        prometheus.scrape(&self.scraped);
    }

    fn find(&mut self, name: &str) {
        let address = self.cluster.process(name).address("admin_url");
        self.scraped.insert(name.to_owned(), address);
    }

    /// Begins with clients who listen, clients who ask, and publishers.
    async fn load(&mut self) {
        let balancer = balancer::serve(0, self.gateways.clone(), "clients", &self.scope);
        let url = format!("ws://{}/v1/ws", balancer.await.expect("a free port"));
        for number in 0..CLIENTS {
            let token = self.cluster.tokens.token(&format!("user{number}"));
            let client = patiently(&url, token).await;
            let channel = ["live.news", "market.prices"][number % 2];
            let mut listening = subscribe(&client, channel).await;
            self.load.spawn(async move {
                while listening.next_publication().await.is_ok() {}
                drop(client);
            });
        }
        for number in 0..BUYERS {
            let token = self.cluster.tokens.token(&format!("buyer{number}"));
            let client = patiently(&url, token).await;
            self.load.spawn(async move {
                loop {
                    // Whatever becomes of it.
                    let _ = client.request("shop.buy", "one").await;
                    sleep(PERIOD * 4).await;
                }
            });
        }
        for (control, channel) in self.controls.iter().zip(["live.news", "market.prices"]) {
            let publisher = publish_to(control.subscribe(), channel, 200);
            self.load.spawn(publisher);
        }
    }

    /// Starts the worker.
    async fn employ(&mut self) {
        let bus = self.cluster.nats.bus().await;
        let working = self.working.clone();
        let worker = Worker::new("shop").on("buy", move |_| {
            let long = Duration::from_millis(working.load(Ordering::Relaxed));
            async move {
                sleep(long).await;
                Ok("bought".into())
            }
        });
        let serving = worker.start(&bus).expect("starts");
        let mut task = JoinSet::new();
        task.spawn(serving.until(std::future::pending()));
        self.worker = Some(task);
    }

    pub(super) async fn begin(&mut self, fault: Fault, prometheus: &Prometheus) {
        match fault {
            Fault::NatsServerKilled => self.kill_server().await,
            Fault::NatsPaused => (0..3).for_each(|server| self.cluster.nats.pause(server)),
            Fault::GatewayKilled => self.kill("gw1").await,
            Fault::GatewayDrained => self.replace("gw2", prometheus).await,
            Fault::ControlKilled => self.kill("control2").await,
            Fault::WorkerGone => self.worker = None,
            Fault::WorkerSlow => self.working.store(3_000, Ordering::Relaxed),
            Fault::DeafClient => self.deaf().await,
            Fault::StoodStill => {
                let gateway = self.cluster.process("gw1");
                gateway.pause();
                sleep(Duration::from_secs(3)).await;
                gateway.resume();
            }
            Fault::BadTokens => self.bad_tokens(),
            Fault::Storm => self.storm(),
        }
    }

    pub(super) async fn end(&mut self, fault: Fault) {
        match fault {
            Fault::NatsServerKilled => self.cluster.nats.restart(self.killed).await,
            Fault::NatsPaused => (0..3).for_each(|server| self.cluster.nats.resume(server)),
            Fault::GatewayKilled => self.restart_gateway("gw1").await,
            Fault::ControlKilled => {
                self.cluster.start_control("control2").await;
                self.find("control2");
                let control = grpc(&self.cluster, "control2").await;
                self.controls[1].send_replace(control);
            }
            Fault::WorkerGone => self.employ().await,
            Fault::WorkerSlow => self.working.store(2, Ordering::Relaxed),
            Fault::GatewayDrained | Fault::StoodStill => {}
            Fault::DeafClient | Fault::BadTokens | Fault::Storm => self.doing.shutdown().await,
        }
    }

    /// The one that most are connected to.
    async fn kill_server(&mut self) {
        let mut most = 0;
        for index in 0..3 {
            let clients = self.cluster.nats.server(index).clients().await;
            if clients > most {
                (most, self.killed) = (clients, index);
            }
        }
        self.cluster.nats.kill(self.killed).await;
    }

    async fn kill(&mut self, name: &str) {
        self.cluster.take(name).kill().await;
    }

    async fn restart_gateway(&mut self, name: &str) {
        self.cluster.start_gateway(name).await;
        enter(&self.cluster, &self.gateways, name);
        self.find(name);
    }

    async fn replace(&mut self, name: &str, prometheus: &Prometheus) {
        let gateway = self.cluster.take(name);
        gateway.terminate();
        within_a_minute("the drain ends", gateway.ended()).await;
        // As discovery does: what has ended is not looked for.
        self.scraped.remove(name);
        self.show(prometheus);
        self.restart_gateway(name).await;
    }

    /// Much is published to one who does not read.
    async fn deaf(&mut self) {
        let address = self.cluster.process("gw1").address("client_url");
        let token = self.cluster.tokens.token("deaf");
        let mut deaf = RawClient::greeted(address, &token).await;
        for (id, channel) in (1..).zip(["live.flood", "log.flood", "market.prices"]) {
            deaf.subscribe(id, channel).await;
        }
        let [first, second] = &self.controls;
        let floods = [(first, "live.flood"), (second, "log.flood")];
        let floods = floods.map(|(to, channel)| publish_to(to.subscribe(), channel, 10_000));
        self.doing.spawn(async move {
            let [live, log] = floods;
            tokio::join!(live, log);
            drop(deaf);
        });
    }

    /// Ten a second.
    fn bad_tokens(&mut self) {
        let address = self.cluster.process("gw2").address("client_url");
        self.doing.spawn(async move {
            let mut clock = interval(PERIOD * 2);
            loop {
                clock.tick().await;
                if let Ok(mut client) = Dial::to(address).try_connect().await {
                    client.send(hello("none of yours")).await;
                    client.expect_close().await;
                }
            }
        });
    }

    fn storm(&mut self) {
        let address = self.cluster.process("gw1").address("client_url");
        for _ in 0..STORM {
            self.doing.spawn(async move {
                // Let in or put off, it does not come again.
                let _ = Dial::to(address).try_connect().await;
            });
        }
    }
}

/// A client; admission may put it off.
async fn patiently(url: &str, token: String) -> Client {
    let connecting = async {
        loop {
            let builder = Client::builder(url).token(token.clone());
            if let Ok(client) = builder.connect().await {
                return client;
            }
            sleep(PERIOD).await;
        }
    };
    within("a client", connecting).await
}

/// Publishes again and again.
async fn publish_to(control: watch::Receiver<Channel>, channel: &'static str, bytes: usize) {
    let mut clock = interval(PERIOD);
    loop {
        clock.tick().await;
        let control = control.borrow().clone();
        let publishing = publish(&control, channel, vec![b'x'; bytes]);
        // What is lost while NATS or the control plane is away is lost.
        let _ = timeout(Duration::from_secs(2), publishing).await;
    }
}
