//! Echo: requests through the route `echo`, some under way on each connection.

use anyhow::{Result, bail};

use super::{Run, add_cpu, add_end, add_latency};
use crate::args::EchoArgs;
use crate::clock;
use crate::connection::Stage;
use crate::engine::{Engine, Handler};
use crate::fleet::Fleet;
use crate::messages::Template;
use crate::payload::{Marker, Scanner};
use crate::process::CpuMeter;
use crate::report::Figures;
use crate::share::{TURN, Tally, Work, WorkPlan};

/// Sends requests and counts answers.
#[derive(Debug)]
pub(crate) struct Echo {
    scanner: Scanner,
    template: Template,
    depth: usize,
    /// Requests per second; zero: each answer makes room for the next.
    rate: f64,
    /// When sending began; `None`: not yet, or no more.
    since: Option<u64>,
    sequence: u32,
    /// The connection that is next at a fixed rate.
    next: usize,
    /// Answers in the read at hand.
    answered: usize,
    out: Vec<u8>,
    tally: Tally,
}

/// Runs the scenario once.
pub(crate) fn run(args: &EchoArgs, mut run: Run<'_>) -> Result<Figures> {
    let mut figures = Figures::default();
    let (load, depth) = (&args.load, args.depth.max(1));
    let plan = run.plan(
        args.connections,
        WorkPlan::Echo {
            size: load.size,
            depth,
            rate: load.rate,
        },
    );
    let mut fleet = Fleet::start(&plan, run.common.processes)?;
    let opened = fleet.open()?;
    if opened.ready == 0 {
        bail!("no connection is ready: {:?}", opened.notes);
    }
    let (meter, start) = (CpuMeter::start(run.server, fleet.pids()), clock::now());
    fleet.begin()?;
    let end = start + clock::nanos(load.secs);
    while clock::now() < end && (load.messages == 0 || fleet.done() < load.messages) {
        fleet.turn(TURN)?;
        run.progress.show("answers", fleet.done());
    }
    let (done, nanos) = (fleet.done(), clock::now() - start);
    figures.add("connections", opened.ready as f64);
    figures.add("answers per s", done as f64 / clock::seconds(nanos));
    add_cpu(
        &mut figures,
        "server CPU, us per request",
        &meter,
        done,
        nanos,
    );
    fleet.stop()?;
    fleet.drain(load.drain, Fleet::sent)?;
    let outcome = fleet.finish()?;
    add_latency(&mut figures, &outcome.latency);
    figures.add(
        "unanswered or refused",
        outcome.sent as f64 - outcome.done as f64,
    );
    add_end(&mut figures, &run, outcome);
    Ok(figures)
}

// === impl Echo ===

impl Echo {
    pub(crate) fn new(size: usize, depth: usize, rate: f64) -> Self {
        Self {
            scanner: Scanner::new(size),
            template: Template::request(size),
            depth,
            rate,
            since: None,
            sequence: 0,
            next: 0,
            answered: 0,
            out: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Sends so many requests in one write.
    fn request(&mut self, engine: &mut Engine, index: usize, count: usize, sent_at: u64) {
        self.out.clear();
        for _ in 0..count {
            self.template.stamp(
                Marker {
                    sequence: self.sequence,
                    sent_at,
                },
                &mut self.out,
            );
            self.sequence = self.sequence.wrapping_add(1);
        }
        engine.send(index, &self.out);
        self.tally.sent += count as u64;
    }
}

impl Handler for Echo {
    fn message(&mut self, engine: &mut Engine, _index: usize, payload: &[u8], now: u64) {
        let tally = &mut self.tally;
        let mut answers = self
            .scanner
            .scan(payload, |marker| tally.done(marker.sent_at, now));
        if answers == 0 {
            answers = engine.other_message(payload);
        }
        self.answered += answers;
    }

    fn read_done(&mut self, engine: &mut Engine, index: usize) {
        let answered = std::mem::take(&mut self.answered);
        if answered > 0 && self.since.is_some() && self.rate == 0.0 {
            self.request(engine, index, answered, clock::now());
        }
    }
}

impl Work for Echo {
    fn begin(&mut self, engine: &mut Engine) {
        let now = clock::now();
        self.since = Some(now);
        if self.rate == 0.0 {
            for index in 0..engine.connections.len() {
                if engine.connections[index].stage == Stage::Ready {
                    self.request(engine, index, self.depth, now);
                }
            }
        }
    }

    fn step(&mut self, engine: &mut Engine, now: u64) -> u64 {
        let Some(since) = self.since.filter(|_| self.rate > 0.0 && engine.ready > 0) else {
            return u64::MAX;
        };
        loop {
            let due = since + clock::nanos(self.tally.sent as f64 / self.rate);
            if due > now {
                return due - now;
            }
            self.next = (self.next + 1) % engine.connections.len();
            if engine.connections[self.next].stage == Stage::Ready {
                self.request(engine, self.next, 1, due);
            }
        }
    }

    fn stop(&mut self, _engine: &mut Engine) {
        self.since = None;
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}
