//! The control plane's side: fires the wills of sessions that are gone.
//!
//! A session is gone when the registry and every gateway say that they hold no
//! connection of it. What points to that: the ends of connections, as they are
//! told to the log `ev`; and, for whatever nobody heard, a scan of the whole table
//! every half minute. Both only say where to look; each [`glance`](Keeper::glance)
//! begins with what the table says now, so replicas that look at the same will
//! disagree at a conditional write, and one of them goes on.
//!
//! Runs until it is told to stop; then ends what is under way, within bounds.

mod agenda;
mod ear;
mod firing;
mod glance;
mod scan;
mod witnesses;

use std::{fmt, sync::Arc, time::Duration};

use bus::{Bus, BusError, BusExt, BusState, Pattern, Subject};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use registry::Reader;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use self::{
    agenda::{Agenda, Next},
    ear::{Ear, Ended},
    witnesses::Witnesses,
};
use crate::{
    WILLS,
    metrics::Firings,
    will::{Clock, Kept},
};

/// Ends of connections that may wait to be looked up; what comes beyond is found
/// by the next scan.
const HEARD: usize = 16_384;

/// Ends looked up together.
const TOGETHER: usize = 256;

/// Looks and firings under way at once.
const CONCURRENCY: usize = 64;

/// Between two scans, on average.
const SCAN: Duration = Duration::from_secs(30);

/// How long after its start, or after the bus was away, the registry is not asked:
/// gateways may have to write it anew.
const SETTLE: Duration = Duration::from_secs(10);

/// How long after an end the registry is looked at: the entry goes behind the
/// event.
const LOOK_AFTER: Duration = Duration::from_millis(500);

/// Replicas look at different times within this: most often the first one does it
/// all.
const JITTER: Duration = Duration::from_millis(250);

/// Between tries to reach the bus.
const RETRY: Duration = Duration::from_secs(1);

/// How long firings that are under way may take once it is told to stop.
const LAST_WORDS: Duration = Duration::from_secs(6);

/// What the keeper can be told.
#[derive(Clone, Copy, Debug)]
pub struct KeeperConfig {
    /// Added to the grace of sessions whose last connection was closed by our own
    /// drain, or asked to come back: the client is on its way elsewhere.
    pub drain_allowance: Duration,
    /// How long a will is tried for while no worker takes it.
    pub give_up: Duration,
}

/// See the module.
pub struct Keeper {
    bus: Arc<dyn Bus>,
    reader: Reader,
    witnesses: Witnesses,
    config: KeeperConfig,
    /// Tells its claims from others'.
    name: String,
    clock: Clock,
    metrics: Firings,
}

/// What a piece of work came to.
enum Done {
    /// Of these ends, the sessions have wills, with these graces.
    Heard(Vec<(Ended, Duration)>),
    Looked(Subject, Next),
    /// Wills to look at.
    Scanned(Result<Vec<Subject>, BusError>),
}

/// What happens next in the keeper's loop.
enum Event {
    Heard(Vec<Ended>),
    Done(Done),
    Due,
    BusChanged,
    Stop,
}

/// Everything that changes while it runs.
struct Course<'a> {
    agenda: Agenda,
    jobs: FuturesUnordered<BoxFuture<'a, Done>>,
    /// How many of the jobs look or fire.
    looking: usize,
    /// Nothing is looked at before.
    trusted_from: Instant,
    /// `None`: one is under way.
    scan_at: Option<Instant>,
}

// === impl Keeper ===

impl Keeper {
    /// Keeps the wills on this bus.
    pub fn new(bus: Arc<dyn Bus>, config: KeeperConfig) -> Self {
        let reader = Reader::new(bus.clone());
        Self {
            witnesses: Witnesses::new(bus.clone(), reader.clone()),
            reader,
            bus,
            config,
            name: format!("{:016x}", fastrand::u64(..)),
            clock: Clock::start(),
            metrics: Firings::new(),
        }
    }

