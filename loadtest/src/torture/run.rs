//! One run: everybody is started, faults come as the schedule says, then there is
//! quiet until everything has settled, and the records are collected.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{
    commands::{self, Command},
    fleet::{Fleet, Plan},
    heir::{self, Fate, Heir},
    places::Places,
    publisher::Publisher,
    record::{ChannelInfo, Keeps, PublicationId, Published, Records, Subscribed},
    requester,
    schedule::Fault,
    stored, subscriber,
};

/// Publishers of each channel.
pub(super) const PUBLISHERS: usize = 2;

/// How long everybody may take to connect and subscribe.
const BEGIN: Duration = Duration::from_secs(60);

/// How long it may take after the last fault until every subscriber is up to date.
const SETTLE: Duration = Duration::from_secs(90);

/// How long the last publications may take to everybody, with everybody there.
const FINISH: Duration = Duration::from_secs(20);

/// For what nobody waits: a duplicate that comes late.
const REST: Duration = Duration::from_secs(2);

const LOOK: Duration = Duration::from_millis(50);

/// What a run is made of.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) plan: Plan,
    pub(super) channels: Vec<ChannelInfo>,
    pub(super) clients: usize,
    /// Channels of each client.
    pub(super) subscriptions: usize,
    /// Clients that give commands, and how many those are a second, all together.
    pub(super) requesters: usize,
    pub(super) commands: f64,
    /// Clients that leave wills.
    pub(super) heirs: usize,
    /// Publications a second, all together.
    pub(super) rate: f64,
    /// Bytes of a payload.
    pub(super) size: usize,
    pub(super) length: Duration,
    pub(super) faults: Vec<Fault>,
}

/// What all actors know.
#[derive(Debug)]
pub(super) struct Shared {
    /// Part of publication ids, so that no two runs share them.
    pub(super) name: String,
    pub(super) channels: Vec<ChannelInfo>,
    pub(super) places: Arc<Places>,
    pub(super) size: usize,
    pub(super) publishers_stop: watch::Sender<bool>,
    pub(super) subscribers_stop: watch::Sender<bool>,
    tokens: Vec<String>,
    began: Instant,
    subscribed: AtomicUsize,
    disconnects: AtomicU64,
    /// By publisher: how far it is acknowledged.
    acknowledged: Vec<AtomicU32>,
    /// By subscription: how far it is, for each publisher of its channel.
    progress: Vec<[AtomicU32; PUBLISHERS]>,
    // A lock, as failures are rare.
    failures: Mutex<BTreeMap<String, u64>>,
}

/// What came out of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) records: Records,
    pub(super) disconnects: u64,
    pub(super) publish_failures: BTreeMap<String, u64>,
    /// Subscriptions that were not up to date in time.
    pub(super) unsettled: Vec<(usize, usize)>,
    /// From the last fault's end until all were.
    pub(super) settled_in: Duration,
    /// What went wrong with the faults themselves.
    pub(super) problems: Vec<String>,
}

// === impl Setup ===

