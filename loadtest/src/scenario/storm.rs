//! Storm: connections opened as fast as they are answered (or at a rate), and
//! closed as soon as they are welcomed. What one costs, and what is refused.

use anyhow::Result;

use super::{Run, add_cpu, add_end, add_latency};
use crate::args::StormArgs;
use crate::clock;
use crate::engine::{Engine, Handler};
use crate::fleet::Fleet;
use crate::process::CpuMeter;
use crate::report::Figures;
use crate::share::{SPEAKER, TURN, Tally, Work, WorkPlan};

/// Seconds without an answer after which connections are given up.
const PATIENCE: f64 = 2.0;
/// Connections opened between two looks at the others.
const OPEN_AT_ONCE: usize = 64;

/// Opens and closes.
#[derive(Debug)]
pub(crate) struct Storm {
    rate: f64,
    inflight: usize,
    since: Option<u64>,
    /// Connections that are welcomed and not closed yet.
    welcomed: Vec<usize>,
    tally: Tally,
}

/// Runs the scenario once.
pub(crate) fn run(args: &StormArgs, mut run: Run<'_>) -> Result<Figures> {
    let mut figures = Figures::default();
    let mut fleet = Fleet::start(&run.plan(0, WorkPlan::Storm), run.common.processes)?;
    fleet.open()?;
    let (meter, start) = (CpuMeter::start(run.server, fleet.pids()), clock::now());
    fleet.begin()?;
    while clock::now() - start < clock::nanos(args.secs) {
        fleet.turn(TURN)?;
        run.progress.show("connections", fleet.done());
    }
    let (done, nanos) = (fleet.done(), clock::now() - start);
    figures.add("connections per s", done as f64 / clock::seconds(nanos));
    add_cpu(
        &mut figures,
        "server CPU, us per connection",
        &meter,
        done,
        nanos,
    );
    fleet.stop()?;
    fleet.drain(PATIENCE, |fleet| {
        fleet.sent().saturating_sub(fleet.local.engine.failed)
    })?;
    let outcome = fleet.finish()?;
    add_latency(&mut figures, &outcome.latency);
    figures.add(
        "unanswered",
        (outcome.sent - outcome.done) as f64 - outcome.failed as f64,
    );
    add_end(&mut figures, &run, outcome);
    Ok(figures)
}

// === impl Storm ===

impl Storm {
    pub(crate) fn new(rate: f64, inflight: usize) -> Self {
        Self {
            rate,
            inflight,
            since: None,
            welcomed: Vec::new(),
            tally: Tally::default(),
        }
    }
}

impl Handler for Storm {
    fn message(&mut self, engine: &mut Engine, _index: usize, payload: &[u8], _now: u64) {
        engine.other_message(payload);
    }

    fn ready(&mut self, _engine: &mut Engine, index: usize, nanos: u64) {
        let now = clock::now();
        self.tally.done(now - nanos, now);
        self.welcomed.push(index);
    }
}

impl Work for Storm {
    fn begin(&mut self, _engine: &mut Engine) {
        self.since = Some(clock::now());
    }

    fn step(&mut self, engine: &mut Engine, now: u64) -> u64 {
        while let Some(index) = self.welcomed.pop() {
            engine.close(index);
        }
        let Some(since) = self.since else {
            return u64::MAX;
        };
        for _ in 0..OPEN_AT_ONCE {
            let due = since
                + if self.rate > 0.0 {
                    clock::nanos(self.tally.sent as f64 / self.rate)
                } else {
                    0
                };
            if due > now {
                return due - now;
            }
            if engine.pending >= self.inflight {
                return u64::MAX;
            }
            engine.open(SPEAKER);
            self.tally.sent += 1;
        }
        0
    }

    fn stop(&mut self, _engine: &mut Engine) {
        self.since = None;
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}
