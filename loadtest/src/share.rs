//! One process's share of the connections, and the child process that holds a
//! share for its parent. A child ends when its parent says so or is gone.

use std::io::{BufRead, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::engine::{Engine, Handler, Profile};
use crate::outcome::{Latencies, Outcome, histogram};
use crate::process;
use crate::scenario::{echo::Echo, fanout::Subscribers, idle::Holder, storm::Storm};
use crate::socket;

/// The kind of connection that subscribes.
pub(crate) const SUBSCRIBER: u8 = 0;
/// The kind of connection that only speaks.
pub(crate) const SPEAKER: u8 = 1;

/// Longest wait of a turn where other processes must be heard.
pub(crate) const TURN: u64 = 1_000_000;
/// Without an answered connection for so long, opening is given up.
const OPENING_STALLED: u64 = 10 * clock::SECOND;
/// Connections opened between two looks at the others.
const OPEN_AT_ONCE: usize = 64;
/// Lines waiting between a pipe and its reader.
const LINES: usize = 1024;

/// All that a share has to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) token_in_query: bool,
    pub(crate) channel: String,
    pub(crate) connections: usize,
    pub(crate) first_source: usize,
    /// Per second; zero: as fast as answered.
    pub(crate) connect_rate: f64,
    pub(crate) inflight: usize,
    pub(crate) work: WorkPlan,
}

/// What a share does with its connections.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum WorkPlan {
    Idle {
        large: usize,
    },
    Fanout {
        size: usize,
        stalled: usize,
    },
    Echo {
        size: usize,
        depth: usize,
        rate: f64,
    },
    Storm,
}

/// What the parent says.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    Open,
    Begin,
    Stop,
    Finish,
}

/// What a child says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    Opened(Outcome),
    Begun,
    Progress { done: u64, sent: u64 },
    Finished(Outcome),
}

/// What is counted while a scenario works.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) done: u64,
    pub(crate) sent: u64,
    pub(crate) duplicates: u64,
    pub(crate) out_of_order: u64,
    pub(crate) latency: Histogram<u64>,
    pub(crate) last_at: u64,
}

/// A scenario's part in each process.
pub(crate) trait Work: Handler {
    /// Starts what is measured.
    fn begin(&mut self, _engine: &mut Engine) {}

    /// Does what is due; returns for how many nanoseconds nothing will be.
    fn step(&mut self, _engine: &mut Engine, _now: u64) -> u64 {
        u64::MAX
    }

    /// Starts nothing new from here on.
    fn stop(&mut self, _engine: &mut Engine) {}

    fn tally(&mut self) -> &mut Tally;
}

/// The connections of this process and what is done with them.
pub(crate) struct Share {
    pub(crate) engine: Engine,
    work: Box<dyn Work>,
    plan: Plan,
    /// Memory of this process before it held connections, bytes.
    base_rss: u64,
}

// === impl Tally ===

impl Default for Tally {
    fn default() -> Self {
        Self {
            done: 0,
            sent: 0,
            duplicates: 0,
            out_of_order: 0,
            latency: histogram(),
            last_at: 0,
        }
    }
}

impl Tally {
    /// Counts something done, that should have begun at `since`.
    pub(crate) fn done(&mut self, since: u64, now: u64) {
        self.done += 1;
        self.last_at = now;
        self.latency
            .saturating_record(now.saturating_sub(since).max(1));
    }
}

// === impl Share ===

impl Share {
    pub(crate) fn new(plan: Plan) -> Result<Self> {
        let profile = |channel| Profile::new(&plan.url, &plan.token, plan.token_in_query, channel);
        let profiles = vec![profile(Some(plan.channel.as_str()))?, profile(None)?];
        let work: Box<dyn Work> = match plan.work {
            WorkPlan::Idle { large } => Box::new(Holder::new(large)),
            WorkPlan::Fanout { size, stalled } => Box::new(Subscribers::new(size, stalled)),
            WorkPlan::Echo { size, depth, rate } => Box::new(Echo::new(size, depth, rate)),
            WorkPlan::Storm => Box::new(Storm::new(plan.connect_rate, plan.inflight)),
        };
        let mut engine = Engine::new(profiles, plan.first_source)?;
        engine.connections.reserve_exact(plan.connections + 1);
        Ok(Self {
            engine,
            work,
            plan,
            base_rss: own_rss(),
        })
    }