impl Setup {
    /// By subscription: its client and its channel. Clients spread evenly.
    fn subscriptions(&self) -> Vec<(usize, usize)> {
        let of = |client| {
            (0..self.subscriptions.min(self.channels.len()))
                .map(move |index| (client, (client + index * 7) % self.channels.len()))
        };
        let mut all: Vec<_> = (0..self.clients).flat_map(of).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Runs it; `folder` takes logs.
    pub(super) async fn run(self, folder: &Path) -> Result<Outcome> {
        let fleet = Fleet::start(self.plan.clone(), folder).await?;
        let subscriptions = self.subscriptions();
        let shared = Arc::new(Shared::new(&self, &fleet, subscriptions.len()));
        let mut subscribers = begin_subscribers(&shared, &subscriptions);
        let begin = shared.all_subscribed(subscriptions.len());
        tokio::select! {
            begun = tokio::time::timeout(BEGIN, begin) => begun.context("subscribing takes too long")?,
            Some(ended) = subscribers.join_next() => {
                ended??;
                anyhow::bail!("a subscriber ended early");
            }
        }
        let publishers = self.begin_publishers(&shared);
        let requesters = self.begin_requesters(&shared);
        let heirs = self.begin_heirs(&shared);
        let (problems, published, unsettled, settled_in) = self
            .torture(&fleet, &shared, &subscriptions, publishers)
            .await?;
        let commands = collect(requesters).await?;
        let heirs = collect(heirs).await?;
        all_fired(&heirs, &fleet).await?;
        sleep(REST).await;
        shared.subscribers_stop.send_replace(true);
        let mut records = Records {
            channels: self.channels.clone(),
            publishers: published,
            subscriptions: collect(subscribers).await?,
            logs: Vec::new(),
            commands,
            executions: commands::executions(&fleet.effects())?,
            heirs,
        };
        ensure!(!records.subscriptions.is_empty(), "nobody was subscribed");
        records.logs = stored::read(&fleet.nats.urls(), &self.channels).await?;
        Ok(Outcome {
            records,
            disconnects: shared.disconnects.load(Ordering::Relaxed),
            publish_failures: shared.failures.lock().expect("nothing panics").clone(),
            unsettled,
            settled_in,
            problems,
        })
    }

    async fn torture(
        &self,
        fleet: &Fleet,
        shared: &Arc<Shared>,
        subscriptions: &[(usize, usize)],
        mut publishers: JoinSet<(usize, Published)>,
    ) -> Result<(Vec<String>, Vec<Published>, Vec<(usize, usize)>, Duration)> {
        let problems = self.suffer(fleet).await;
        let calm = Instant::now();
        let targets = shared.targets(1);
        shared.reach(subscriptions, &targets, SETTLE).await;
        let settled_in = calm.elapsed();
        let unsettled = shared.behind(subscriptions, &targets);
        shared.publishers_stop.send_replace(true);
        let mut published = Vec::new();
        while let Some(one) = publishers.join_next().await {
            published.push(one?);
        }
        published.sort_by_key(|(number, _)| *number);
        let targets = shared.targets(0);
        if unsettled.is_empty() {
            shared.reach(subscriptions, &targets, FINISH).await;
        }
        let published = published.into_iter().map(|(_, published)| published);
        Ok((problems, published.collect(), unsettled, settled_in))
    }

    fn begin_publishers(&self, shared: &Arc<Shared>) -> JoinSet<(usize, Published)> {
        let count = self.channels.len() * PUBLISHERS;
        let period = Duration::from_secs_f64(count as f64 / self.rate);
        let mut publishers = JoinSet::new();
        for number in 0..count {
            let publisher = Publisher::new(shared.clone(), number, number / PUBLISHERS);
            publishers.spawn(async move { (number, publisher.run(period).await) });
        }
        publishers
    }

    fn begin_requesters(&self, shared: &Arc<Shared>) -> JoinSet<Result<Vec<Command>>> {
        let period = Duration::from_secs_f64(self.requesters.max(1) as f64 / self.commands);
        let mut requesters = JoinSet::new();
        for index in 0..self.requesters {
            let number = self.clients + index;
            requesters.spawn(requester::run(shared.clone(), number, period));
        }
        requesters
    }

    /// A third of them stays, one leaves and one takes its will back, spread over
    /// the run.
    fn begin_heirs(&self, shared: &Arc<Shared>) -> JoinSet<Result<Vec<Heir>>> {
        let mut heirs = JoinSet::new();
        for index in 0..self.heirs {
            let fate = [Fate::Leaves, Fate::Stays, Fate::Disarms][index % 3];
            let share = index as f64 / self.heirs as f64;
            let number = self.clients + self.requesters + index;
            let after = self.length.mul_f64(share);
            heirs.spawn(heir::run(shared.clone(), number, fate, after));
        }
        heirs
    }

    /// All faults, until the last is undone and the run's length is over. What
    /// can't be done or undone is a problem, and no reason to stop.
    async fn suffer(&self, fleet: &Fleet) -> Vec<String> {
        let began = Instant::now();
        let each = self.faults.iter().map(async |fault| {
            sleep_until(began + fault.at).await;
            eprintln!("{fault}");
            let done = fleet.suffer(*fault).await;
            done.map_err(|error| format!("{fault}: {error:#}")).err()
        });
        let (problems, ()) = tokio::join!(join_all(each), sleep_until(began + self.length));
        let mut problems: Vec<_> = problems.into_iter().flatten().collect();
        if let Err(error) = fleet.all_of_nats_is_healthy().await {
            problems.push(error.to_string());
        }
        eprintln!("{:7.2} s  calm", began.elapsed().as_secs_f64());
        problems
    }
}

fn begin_subscribers(
    shared: &Arc<Shared>,
    subscriptions: &[(usize, usize)],
) -> JoinSet<Result<Vec<Subscribed>>> {
    let mut subscribers = JoinSet::new();
    let numbered: Vec<_> = subscriptions.iter().copied().enumerate().collect();
    for own in numbered.chunk_by(|(_, a), (_, b)| a.0 == b.0) {
        let client = own[0].1.0;
        let channels = own.iter().map(|(slot, (_, channel))| (*slot, *channel));
        subscribers.spawn(subscriber::run(shared.clone(), client, channels.collect()));
    }
    subscribers
}

/// Waits, within a limit, until every will is fired that must be.
async fn all_fired(heirs: &[Heir], fleet: &Fleet) -> Result<()> {
    let until = Instant::now() + SETTLE;
    loop {
        let done = commands::executions(&fleet.effects())?;
        let mut due = heirs.iter().filter(|heir| heir.must_fire());
        let is_fired = |heir: &Heir| done.values().flatten().any(|one| one.token == heir.name);
        if due.all(is_fired) || Instant::now() > until {
            return Ok(());
        }
        sleep(LOOK * 10).await;
    }
}

/// What each of them has written down.
async fn collect<T: 'static>(mut actors: JoinSet<Result<Vec<T>>>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    while let Some(ended) = actors.join_next().await {
        all.extend(ended??);
    }
    Ok(all)
}

