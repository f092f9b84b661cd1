//! Faults one after another, under a Prometheus with our alerts: which alert names
//! each, and what the dashboards' panels show of it.
//!
//! Takes some ten minutes: `cargo test -p tidegate --test it -- --ignored --nocapture faults`.
//! `TIDEGATE_TEST_FAULTS` is a folder that keeps Prometheus's data and the report.
//! Alerts look back over seconds instead of minutes, as `quick` says.

mod stage;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use self::stage::{Fault, Stage};
use super::prometheus::{Panel, Prometheus, Query, panels};

/// How long a fault lasts at least, and quiet between two.
const CALM: Duration = Duration::from_secs(12);

/// How long alerts may take to fire, and to fall silent again.
const PATIENCE: Duration = Duration::from_secs(120);

/// What must tell of a fault.
struct Case {
    fault: Fault,
    name: &'static str,
    /// Alerts that must fire.
    alerts: &'static [&'static str],
    /// Panels that must show it.
    panels: &'static [(&'static str, &'static str)],
}

/// What told of it.
struct Told {
    name: &'static str,
    start: f64,
    end: f64,
    /// Seconds from the fault until they fired.
    alerts: BTreeMap<String, f64>,
    moves: Vec<Move>,
}

/// How a panel has moved.
struct Move {
    panel: String,
    series: String,
    before: f64,
    /// The furthest from that; nothing: the series has ended.
    then: Option<f64>,
}

const CASES: [Case; 11] = [
    Case {
        fault: Fault::NatsServerKilled,
        name: "one of three nats-servers is killed",
        alerts: &["TidegateBusReconnects"],
        panels: &[("nats", "Connections to NATS lost a second")],
    },
    Case {
        fault: Fault::NatsPaused,
        name: "all of NATS stands still",
        alerts: &["TidegateBusDown"],
        panels: &[
            ("nats", "NATS reachable"),
            ("nats", "Probes lost a second"),
            ("overview", "Deliveries a second"),
            ("overview", "Processes not ready, by condition"),
        ],
    },
    Case {
        fault: Fault::GatewayKilled,
        name: "a gateway is killed",
        alerts: &["TidegateDown", "TidegateGatewayBuried"],
        panels: &[
            ("overview", "Processes up"),
            ("overview", "Connections"),
            (
                "nats",
                "Registry: dead gateways and connections cleared, a second",
            ),
        ],
    },
    Case {
        fault: Fault::GatewayDrained,
        name: "a gateway is drained and replaced",
        alerts: &[],
        panels: &[
            (
                "gateways",
                "Drains: 0 serving, 1 settling, 2 moving, 3 closing, 4 ended",
            ),
            ("gateways", "Clients moved in drains, a second"),
            ("gateways", "Sessions resumed a second"),
        ],
    },
    Case {
        fault: Fault::ControlKilled,
        name: "a control plane is killed",
        alerts: &["TidegateDown"],
        panels: &[
            ("overview", "Processes up"),
            ("requests", "Publications by gRPC a second, by result"),
        ],
    },
    Case {
        fault: Fault::WorkerGone,
        name: "the only worker of a route ends",
        alerts: &["TidegateRouteFails"],
        panels: &[
            ("overview", "Client requests a second, by result"),
            ("requests", "Requests a second, by route and result"),
        ],
    },
    Case {
        fault: Fault::WorkerSlow,
        name: "a worker takes 3 s",
        alerts: &["TidegateRouteSlow"],
        panels: &[
            ("requests", "Answers by route, p50 and p99"),
            ("requests", "Requests in flight, by route"),
        ],
    },
    Case {
        fault: Fault::DeafClient,
        name: "a client does not read",
        alerts: &["TidegateSlowClientsDropped"],
        panels: &[
            ("backpressure", "Connections stalled on write"),
            (
                "backpressure",
                "How long those outboxes have not been empty, p50 and p99",
            ),
            (
                "backpressure",
                "Bytes in the outboxes of stalled connections, p50 and p99",
            ),
            ("backpressure", "Connections near a limit"),
            ("backpressure", "Withheld a second, by reason and class"),
            ("backpressure", "Subscriptions that are behind"),
        ],
    },
    Case {
        fault: Fault::StoodStill,
        name: "a gateway stands still for 3 s",
        alerts: &["TidegateShardStalls"],
        panels: &[(
            "gateways",
            "Loop delay: longest turn of a second, p50 and worst",
        )],
    },
    Case {
        fault: Fault::BadTokens,
        name: "a flood of invalid tokens",
        alerts: &["TidegateTokensRefused"],
        panels: &[("overview", "Connections ended a second, by cause")],
    },
    Case {
        fault: Fault::Storm,
        name: "1,000 clients come at once, 20 a second may",
        alerts: &["TidegateAdmissionBacklog"],
        panels: &[
            ("backpressure", "Until the last in line is let in"),
            ("backpressure", "Admissions a second"),
            ("overview", "Handshakes a second, by result"),
        ],
    },
];

