//! Random schedules: gateways die, the bus loses and lies, workers do what
//! workers do, clients repeat. Every told outcome must agree with every other.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc, time::Duration};

use bus::{BusError, Incoming, WorkerFailure};
use bytes::Bytes;
use fastrand::Rng;
use futures_util::future::{join, join_all};
use journal::{NotDone, Outcome, Redelivery, Settings};
use lifecycle::Scope;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::{
    stage::{Command, Gateway, LAPSED, Stage, Worker, clock, clock_ahead, settings},
    unsteady::{Fate, Kind, Op},
};

/// How long things go wrong; after it they work, and every client must get a
/// final outcome.
const STORM: Duration = Duration::from_secs(20);

/// Commands in one run.
const COMMANDS: usize = 6;

/// What clients of one key were told.
#[derive(Default)]
struct Told {
    answers: Vec<String>,
    failures: usize,
    unknown: usize,
}

/// One run.
struct Run {
    stage: Stage,
    seed: u64,
    rng: RefCell<Rng>,
    gateways: RefCell<Vec<Rc<Gateway>>>,
    told: RefCell<HashMap<String, Told>>,
    began: Instant,
}

/// Runs of this test; `TIDEGATE_TEST_SEEDS` for more, `TIDEGATE_TEST_SEED` for
/// that one alone.
fn seeds() -> Vec<u64> {
    let told = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match (told("TIDEGATE_TEST_SEED"), told("TIDEGATE_TEST_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, Some(count)) => (0..count).collect(),
        (None, None) => (0..200).collect(),
    }
}

#[test]
fn no_two_outcomes_contradict_each_other_whatever_happens() {
    let mut finals = 0;
    for seed in seeds() {
        fastrand::seed(seed);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        finals += runtime.block_on(run(seed));
    }
    assert!(finals > 0, "nothing was ever decided");
}

async fn run(seed: u64) -> usize {
    let run = Run {
        stage: Stage::new().await,
        seed,
        rng: RefCell::new(Rng::with_seed(seed)),
        gateways: RefCell::default(),
        told: RefCell::default(),
        began: Instant::now(),
    };
    for nth in 0..2 {
        let gateway = run.gateway(nth);
        run.gateways.borrow_mut().push(gateway);
    }
    let redelivery = match run.rng.borrow_mut().bool() {
        true => Redelivery::Never,
        false => Redelivery::WorkerDeduplicates,
    };
    run.unsettle_bus();
    run.unsettle_worker(redelivery);
    let clients = (0..COMMANDS).flat_map(|nth| {
        let command = Command {
            redelivery,
            ..Command::new(&format!("key-{nth}"))
        };
        // Half of the keys are repeated by two clients at the same time.
        vec![command; 1 + nth % 2]
    });
    let commands: Vec<_> = clients.collect();
    let clients = join_all(commands.iter().map(|command| run.client(command)));
    join(clients, run.kill_gateways()).await;
    run.judge(redelivery)
}

// === impl Run ===

impl Run {
    /// Gateway number `nth`; in some runs the clock of the second one is wrong.
    fn gateway(&self, nth: usize) -> Rc<Gateway> {
        let is_ahead = nth == 1 && self.seed % 4 == 3;
        let clock = if is_ahead { clock_ahead } else { clock };
        let settings = Settings {
            clock,
            ..settings()
        };
        Rc::new(self.stage.gateway_with(settings))
    }

    fn is_storm(&self) -> bool {
        self.began.elapsed() < STORM
    }

    fn below(&self, most: u64) -> u64 {
        self.rng.borrow_mut().u64(..most)
    }

    fn unsettle_bus(&self) {
        let mut rng = self.rng.borrow_mut().fork();
        let began = self.began;
        self.stage.bus.follow(move |op| {
            if began.elapsed() >= STORM || rng.u8(..10) < 6 {
                return Fate::default();
            }
            let kind = match (rng.u8(..4), op) {
                (0, _) => Kind::Fails,
                (1, _) => Kind::Lies,
                (2, Op::Read) => Kind::IsBehind,
                _ => Kind::Works,
            };
            Fate {
                before: Duration::from_millis(rng.u64(..150)),
                after: Duration::from_millis(rng.u64(..150)),
                kind,
            }
        });
    }

    fn unsettle_worker(&self, redelivery: Redelivery) {
        let rng = Mutex::new(self.rng.borrow_mut().fork());
        let began = self.began;
        let scope = Scope::root();
        self.stage.serve(move |worker, request| {
            let (what, delay) = {
                let mut rng = rng.lock();
                (
                    rng.u8(..8),
                    Duration::from_millis(rng.u64(..500) << rng.u8(..3)),
                )
            };
            let what = if began.elapsed() < STORM { what } else { 8 };
            let worker = Arc::clone(worker);
            scope.spawn("request", async move {
                if what < 6 {
                    sleep(delay).await;
                }
                // Only those that say so know what they have executed.
                let execute = match redelivery {
                    Redelivery::Never => Worker::execute,
                    Redelivery::WorkerDeduplicates => Worker::execute_once,
                };
                serve(&worker, request, what, execute);
            });
        });
    }

    /// Kills gateways, and starts others in their place.
    async fn kill_gateways(&self) {
        while self.is_storm() {
            sleep(Duration::from_millis(200 + self.below(3_000))).await;
            let at = self.below(2) as usize;
            let next = self.gateway(at);
            let dead = std::mem::replace(&mut self.gateways.borrow_mut()[at], next);
            dead.die();
        }
    }

    /// Repeats a command until it has a final outcome.
    async fn client(&self, command: &Command) {
        sleep(Duration::from_millis(self.below(8_000))).await;
        loop {
            let gateway = self.gateways.borrow()[self.below(2) as usize].clone();
            if let Some(told) = gateway.ask(command).await
                && self.note(command, told)
            {
                return;
            }
            let late = self.began.elapsed();
            assert!(late < STORM + 4 * LAPSED, "seed {}: no end", self.seed);
            sleep(Duration::from_millis(self.below(2_000))).await;
        }
    }

    /// Notes what a client was told; whether it may stop. It goes on now and
    /// then though it may, to see whether it is told the same.
    fn note(&self, command: &Command, told: Outcome) -> bool {
        let mut all = self.told.borrow_mut();
        let noted = all.entry(command.key.clone()).or_default();
        match told {
            Ok(answer) => noted
                .answers
                .push(String::from_utf8(answer.into()).expect("text")),
            Err(NotDone::Failed(_)) => noted.failures += 1,
            Err(NotDone::OutcomeUnknown) => noted.unknown += 1,
            Err(NotDone::Refused { not_executed, .. }) => {
                let executions = self.stage.worker.executions(&command.key);
                // Another client's repetition may have been executed meanwhile.
                let alone = command.key.ends_with(['0', '2', '4']);
                assert!(
                    !(alone && not_executed && executions > 0),
                    "seed {}: {} was executed",
                    self.seed,
                    command.key
                );
                return false;
            }
            Err(NotDone::KeyReused) => panic!("seed {}: the key is the same's", self.seed),
            Err(NotDone::InProgress | NotDone::DeadlineExceeded | NotDone::Unavailable) => {
                return false;
            }
        }
        !self.is_storm() || self.below(4) == 0
    }

    /// Compares what was told with what was done; gives the final outcomes.
    fn judge(&self, redelivery: Redelivery) -> usize {
        let seed = self.seed;
        for (key, told) in &*self.told.borrow() {
            let executions = self.stage.worker.executions(key);
            assert!(executions <= 1, "seed {seed}: {key} ran {executions} times");
            let kinds = [told.answers.len(), told.failures, told.unknown];
            let kinds = kinds.into_iter().filter(|count| *count > 0).count();
            assert_eq!(kinds, 1, "seed {seed}: {key} has two outcomes");
            for answer in &told.answers {
                let (expected, ran) = (format!("{key} 0"), executions == 1);
                assert!(ran && *answer == expected, "seed {seed}: {key}: {answer}");
            }
            if redelivery == Redelivery::WorkerDeduplicates {
                assert_eq!(told.unknown, 0, "seed {seed}: {key} is unknown");
            }
        }
        self.told.borrow().len()
    }
}

/// Does one of the things that workers do.
fn serve(worker: &Worker, request: Incoming, what: u8, execute: fn(&Worker, &Incoming) -> Bytes) {
    let failure = |retryable| {
        Err(BusError::Worker(WorkerFailure {
            code: "no".into(),
            message: "no".into(),
            retryable,
        }))
    };
    match what {
        // Dies between doing and answering, or before doing.
        0 => drop(execute(worker, &request)),
        1 => drop(request),
        // Does it, or not, and never answers.
        2 => {
            execute(worker, &request);
            worker.hold(request);
        }
        3 => worker.hold(request),
        4 => request.responder.reply(failure(true)),
        // A worker that has executed it never refuses it.
        5 if worker.executions(&request.context.idempotency_key) == 0 => {
            request.responder.reply(failure(false));
        }
        _ => {
            let payload = execute(worker, &request);
            request.responder.reply(Ok(payload));
        }
    }
}
