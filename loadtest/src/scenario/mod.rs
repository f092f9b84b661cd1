//! The scenarios: which servers are measured in which order, and what they
//! have in common. Every run has a fresh server, unless one was named.

pub(crate) mod echo;
pub(crate) mod fanout;
pub(crate) mod idle;
pub(crate) mod storm;

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};

use crate::args::{Against, CommonArgs, Scenario, TokenIn};
use crate::clock;
use crate::outcome::{Latencies, Outcome};
use crate::process::{CpuMeter, Server};
use crate::report::{Figures, Progress, Ratio, Report};
use crate::share::{Plan, WorkPlan};
use crate::socket;

/// What is measured: a column of the report.
#[derive(Clone, Copy, Debug)]
struct Subject {
    name: &'static str,
    baseline: bool,
    /// Subscribers that stop reading.
    stalled: usize,
}

/// One run of one subject.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) common: &'a CommonArgs,
    pub(crate) server: &'a Server,
    pub(crate) baseline: bool,
    pub(crate) stalled: usize,
    pub(crate) progress: Progress,
}

/// Runs a scenario as often as asked.
pub(crate) fn run(scenario: &Scenario) -> Result<Report> {
    socket::raise_open_files();
    let (subjects, ratios) = subjects(scenario);
    let mut report = Report::new(
        scenario.name(),
        subjects.iter().map(|subject| subject.name).collect(),
        ratios,
    );
    let repeat = scenario.common().repeat.max(1);
    for round in 0..repeat {
        for step in 0..subjects.len() {
            // Each round begins with another subject, so that none always profits from the order.
            let place = (step + round) % subjects.len();
            let subject = subjects[place];
            let title = format!(
                "{} {} {}/{repeat}",
                scenario.name(),
                subject.name,
                round + 1
            );
            let figures = run_once(scenario, subject, title).with_context(|| subject.name)?;
            report.add(place, figures);
        }
    }
    Ok(report)
}

fn subjects(scenario: &Scenario) -> (Vec<Subject>, Vec<Ratio>) {
    let against = scenario.common().against;
    let stalled = match scenario {
        Scenario::Fanout(args) => args.slow,
        _ => 0,
    };
    let mut subjects = Vec::new();
    for (baseline, left_out, name, name_stalled) in [
        (false, Against::Baseline, "gateway", "gateway, stalled"),
        (true, Against::Gateway, "baseline", "baseline, stalled"),
    ] {
        if against == left_out {
            continue;
        }
        subjects.push(Subject {
            name,
            baseline,
            stalled: 0,
        });
        if stalled > 0 {
            subjects.push(Subject {
                name: name_stalled,
                baseline,
                stalled,
            });
        }
    }
    let mut ratios = Vec::new();
    if let Some(baseline) = subjects
        .iter()
        .position(|subject| subject.baseline)
        .filter(|place| *place > 0)
    {
        ratios.push(("x raw", 0, baseline));
    }
    if stalled > 0 {
        ratios.push(("stalled/not", 1, 0));
    }
    (subjects, ratios)
}

fn run_once(scenario: &Scenario, subject: Subject, title: String) -> Result<Figures> {
    let common = scenario.common();
    let server = if subject.baseline {
        Server::baseline(common)?
    } else {
        Server::gateway(common)?
    };
    let run = Run {
        common,
        server: &server,
        baseline: subject.baseline,
        stalled: subject.stalled,
        progress: Progress::new(title),
    };
    match scenario {
        Scenario::Idle(args) => idle::run(args, run),
        Scenario::Fanout(args) => fanout::run(args, run),
        Scenario::Echo(args) => echo::run(args, run),
        Scenario::Storm(args) => storm::run(args, run),
    }
}

// === impl Scenario ===

impl Scenario {
    fn name(&self) -> &'static str {
        match self {
            Self::Idle(_) => "idle",
            Self::Fanout(_) => "fanout",
            Self::Echo(_) => "echo",
            Self::Storm(_) => "storm",
        }
    }
}

// === impl Run ===

impl Run<'_> {
    /// The plan of all shares together.
    pub(crate) fn plan(&self, connections: usize, work: WorkPlan) -> Plan {
        let endpoints = &self.server.endpoints;
        Plan {
            url: endpoints.client_url.clone(),
            token: endpoints.token.clone(),
            token_in_query: self.common.token_in == TokenIn::Query,
            channel: self.common.channel.clone(),
            connections,
            first_source: fresh_sources(),
            connect_rate: self.common.connect_rate,
            inflight: self.common.inflight,
            work,
        }
    }
}

/// The first of source addresses (numbers under 127.1.0.0) that no run before used
/// lately: ports that a server closed first stay in TIME_WAIT for a minute.
fn fresh_sources() -> usize {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    /// Addresses of one run: 160,000 connections.
    const PER_RUN: usize = 16;
    const ADDRESSES: usize = 60_000;
    let run = std::process::id() as usize * 7 + RUNS.fetch_add(1, Ordering::Relaxed);
    1 + run * PER_RUN % ADDRESSES
}

/// Adds the rows that tell CPU time: per piece of work, and how busy each side was.
fn add_cpu(figures: &mut Figures, name: &'static str, meter: &CpuMeter, done: u64, nanos: u64) {
    let (server, clients) = meter.used();
    let seconds = clock::seconds(nanos.max(1));
    figures.add(name, server * 1e6 / done.max(1) as f64);
    figures.add("server, cores", server / seconds);
    figures.add("clients, cores", clients / seconds);
}

/// Adds the rows that tell latency.
fn add_latency(figures: &mut Figures, latencies: &Latencies) {
    let rows = [
        ("latency p50, ms", 0.5),
        ("latency p90, ms", 0.9),
        ("latency p99, ms", 0.99),
        ("latency p99.9, ms", 0.999),
        ("latency max, ms", 1.0),
    ];
    for (name, quantile) in rows {
        figures.add(name, latencies.quantile(quantile) as f64 / 1e6);
    }
}

/// Adds the rows that every run ends with.
fn add_end(figures: &mut Figures, run: &Run<'_>, outcome: Outcome) {
    figures.add("connections failed", outcome.failed as f64);
    figures.add("connections lost", outcome.lost as f64);
    figures.add(
        "server RSS at the end, MiB",
        run.server.memory().rss as f64 / 1_048_576.0,
    );
    figures.notes = outcome.notes;
}