// === impl Case ===

impl Case {
    /// Lets the fault happen and end, and says what told of it.
    async fn run(&self, stage: &mut Stage, prometheus: &Prometheus, panels: &[Panel]) -> Told {
        let start = now();
        stage.begin(self.fault, prometheus).await;
        stage.show(prometheus);
        let alerts = self.fired(prometheus, start).await;
        stage.end(self.fault).await;
        stage.show(prometheus);
        // What is counted at the end is scraped, and in the rates.
        sleep(Duration::from_secs(3)).await;
        let mut told = Told {
            name: self.name,
            start,
            end: now(),
            alerts,
            moves: Vec::new(),
        };
        for (dashboard, title) in self.panels {
            let named = |panel: &&Panel| panel.dashboard == *dashboard && panel.title == *title;
            let panel = panels.iter().find(named);
            let panel = panel.unwrap_or_else(|| panic!("no panel {dashboard}: {title}"));
            told.moves
                .push(Move::of(panel, prometheus, start, told.end).await);
        }
        told
    }

    /// Waits for its alerts, and for others beside them.
    async fn fired(&self, prometheus: &Prometheus, start: f64) -> BTreeMap<String, f64> {
        let begun = Instant::now();
        let mut fired = BTreeMap::new();
        loop {
            for name in firing(prometheus).await {
                fired.entry(name).or_insert_with(|| now() - start);
            }
            let all = self.alerts.iter().all(|alert| {
                let mut names = fired.keys();
                names.any(|name| name.split(' ').next() == Some(alert))
            });
            if all && begun.elapsed() > CALM {
                return fired;
            }
            let (name, limit) = (self.name, PATIENCE);
            assert!(begun.elapsed() < limit, "{name}: only {fired:?} fired");
            sleep(Duration::from_millis(500)).await;
        }
    }
}

// === impl Move ===

impl Move {
    /// The series of the panel that has moved most.
    async fn of(panel: &Panel, prometheus: &Prometheus, start: f64, end: f64) -> Self {
        let mut most: Option<Self> = None;
        for query in &panel.queries {
            for series in prometheus.between(query, start - 8.0, end).await {
                let is_before = |sample: &&(f64, f64)| sample.0 <= start;
                let values = |keep: bool| {
                    let samples = series.samples.iter();
                    let samples = samples.filter(move |sample| is_before(sample) == keep);
                    samples.map(|sample| sample.1).collect::<Vec<f64>>()
                };
                let (before, after) = (values(true), values(false));
                let last = series.samples.last().map_or(0.0, |sample| sample.0);
                let has_ended = !before.is_empty() && last < end - 5.0;
                // An empty sum is -0.
                let before = before.iter().sum::<f64>() / before.len().max(1) as f64 + 0.0;
                let distance = |value: &f64| (value - before).abs();
                let furthest = |one: &f64, other: &f64| distance(one).total_cmp(&distance(other));
                let then = after.into_iter().max_by(furthest);
                let moved = Self {
                    panel: format!("{}: {}", panel.dashboard, panel.title),
                    series: series.name,
                    before,
                    then: then.filter(|_| !has_ended),
                };
                if most.as_ref().is_none_or(|most| most.far() < moved.far()) {
                    most = Some(moved);
                }
            }
        }
        most.unwrap_or_else(|| panic!("{}: {} is empty", panel.dashboard, panel.title))
    }

