//! A real Prometheus that scrapes a cluster, and the panels of `deploy/grafana`.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::{Value, json};
use testkit::eventually;
use tokio::process::{Child, Command};

/// Which prometheus to start; else the one on the path. `promtool` is looked for on the path.
pub(super) const PROGRAM: &str = "TIDEGATE_PROMETHEUS";

/// What Grafana makes of its variable for rates, where a scrape comes each second.
const RATE_INTERVAL: &str = "10s";

/// Processes to scrape: their names and admin ports.
pub(super) type Targets = BTreeMap<String, SocketAddr>;

/// A running server; killed when dropped.
pub(super) struct Prometheus {
    _child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

/// A panel of a dashboard.
pub(super) struct Panel {
    pub(super) dashboard: String,
    pub(super) title: String,
    pub(super) queries: Vec<Query>,
}

/// A query of a panel.
pub(super) struct Query {
    pub(super) expr: String,
    legend: String,
}

/// What a query gave for one set of labels.
pub(super) struct Series {
    pub(super) name: String,
    /// Unix time in seconds, and the value.
    pub(super) samples: Vec<(f64, f64)>,
}

// === impl Prometheus ===

impl Prometheus {
    /// Starts it in a folder that keeps its data, with files of rules that lie there;
    /// `None` where there is no such program.
    pub(super) async fn start(folder: PathBuf, rules: &[&str]) -> Option<Self> {
        fs::create_dir_all(&folder).expect("a folder for tests");
        // What an earlier run has left would be taken for this one's.
        let _ = fs::remove_dir_all(folder.join("data"));
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
             rule_files: [{}]\n\
             scrape_configs:\n  - job_name: all\n    file_sd_configs:\n      \
             - {{files: [targets.json], refresh_interval: 1s}}\n",
            rules.join(", ")
        );
        let file = folder.join("prometheus.yml");
        fs::write(&file, config).expect("a file for tests");
        let log = folder.join("log");
        let program = std::env::var(PROGRAM).unwrap_or_else(|_| "prometheus".to_owned());
        let child = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
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
        Some(Self {
            _child: child,
            folder,
            address: address.expect("said"),
        })
    }

    /// Scrapes these from now on. An instance has the name of its process.
    pub(super) fn scrape(&self, targets: &Targets) {
        let groups = targets.iter().map(|(name, address)| {
            let role = if name.starts_with("gw") {
                "gateway"
            } else {
                "control"
            };
            let labels = json!({"instance": name, "job": format!("tidegate-{role}")});
            json!({"targets": [address.to_string()], "labels": labels})
        });
        let text = Value::Array(groups.collect()).to_string();
        let file = self.folder.join("targets.new");
        fs::write(&file, text).expect("a file for tests");
        fs::rename(file, self.folder.join("targets.json")).expect("a file for tests");
    }

    /// What a query gives now.
    pub(super) async fn now(&self, query: &Query) -> Vec<Series> {
        self.ask(query, &["instant"]).await
    }

    /// What it has given from second to second, in Unix time.
    pub(super) async fn between(&self, query: &Query, start: f64, end: f64) -> Vec<Series> {
        let (start, end) = (format!("--start={start}"), format!("--end={end}"));
        self.ask(query, &["range", &start, &end, "--step=1s"]).await
    }

    async fn ask(&self, query: &Query, how: &[&str]) -> Vec<Series> {
        let mut promtool = Command::new("promtool");
        promtool.arg("query").args(how).args(["-o", "json"]);
        promtool.arg(format!("http://{}", self.address));
        let expr = query.expr.replace("$__rate_interval", RATE_INTERVAL);
        let output = promtool.arg(expr).output().await;
        let output = output.expect("promtool comes with prometheus");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let series = answer.as_array().map_or(&[][..], Vec::as_slice);
        series.iter().map(|series| query.read(series)).collect()
    }
}

// === impl Query ===

impl Query {
    /// One that no panel has.
    pub(super) fn new(expr: &str, legend: &str) -> Self {
        Self {
            expr: expr.to_owned(),
            legend: legend.to_owned(),
        }
    }

    fn read(&self, series: &Value) -> Series {
        let mut name = self.legend.clone();
        for (label, value) in series["metric"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            name = name.replace(&format!("{{{{{label}}}}}"), value);
        }
        // One value of an instant, or all of a range.
        let one = [series["value"].clone()];
        let samples = series["values"].as_array().map_or(&one[..], Vec::as_slice);
        let samples = samples.iter().filter_map(|sample| {
            let value: f64 = sample[1].as_str()?.parse().ok()?;
            Some((sample[0].as_f64()?, value)).filter(|_| value.is_finite())
        });
        Series {
            name,
            samples: samples.collect(),
        }
    }
}

/// The panels of all dashboards.
pub(super) fn panels() -> Vec<Panel> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/grafana");
    let files = fs::read_dir(folder).expect("dashboards");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "json"));
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).expect("readable");
        let dashboard: Value = serde_json::from_str(&text).expect("JSON");
        let name = path.file_stem().and_then(|name| name.to_str());
        for panel in dashboard["panels"].as_array().expect("panels") {
            let queries = panel["targets"].as_array().expect("queries").iter();
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            found.push(Panel {
                dashboard: name.expect("a name").to_owned(),
                title: text(&panel["title"]),
                queries: queries
                    .map(|query| Query {
                        expr: text(&query["expr"]),
                        legend: text(&query["legendFormat"]),
                    })
                    .collect(),
            });
        }
    }
    found
}