    /// Works until `stop`, then ends what is under way.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        let (ear, mut heard) = Ear::new(HEARD, self.clock);
        let ear = Arc::new(ear);
        let listening = tokio::select! {
            token = self.listen(&ear) => token,
            () = &mut stop => return,
        };
        let mut state = self.bus.state();
        let now = Instant::now();
        let mut course = Course {
            agenda: Agenda::default(),
            jobs: FuturesUnordered::new(),
            looking: 0,
            trusted_from: now + SETTLE,
            scan_at: Some(now + SETTLE),
        };
        loop {
            if ear.missed() {
                course.scan_soon();
            }
            match course.next(&mut heard, &mut state, &mut stop).await {
                Event::Heard(ends) => course.jobs.push(self.sort(ends).boxed()),
                Event::Done(done) => self.settle(done, &mut course),
                Event::Due => self.begin(&mut course),
                Event::BusChanged => course.bus_is(&state.borrow_and_update()),
                Event::Stop => break,
            }
        }
        self.bus.unsubscribe(listening);
        // Not the scan, nor looks that wait: firings, whose outcome is worth
        // knowing.
        let ended = async { while course.jobs.next().await.is_some() {} };
        let _ = timeout(LAST_WORDS, ended).await;
    }

    async fn listen(&self, ear: &Arc<Ear>) -> bus::SubscriptionToken {
        let closed = Pattern::new(registry::CLOSED_SUBJECT).expect("a constant");
        loop {
            match self.bus.listen(closed.clone(), ear.clone()).await {
                Ok((token, _)) => return token,
                Err(error) => {
                    tracing::debug!(%error, "ends of connections can't be heard yet");
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// Finds out which of the ends concern a will.
    async fn sort(&self, ends: Vec<Ended>) -> Done {
        let keys = ends.iter().map(|ended| ended.key.clone().into()).collect();
        let found = match self.bus.look_up(WILLS, keys).await {
            Ok(entries) => entries,
            // Whatever is behind them, the scan finds it.
            Err(_) => return Done::Scanned(Err(BusError::Unavailable)),
        };
        let wills: foldhash::HashMap<_, _> = found
            .into_iter()
            .filter_map(Kept::read)
            .map(|kept| (kept.key.clone(), kept.grace()))
            .collect();
        let concern = ends.into_iter().filter_map(|ended| {
            let grace = *wills.get(&ended.key)?;
            Some((ended, grace))
        });
        Done::Heard(concern.collect())
    }

    fn settle(&self, done: Done, course: &mut Course<'_>) {
        let now = Instant::now();
        match done {
            Done::Heard(ends) => {
                for (ended, grace) in ends {
                    let soon = grace.min(LOOK_AFTER).mul_f64(0.5 + fastrand::f64() / 2.0);
                    course.agenda.hear(ended, now + soon);
                }
            }
            Done::Looked(key, next) => {
                course.looking -= 1;
                course.agenda.settle(&key, next, now);
            }
            Done::Scanned(Ok(keys)) => {
                course.scan_at = Some(now + SCAN.mul_f64(0.5 + fastrand::f64()));
                for key in keys {
                    course.agenda.look(key, now + jitter(RETRY));
                }
            }
            Done::Scanned(Err(error)) => {
                tracing::debug!(%error, "wills can't be read now");
                course.scan_at = Some(now + RETRY.mul_f64(0.5 + fastrand::f64()));
            }
        }
        self.metrics.watched.set(course.agenda.len() as f64);
    }

    /// Begins what is due.
    fn begin<'a>(&'a self, course: &mut Course<'a>) {
        let now = Instant::now();
        if course.scan_at.is_some_and(|at| at <= now) {
            course.scan_at = None;
            let scan = async { Done::Scanned(self.scan().await) };
            course.jobs.push(scan.boxed());
        }
        while course.looking < CONCURRENCY
            && let Some((key, known)) = course.agenda.take(now)
        {
            course.looking += 1;
            let look = async move {
                let next = self.glance(&key, known).await;
                Done::Looked(key, next)
            };
            course.jobs.push(look.boxed());
        }
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

// === impl Course ===

impl Course<'_> {
    async fn next(
        &mut self,
        heard: &mut mpsc::Receiver<Ended>,
        state: &mut watch::Receiver<BusState>,
        stop: &mut (impl Future<Output = ()> + Unpin),
    ) -> Event {
        let mut ends = Vec::new();
        let due = self.due();
        tokio::select! {
            () = stop => Event::Stop,
            Some(done) = self.jobs.next() => Event::Done(done),
            Ok(()) = state.changed() => Event::BusChanged,
            1.. = heard.recv_many(&mut ends, TOGETHER) => Event::Heard(ends),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Event::Due,
            // The bus has ended, and nothing is left: there is only the end.
            else => Event::Stop,
        }
    }

    /// When to begin something next; `None`: when a job is done.
    fn due(&self) -> Option<Instant> {
        let look = self.agenda.next_at().filter(|_| self.looking < CONCURRENCY);
        let next = [look, self.scan_at].into_iter().flatten().min()?;
        Some(next.max(self.trusted_from))
    }

    /// What the registry says counts only a while after the bus was away.
    fn bus_is(&mut self, state: &BusState) {
        if *state == BusState::Up {
            self.trusted_from = Instant::now() + SETTLE;
            self.scan_soon();
        }
    }

    fn scan_soon(&mut self) {
        let soon = Instant::now() + jitter(RETRY);
        self.scan_at = self.scan_at.map(|at| at.min(soon));
    }
}

fn jitter(within: Duration) -> Duration {
    within.mul_f64(fastrand::f64())
}