    fn far(&self) -> f64 {
        let then = self.then.unwrap_or(0.0);
        (then - self.before).abs()
    }

    /// It is not what one sees at any time.
    fn is_clear(&self) -> bool {
        self.far() > 0.2 * self.before.abs() && self.far() > 0.0
    }
}

fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs_f64()
}

/// Alerts that fire, with their instances.
async fn firing(prometheus: &Prometheus) -> Vec<String> {
    let query = Query::new(
        "ALERTS{alertstate=\"firing\"}",
        "{{alertname}} {{instance}}",
    );
    let series = prometheus.now(&query).await;
    series.into_iter().map(|series| series.name).collect()
}

/// Waits until nothing fires, and panels have forgotten what was.
async fn calm(prometheus: &Prometheus) {
    let begun = Instant::now();
    let mut since = Instant::now();
    while since.elapsed() < CALM {
        let firing = firing(prometheus).await;
        if !firing.is_empty() {
            since = Instant::now();
            assert!(begun.elapsed() < PATIENCE * 2, "{firing:?} go on firing");
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// Our rules, which look back over 15 s instead of minutes, and whose alerts wait for
/// 3 s before they fire, or for 15 s instead of five minutes and more.
fn quick(folder: &Path) {
    fs::create_dir_all(folder).expect("a folder for tests");
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus");
    for name in ["rules.yml", "alerts.yml"] {
        let text = fs::read_to_string(rules.join(name)).expect("readable");
        let mut made = String::new();
        for line in text.lines() {
            let mut line = line.to_owned();
            for window in ["[5m]", "[10m]", "[15m]"] {
                line = line.replace(window, "[15s]");
            }
            let words = line.trim_start();
            let indent = " ".repeat(line.len() - words.len());
            if let Some(pause) = words.strip_prefix("for: ") {
                let is_long = ["5m", "10m"].contains(&pause);
                line = indent + if is_long { "for: 15s" } else { "for: 3s" };
            } else if words.starts_with("interval: ") {
                line = indent + "interval: 1s";
            }
            made.push_str(&line);
            made.push('\n');
        }
        fs::write(folder.join(name), made).expect("a file for tests");
    }
}

/// For people, in Markdown.
fn report(all: &[Told]) -> String {
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a String takes every text");
    for told in all {
        line(format!("### {}\n", told.name));
        for (alert, after) in &told.alerts {
            line(format!("- `{alert}` after {after:.0} s"));
        }
        for Move {
            panel,
            series,
            before,
            then,
        } in &told.moves
        {
            let then = then.map_or_else(|| "ended".to_owned(), |then| format!("{then:.3}"));
            line(format!("- {panel}, `{series}`: {before:.3} -> {then}"));
        }
        line(String::new());
    }
    text
}

/// For `deploy/grafana/plot.py`: what to write into the pictures, and where.
fn marks(all: &[Told]) -> Value {
    let mark = |told: &Told| json!({"name": told.name, "start": told.start, "end": told.end});
    all.iter().map(mark).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes ten minutes"]
async fn each_fault_is_named_by_its_alerts_and_panels() {
    let kept = std::env::var_os("TIDEGATE_TEST_FAULTS").map(PathBuf::from);
    let mut stage = Stage::set().await;
    let folder = kept.unwrap_or_else(|| stage.folder().join("prometheus"));
    quick(&folder);
    let started = Prometheus::start(folder.clone(), &["rules.yml", "alerts.yml"]).await;
    let prometheus = started.expect("there is a prometheus");
    stage.show(&prometheus);
    let panels = panels();
    let mut all = Vec::new();
    for case in &CASES {
        calm(&prometheus).await;
        println!("{}", case.name);
        all.push(case.run(&mut stage, &prometheus, &panels).await);
        let said = report(&all[all.len() - 1..]);
        println!("{said}");
        fs::write(folder.join("report.md"), report(&all)).expect("a file for tests");
        fs::write(folder.join("marks.json"), marks(&all).to_string()).expect("a file for tests");
    }
    calm(&prometheus).await;
    for told in &all {
        for moved in &told.moves {
            assert!(moved.is_clear(), "{}: {}", told.name, moved.panel);
        }
    }
}
