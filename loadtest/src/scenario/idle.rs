//! Idle: many authenticated connections with one subscription each, held. What
//! accepting costs, what holding costs, and whether memory comes back after
//! each connection moved one large message.

use anyhow::Result;

use super::{Run, add_end};
use crate::args::IdleArgs;
use crate::clock;
use crate::connection::Stage;
use crate::engine::{Engine, Handler};
use crate::fleet::Fleet;
use crate::messages::Template;
use crate::payload::{Marker, Scanner};
use crate::process::CpuMeter;
use crate::report::Figures;
use crate::share::{TURN, Tally, Work, WorkPlan};

/// Large messages under way at once: memory is measured afterwards, and should
/// not depend on how many were in flight together.
const LARGE_AT_ONCE: u64 = 32;
/// Seconds without an answer after which the large messages are given up.
const PATIENCE: f64 = 10.0;

/// Holds connections; when begun, sends one large request on each.
#[derive(Debug)]
pub(crate) struct Holder {
    large: usize,
    scanner: Scanner,
    template: Option<Template>,
    /// The next connection to send on.
    next: usize,
    tally: Tally,
}

/// Runs the scenario once.
pub(crate) fn run(args: &IdleArgs, mut run: Run<'_>) -> Result<Figures> {
    let mut figures = Figures::default();
    let plan = run.plan(args.connections, WorkPlan::Idle { large: args.large });
    let mut fleet = Fleet::start(&plan, run.common.processes)?;
    let before = run.server.memory();
    let (accepting, start) = (CpuMeter::start(run.server, fleet.pids()), clock::now());
    let opened = fleet.open()?;
    let opening = clock::now() - start;
    let count = opened.ready.max(1) as f64;
    figures.add("connections ready", opened.ready as f64);
    figures.add(
        "connections per s",
        opened.ready as f64 / clock::seconds(opening),
    );
    figures.add(
        "ready p50, ms",
        opened.ready_latency.quantile(0.5) as f64 / 1e6,
    );
    figures.add(
        "ready p99, ms",
        opened.ready_latency.quantile(0.99) as f64 / 1e6,
    );
    figures.add(
        "accepting CPU, us per connection",
        accepting.used().0 * 1e6 / count,
    );

    let (holding, start) = (CpuMeter::start(run.server, fleet.pids()), clock::now());
    while clock::now() - start < clock::nanos(args.hold) {
        fleet.turn(10 * TURN)?;
        run.progress.show("connections held", opened.ready);
    }
    let per_second = holding.used().0 * 1e6 / count / clock::seconds((clock::now() - start).max(1));
    figures.add("idle CPU, us/s per connection", per_second);
    let held = run.server.memory();
    let per_connection = |bytes: u64, base: u64| (bytes as f64 - base as f64) / count;
    figures.add(
        "RSS, bytes per connection",
        per_connection(held.rss, before.rss),
    );
    figures.add(
        "PSS, bytes per connection",
        per_connection(held.pss, before.pss),
    );
    if args.after_large {
        fleet.begin()?;
        let expected = opened.ready;
        fleet.drain(PATIENCE, |_| expected)?;
        let after = run.server.memory();
        figures.add("large messages answered", fleet.done() as f64);
        figures.add(
            "RSS after large, bytes per connection",
            per_connection(after.rss, before.rss),
        );
        figures.add(
            "RSS after large / before, %",
            100.0 * (after.rss as f64 / held.rss.max(1) as f64 - 1.0),
        );
    }
    let outcome = fleet.finish()?;
    figures.add(
        "client RSS, bytes per connection",
        outcome.client_rss as f64 / count,
    );
    add_end(&mut figures, &run, outcome);
    Ok(figures)
}

// === impl Holder ===

impl Holder {
    pub(crate) fn new(large: usize) -> Self {
        Self {
            large,
            scanner: Scanner::new(large),
            template: None,
            next: usize::MAX,
            tally: Tally::default(),
        }
    }
}

impl Handler for Holder {
    fn message(&mut self, engine: &mut Engine, _index: usize, payload: &[u8], now: u64) {
        let tally = &mut self.tally;
        if self
            .scanner
            .scan(payload, |marker| tally.done(marker.sent_at, now))
            == 0
        {
            engine.other_message(payload);
        }
    }
}

impl Work for Holder {
    fn begin(&mut self, _engine: &mut Engine) {
        self.template = Some(Template::request(self.large));
        self.next = 0;
    }

    fn step(&mut self, engine: &mut Engine, now: u64) -> u64 {
        let Some(template) = &mut self.template else {
            return u64::MAX;
        };
        while self.next < engine.connections.len()
            && self.tally.sent - self.tally.done < LARGE_AT_ONCE
        {
            if engine.connections[self.next].stage == Stage::Ready {
                let mut out = Vec::new();
                template.stamp(
                    Marker {
                        sequence: self.next as u32,
                        sent_at: now,
                    },
                    &mut out,
                );
                engine.send(self.next, &out);
                self.tally.sent += 1;
            }
            self.next += 1;
        }
        u64::MAX
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}