    /// Opens the connections; returns when each is ready or has failed.
    pub(crate) fn open(&mut self) {
        let (start, mut opened) = (clock::now(), 0);
        let (mut moved_at, mut answered) = (start, 0);
        while opened < self.plan.connections || self.engine.pending > 0 {
            let now = clock::now();
            let due = match self.plan.connect_rate {
                rate if rate > 0.0 => (clock::seconds(now - start) * rate) as usize + 1,
                _ => self.plan.connections,
            };
            let mut burst = 0;
            while opened < due.min(self.plan.connections)
                && self.engine.pending < self.plan.inflight
                && burst < OPEN_AT_ONCE
            {
                self.engine.open(self.kind());
                opened += 1;
                burst += 1;
            }
            self.engine.turn(
                if burst == OPEN_AT_ONCE { 0 } else { TURN },
                &mut *self.work,
            );
            let answers = self.engine.ready as u64 + self.engine.failed;
            if answers != answered {
                (answered, moved_at) = (answers, now);
            } else if now - moved_at > OPENING_STALLED {
                let pending = self.engine.pending;
                self.engine.note(format!(
                    "opening given up with {pending} connections unanswered"
                ));
                break;
            }
        }
    }

    /// Echo needs no subscription; the others hold one.
    fn kind(&self) -> u8 {
        if matches!(self.plan.work, WorkPlan::Echo { .. }) {
            SPEAKER
        } else {
            SUBSCRIBER
        }
    }

    /// Clears the counts and starts what is measured.
    pub(crate) fn begin(&mut self) {
        *self.work.tally() = Tally::default();
        self.work.begin(&mut self.engine);
    }

    /// One turn of at most so many nanoseconds.
    pub(crate) fn turn(&mut self, nanos: u64) {
        let due = self.work.step(&mut self.engine, clock::now());
        self.engine.turn(due.min(nanos), &mut *self.work);
    }

    pub(crate) fn stop(&mut self) {
        self.work.stop(&mut self.engine);
    }

    pub(crate) fn tally(&mut self) -> &mut Tally {
        self.work.tally()
    }

    /// What was counted until now.
    pub(crate) fn outcome(&mut self) -> Outcome {
        let tally = self.work.tally();
        Outcome {
            ready: self.engine.ready as u64,
            failed: self.engine.failed,
            lost: self.engine.lost,
            ready_latency: Latencies::from(&self.engine.ready_latency),
            done: tally.done,
            sent: tally.sent,
            duplicates: tally.duplicates,
            out_of_order: tally.out_of_order,
            latency: Latencies::from(&tally.latency),
            last_at: tally.last_at,
            client_rss: own_rss().saturating_sub(self.base_rss),
            notes: self.engine.notes.clone(),
        }
    }
}

fn own_rss() -> u64 {
    process::memory(std::process::id()).rss
}

/// Reads lines of JSON on a thread of its own, which ends with the pipe.
pub(crate) fn read_lines<T: DeserializeOwned + Send + 'static>(
    name: &str,
    from: impl BufRead + Send + 'static,
) -> Result<Receiver<T>> {
    let (tx, rx) = sync_channel(LINES);
    let forward = move |tx: SyncSender<T>| {
        for line in from.lines().map_while(std::io::Result::ok) {
            let Ok(item) = serde_json::from_str(&line) else {
                continue;
            };
            if tx.send(item).is_err() {
                return;
            }
        }
    };
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || forward(tx))?;
    Ok(rx)
}

fn say(word: &Word) -> Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}

/// The child process: a plan on the first line, then orders.
pub(crate) fn run_child() -> Result<()> {
    socket::raise_open_files();
    let mut first = String::new();
    std::io::stdin().lock().read_line(&mut first)?;
    let mut share = Share::new(serde_json::from_str(&first).context("the plan")?)?;
    let orders = read_lines::<Order>("orders", std::io::BufReader::new(std::io::stdin()))?;
    match orders.recv_timeout(Duration::from_secs(60)) {
        Ok(Order::Open) => {}
        Ok(other) => bail!("{other:?} before anything was opened"),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(()),
    }
    share.open();
    say(&Word::Opened(share.outcome()))?;
    let (mut said, mut said_at) = (0, 0);
    loop {
        match orders.try_recv() {
            Ok(Order::Begin) => {
                share.begin();
                said = 0;
                say(&Word::Begun)?;
            }
            Ok(Order::Stop) => share.stop(),
            Ok(Order::Finish) => return say(&Word::Finished(share.outcome())),
            Ok(Order::Open) | Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
        share.turn(TURN);
        let now = clock::now();
        let Tally { done, sent, .. } = *share.tally();
        if done + sent != said && now - said_at >= TURN {
            (said, said_at) = (done + sent, now);
            say(&Word::Progress { done, sent })?;
        }
    }
}
