//! Fan-out: one publisher, many subscribers. What arrives, when, in what
//! order, and what a delivery costs the server.

use anyhow::{Result, bail};

use super::{Run, add_cpu, add_end, add_latency};
use crate::args::{FanoutArgs, PublishOver};
use crate::clock;
use crate::connection::Arrival;
use crate::engine::{Engine, Handler};
use crate::fleet::Fleet;
use crate::payload::Scanner;
use crate::process::CpuMeter;
use crate::publisher::Publisher;
use crate::report::Figures;
use crate::share::{TURN, Tally, Work, WorkPlan};

/// Seconds that the warm-up may take.
const WARMUP: f64 = 30.0;

/// Counts what arrives.
#[derive(Debug)]
pub(crate) struct Subscribers {
    scanner: Scanner,
    /// How many connections stop reading when they are ready.
    stalled: usize,
    /// Those that did.
    stopped: Vec<usize>,
    tally: Tally,
}

/// One span of publishing.
struct Phase<'a> {
    args: &'a FanoutArgs,
    /// Messages per second; zero: as fast as they are delivered.
    rate: f64,
    /// Subscribers that read.
    readers: u64,
    start: u64,
    /// What the publisher had sent before.
    base: u64,
}

/// Runs the scenario once.
pub(crate) fn run(args: &FanoutArgs, mut run: Run<'_>) -> Result<Figures> {
    let mut figures = Figures::default();
    let (size, stalled) = (args.load.size, run.stalled);
    let plan = run.plan(args.connections, WorkPlan::Fanout { size, stalled });
    let mut fleet = Fleet::start(&plan, run.common.processes)?;
    let opened = fleet.open()?;
    let readers = opened.ready.saturating_sub(stalled as u64);
    if readers == 0 {
        bail!("no subscriber is ready: {:?}", opened.notes);
    }
    figures.add("subscribers", readers as f64);
    let mut publisher = warmed_up(args, &mut run, &mut fleet, readers)?;
    fleet.begin()?;
    let phase = Phase::start(args, args.load.rate, readers, &publisher);
    let (start, base) = (phase.start, phase.base);
    let meter = CpuMeter::start(run.server, fleet.pids());
    let (messages, secs) = (args.load.messages, args.load.secs);
    let publishing = phase.run(&mut run, &mut fleet, &mut publisher, messages, secs)?;
    let published = publisher.sent() - base;
    figures.add(
        "published per s",
        published as f64 / clock::seconds(publishing.max(1)),
    );
    let (done, span) = (fleet.done(), clock::now() - start);
    add_cpu(
        &mut figures,
        "server CPU, us per delivery",
        &meter,
        done,
        span,
    );
    fleet.stop()?;
    let outcome = fleet.finish()?;
    let span = outcome.last_at.saturating_sub(start).max(1);
    figures.add(
        "deliveries per s",
        outcome.done as f64 / clock::seconds(span),
    );
    add_latency(&mut figures, &outcome.latency);
    figures.add("lost", (published * readers) as f64 - outcome.done as f64);
    figures.add("duplicated", outcome.duplicates as f64);
    figures.add("out of order", outcome.out_of_order as f64);
    add_end(&mut figures, &run, outcome);
    Ok(figures)
}

/// A publisher whose first messages have arrived.
fn warmed_up(
    args: &FanoutArgs,
    run: &mut Run<'_>,
    fleet: &mut Fleet,
    readers: u64,
) -> Result<Publisher> {
    let over = if run.baseline {
        PublishOver::Ws
    } else {
        args.publish
    };
    let mut publisher = Publisher::open(over, run, args.load.size, fleet)?;
    if args.warmup > 0 {
        let phase = Phase::start(args, 0.0, readers, &publisher);
        phase.run(run, fleet, &mut publisher, args.warmup, WARMUP)?;
        if fleet.done() == 0 {
            bail!(
                "nothing that was published arrived: {:?}",
                fleet.local.outcome().notes
            );
        }
    }
    Ok(publisher)
}

// === impl Phase ===

impl<'a> Phase<'a> {
    fn start(args: &'a FanoutArgs, rate: f64, readers: u64, publisher: &Publisher) -> Self {
        Self {
            args,
            rate,
            readers,
            start: clock::now(),
            base: publisher.sent(),
        }
    }

    /// Publishes so many messages (zero: no count) for at most so many seconds,
    /// then waits for what is under way. Returns the nanoseconds of publishing.
    fn run(
        self,
        run: &mut Run<'_>,
        fleet: &mut Fleet,
        publisher: &mut Publisher,
        messages: u64,
        seconds: f64,
    ) -> Result<u64> {
        let end = self.start + clock::nanos(seconds);
        loop {
            let (now, sent) = (clock::now(), publisher.sent() - self.base);
            if now >= end || (messages > 0 && sent >= messages) {
                break;
            }
            let wait = self.publish_due(fleet, publisher, sent, now)?;
            fleet.turn(wait.min(end - now))?;
            run.progress.show("deliveries", fleet.done());
        }
        let stopped = clock::now();
        let expected = (publisher.sent() - self.base) * self.readers;
        fleet.drain(self.args.load.drain, |_| expected)?;
        Ok(stopped - self.start)
    }

    /// Publishes what is due; returns for how many nanoseconds nothing will be.
    fn publish_due(
        &self,
        fleet: &mut Fleet,
        publisher: &mut Publisher,
        sent: u64,
        now: u64,
    ) -> Result<u64> {
        let burst = self.args.burst.max(1);
        let mut stamp = now;
        if self.rate > 0.0 {
            stamp = self.start + clock::nanos(sent as f64 / self.rate);
            if now < stamp {
                return Ok(stamp - now);
            }
        } else {
            let window = self.args.window.max(burst as u64);
            let under_way = (sent * self.readers).saturating_sub(fleet.done());
            if under_way + burst as u64 * self.readers > window * self.readers {
                return Ok(TURN);
            }
        }
        let published = publisher.publish(fleet, burst, stamp)?;
        Ok(if published { 0 } else { TURN })
    }
}

// === impl Subscribers ===

impl Subscribers {
    pub(crate) fn new(size: usize, stalled: usize) -> Self {
        Self {
            scanner: Scanner::new(size),
            stalled,
            stopped: Vec::new(),
            tally: Tally::default(),
        }
    }
}

impl Handler for Subscribers {
    fn message(&mut self, engine: &mut Engine, index: usize, payload: &[u8], now: u64) {
        let (connection, tally) = (&mut engine.connections[index], &mut self.tally);
        let found = self.scanner.scan(payload, |marker| {
            match connection.arrived(marker.sequence) {
                Arrival::Again => tally.duplicates += 1,
                arrival => {
                    tally.out_of_order += u64::from(arrival == Arrival::Late);
                    tally.done(marker.sent_at, now);
                }
            }
        });
        if found == 0 {
            engine.other_message(payload);
        }
    }

    fn ready(&mut self, engine: &mut Engine, index: usize, _nanos: u64) {
        if self.stopped.len() < self.stalled {
            self.stopped.push(index);
            engine.stall(index);
        }
    }
}

impl Work for Subscribers {
    fn stop(&mut self, engine: &mut Engine) {
        for index in self.stopped.drain(..) {
            engine.read_stalled(index);
        }
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}