// === impl Shared ===

impl Shared {
    fn new(setup: &Setup, fleet: &Fleet, subscriptions: usize) -> Self {
        let users = 0..setup.clients + setup.requesters + setup.heirs;
        let tokens = users.map(|number| fleet.tokens.token(&format!("user-{number}")));
        Self {
            name: format!("torture-{}", std::process::id()),
            channels: setup.channels.clone(),
            places: fleet.places.clone(),
            size: setup.size,
            publishers_stop: watch::Sender::new(false),
            subscribers_stop: watch::Sender::new(false),
            tokens: tokens.collect(),
            began: Instant::now(),
            subscribed: AtomicUsize::new(0),
            disconnects: AtomicU64::new(0),
            acknowledged: (0..setup.channels.len() * PUBLISHERS)
                .map(|_| AtomicU32::new(0))
                .collect(),
            progress: (0..subscriptions).map(|_| Default::default()).collect(),
            failures: Mutex::default(),
        }
    }

    /// Since the run began.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The token of a client.
    pub(super) fn token(&self, number: usize) -> String {
        self.tokens[number].clone()
    }

    /// So many subscriptions more have begun.
    pub(super) fn is_subscribed(&self, count: usize) {
        self.subscribed.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn disconnected(&self) {
        self.disconnects.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn published(&self, id: PublicationId, is_acknowledged: bool) {
        if is_acknowledged {
            let acknowledged = &self.acknowledged[id.publisher as usize];
            acknowledged.store(id.sequence + 1, Ordering::Relaxed);
        }
    }

    pub(super) fn publish_failed(&self, error: &anyhow::Error) {
        let what = match error.downcast_ref::<tonic::Status>() {
            Some(status) => format!("{:?}: {}", status.code(), status.message()),
            None => error.root_cause().to_string(),
        };
        let mut failures = self.failures.lock().expect("nothing panics under it");
        // Bounded, whatever the messages say.
        let what = if failures.len() < 100 {
            what
        } else {
            "others".to_owned()
        };
        *failures.entry(what).or_default() += 1;
    }

    /// The subscription in `slot` got this.
    pub(super) fn came(&self, slot: usize, id: PublicationId) {
        let progress = &self.progress[slot][id.publisher as usize % PUBLISHERS];
        progress.fetch_max(id.sequence + 1, Ordering::Relaxed);
    }

    async fn all_subscribed(&self, count: usize) {
        while self.subscribed.load(Ordering::Relaxed) < count {
            sleep(LOOK).await;
        }
    }

    /// By publisher: what is acknowledged now, and `more`.
    fn targets(&self, more: u32) -> Vec<u32> {
        let acknowledged = self.acknowledged.iter();
        let now = acknowledged.map(|count| count.load(Ordering::Relaxed) + more);
        now.collect()
    }

    /// Waits, within a limit, until all subscriptions have come so far.
    async fn reach(&self, subscriptions: &[(usize, usize)], targets: &[u32], within: Duration) {
        let until = Instant::now() + within;
        while Instant::now() < until && !self.behind(subscriptions, targets).is_empty() {
            sleep(LOOK).await;
        }
    }

    /// Subscriptions that have not.
    fn behind(&self, subscriptions: &[(usize, usize)], targets: &[u32]) -> Vec<(usize, usize)> {
        let behind = |slot: usize, channel: usize| {
            self.progress[slot]
                .iter()
                .enumerate()
                .any(|(index, progress)| {
                    progress.load(Ordering::Relaxed) < targets[channel * PUBLISHERS + index]
                })
        };
        let numbered = subscriptions.iter().copied().enumerate();
        numbered
            .filter(|(slot, (_, channel))| behind(*slot, *channel))
            .map(|(_, subscription)| subscription)
            .collect()
    }
}

/// Whether a log is kept, for the configuration and the checker.
impl Keeps {
    pub(super) fn namespace(self) -> &'static str {
        match self {
            Self::Log(_) => "log",
            Self::Nothing => "live",
        }
    }
}
