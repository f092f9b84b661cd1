//! Every panel of `deploy/grafana` has data in a real Prometheus that scrapes a run.

use std::{
    fs,
    io::{Write, stderr},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use client::RequestOptions;
use serde_json::Value;
use testkit::{Cluster, eventually};
use tokio::{
    process::{Child, Command},
    time::{Instant, timeout_at},
};
use wire::control::BroadcastRequest;
use worker::Worker;

use super::{cluster, connect, grpc, next, publish, sending, subscribe};

/// Which prometheus to start; else the one on the path. `promtool` is looked for on the path.
const PROMETHEUS: &str = "TIDEGATE_PROMETHEUS";

/// How long a panel may take to get data: some scrapes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; killed when dropped.
struct Prometheus {
    _child: Child,
    address: SocketAddr,
}

/// A query of a panel.
struct Query {
    panel: String,
    expr: String,
}

// === impl Prometheus ===

impl Prometheus {
    /// `None` where there is no such program.
    async fn start(cluster: &Cluster, processes: &[&str]) -> Option<Self> {
        let folder = cluster.folder().join("prometheus");
        fs::create_dir_all(&folder).expect("a folder for tests");
        let jobs = processes.iter().map(|name| {
            let address = cluster.process(name).address("admin_url");
            format!(
                "  - {{job_name: tidegate-{name}, static_configs: [{{targets: ['{address}']}}]}}\n"
            )
        });
        let config = folder.join("prometheus.yml");
        let head = "global: {scrape_interval: 1s}\nscrape_configs:\n".to_owned();
        fs::write(&config, head + &jobs.collect::<String>()).expect("a file for tests");
        let program = std::env::var(PROMETHEUS).unwrap_or_else(|_| "prometheus".to_owned());
        let log = folder.join("log");
        let child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).expect("a file for tests"))
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        let mut address = None;
        eventually("prometheus says where it listens", async || {
            let said = fs::read_to_string(&log).expect("readable");
            let lines = said.lines();
            let mut line =
                lines.filter_map(|line| line.split_once("msg=\"Listening on\" address="));
            address = line
                .next_back()
                .and_then(|(_, address)| address.parse().ok());
            address.is_some()
        })
        .await;
        let address = address.expect("said");
        Some(Self {
            _child: child,
            address,
        })
    }

    /// Whether the query has any sample now.
    async fn has_data(&self, expr: &str) -> bool {
        let url = format!("http://{}", self.address);
        let mut promtool = Command::new("promtool");
        let asked = promtool.args(["query", "instant", "-o", "json", &url, expr]);
        let output = asked
            .output()
            .await
            .expect("promtool comes with prometheus");
        serde_json::from_slice(&output.stdout).is_ok_and(|answer: Value| {
            let samples = answer.as_array().map_or(&[][..], Vec::as_slice);
            samples.iter().any(|sample| sample["value"][1] != "NaN")
        })
    }
}

fn queries() -> Vec<Query> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/grafana");
    let files = fs::read_dir(folder).expect("dashboards");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("readable").path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).expect("readable");
        let dashboard: Value = serde_json::from_str(&text).expect("JSON");
        for panel in dashboard["panels"].as_array().expect("panels") {
            let title = panel["title"].as_str().expect("a title");
            for target in panel["targets"].as_array().expect("queries") {
                found.push(Query {
                    panel: format!("{}: {title}", path.display()),
                    expr: target["expr"].as_str().expect("a query").to_owned(),
                });
            }
        }
    }
    found
}

/// One of each of what dashboards show.
async fn traffic(cluster: &Cluster) {
    let client = connect(cluster, "gw1", "ann").await;
    let mut listening = subscribe(&client, "live.news").await;
    let control = grpc(cluster, "control1").await;
    publish(&control, "live.news", "one")
        .await
        .expect("published");
    next(&mut listening).await;
    let options = RequestOptions {
        idempotency_key: "one".to_owned(),
        ..RequestOptions::default()
    };
    eventually("the worker answers", async || {
        client.request("shop.buy", "one").await.is_ok()
    })
    .await;
    let bought = client.request_with("shop.buy", "one", options).await;
    bought.expect("answered");
    let broadcast = BroadcastRequest {
        payload: "to all".into(),
        level: wire::control::DeliveryLevel::Written.into(),
        ..BroadcastRequest::default()
    };
    let told = sending(&control).broadcast(broadcast).await;
    told.expect("told");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_has_data_in_a_run_that_feeds_it() {
    let cluster = cluster(1, &["gw1", "gw2"], &["control1"]).await;
    let Some(prometheus) = Prometheus::start(&cluster, &["gw1", "gw2", "control1"]).await else {
        // Past the capture of the test's output: whoever runs it must see this.
        let told = writeln!(
            stderr(),
            "SKIPPED, no prometheus on the path or in {PROMETHEUS}"
        );
        told.expect("standard error");
        return;
    };
    let bus = cluster.nats.bus().await;
    let worker = Worker::new("shop").on("buy", |_| async { Ok("bought".into()) });
    let serving = worker.start(&bus).expect("starts");
    let watching = async {
        let end = Instant::now() + PATIENCE;
        let mut open = queries();
        assert!(open.len() > 40, "{} queries", open.len());
        while !open.is_empty() && Instant::now() < end {
            traffic(&cluster).await;
            let mut left = Vec::new();
            for query in open {
                let asked = timeout_at(end, prometheus.has_data(&query.expr)).await;
                if !asked.unwrap_or(false) {
                    left.push(query);
                }
            }
            open = left;
        }
        let empty: Vec<String> = open
            .iter()
            .map(|query| format!("{}\n    {}", query.panel, query.expr))
            .collect();
        assert!(empty.is_empty(), "no data for\n{}", empty.join("\n"));
    };
    tokio::select! {
        () = watching => {}
        ended = serving.until(std::future::pending::<()>()) => panic!("the worker ended: {ended:?}"),
    }
}
