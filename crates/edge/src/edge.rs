//! A gateway's edge as its process sees it: bind, run, drain.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicUsize},
    time::{Duration, SystemTime},
};

use auth::Verifier;
use bus::{Bus, Subject, SubscriptionToken};
use foldhash::HashMap;
use journal::Journal;
use lifecycle::Scope;
use registry::Registrar;
use spans::Tracer;
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc};
use wills::Armory;
use wire::UserId;

use crate::{
    acks::Acks,
    budget::Budget,
    clock::unix_ms,
    command::{CommandHandler, Queries},
    config::EdgeConfig,
    drain::{Drain, Sequence},
    fanout::{Fanout, MAX_SHARDS},
    fencing::{self, Claim},
    front::{Door, Listener, WEBSOCKET_PATH},
    gateway::{Gateway, ShardHandle, descriptor_budget, random_prefix},
    mailbox::Mailbox,
    metrics::Metrics,
    namespace::Policies,
    parties::Parties,
    past::PastCloses,
    route::Route,
    shard::Seat,
    user_limit,
    wills::{self as will_desk, Order},
};

/// Refusals under way at most, however large the reserve is.
const MAX_REFUSALS: usize = 1024;

/// How long requests with an idempotency key may go on when the gateway has
/// ended. Whoever repeats one later finds out what became of it.
const JOURNAL_LIMIT: Duration = Duration::from_secs(2);

/// How long confirmations of mailboxes may be written when the gateway has ended.
const ACKS_LIMIT: Duration = Duration::from_secs(2);

/// Users that may wait for their connections to be counted, and connections for
/// their predecessors to be ended.
const MAX_LOOKS: usize = 1 << 20;

/// A gateway with its port bound and its shards made, not yet serving.
pub struct Edge {
    gateway: Arc<Gateway>,
    listener: Listener,
    seats: Vec<Seat>,
    address: SocketAddr,
    commands: SubscriptionToken,
    looked_at: Option<mpsc::Receiver<UserId>>,
    claimed: Option<mpsc::Receiver<Claim>>,
    journal: Journal,
    will_orders: Option<mpsc::Receiver<Order>>,
}

/// Why an edge could not be made.
#[derive(Debug, Error)]
pub enum EdgeError {
    /// Zero, or more than a set of shards can name.
    #[error("{0} shards asked for, 1 to {MAX_SHARDS} are possible")]
    Shards(usize),
    /// The port is taken, or may not be bound.
    #[error("{address} could not be bound")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// No epoll instance for a shard.
    #[error("a shard's poll could not be made")]
    Poll(#[source] io::Error),
    /// No thread for a shard.
    #[error("a shard's thread could not be started")]
    Thread(#[source] io::Error),
}

// === impl Edge ===

impl Edge {
    /// Binds the client port and serves the control plane's commands; call on a
    /// tokio runtime. The registrar, made for this gateway's id, is run by the
    /// edge; without one nobody else in a cluster knows of its connections.
    pub fn bind(
        config: EdgeConfig,
        bus: Arc<dyn Bus>,
        verifier: Arc<Verifier>,
        registrar: Option<Arc<Registrar>>,
    ) -> Result<Self, EdgeError> {
        if !(1..=MAX_SHARDS).contains(&config.shards) {
            return Err(EdgeError::Shards(config.shards));
        }
        let bind = |source| EdgeError::Bind {
            address: config.listen,
            source,
        };
        let listener = Listener::bind(&config).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let seats = seats(config.shards).map_err(EdgeError::Poll)?;
        let mailboxes: Arc<[Mailbox]> = seats.iter().map(|seat| seat.mailbox.clone()).collect();
        let connection_limit = connection_limit(&config);
        let (user_looks, looked_at) = looks(config.user_limit.is_some(), connection_limit);
        let (claims, claimed) = looks(registrar.is_some(), connection_limit);
        let (desk, journal) = Journal::new(bus.clone(), config.gateway.clone(), config.journal);
        let (wills, will_orders) = looks(registrar.is_some(), will_desk::WAITING);
        let tracer = config.traces.then(|| Arc::new(Tracer::of_process("edge")));
        let gateway = Arc::new(Gateway {
            journal: desk,
            acks: Arc::new(Acks::new()),
            routes: routes(&config.policies),
            fanout: Fanout::new(
                bus.clone(),
                mailboxes.clone(),
                &config.policies,
                config.linger,
                tracer.clone(),
            ),
            tracer,
            shards: mailboxes.iter().map(shard_handle).collect(),
            metrics: Metrics::new(),
            queries: Queries::new(),
            parties: parties(&config),
            budget: Budget::new(config.outbox_budget, mailboxes.len()),
            door: Door::new(config.admission.clone()),
            handshakes: Semaphore::new(config.max_handshakes),
            refusals: Semaphore::new(refusals(config.reserved_descriptors)),
            session_prefix: random_prefix(),
            connections: Arc::default(),
            drain: Drain::new(config.drain),
            past: PastCloses::new(),
            started_at_ms: unix_ms(SystemTime::now()),
            connection_limit,
            bus,
            verifier,
            registrar,
            user_looks,
            claims,
            wills,
            config,
        });
        let commands = serve_commands(&gateway);
        Ok(Self {
            gateway,
            listener,
            seats,
            address,
            commands,
            looked_at,
            claimed,
            journal,
            will_orders,
        })
    }

    /// Where clients connect.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The URL that clients connect to.
    pub fn url(&self) -> String {
        format!("ws://{}{WEBSOCKET_PATH}", self.address)
    }

    /// Begins the end of this gateway, and tells how far it is.
    pub fn drain(&self) -> Drain {
        self.gateway.drain.clone()
    }

    /// Serves until it is drained, by [`Edge::drain`] or by the control plane, as
    /// its [`DrainPlan`](crate::DrainPlan) says. When the scope is cancelled, what
    /// is left of that is skipped: every connection is closed with a cause that
    /// lets clients go elsewhere at once, and all ends when the last is gone: after
    /// `close_timeout` at the latest, and the registry's last word. Gives the same
    /// handle as [`Edge::drain`].
    ///
    /// # Errors
    /// If a shard's thread can't be started; nothing is served then.
    pub fn start(self, scope: &Scope) -> Result<Drain, EdgeError> {
        let handle = self.drain();
        let (alive, ended) = mpsc::channel(1);
        for (index, seat) in self.seats.into_iter().enumerate() {
            let gateway = self.gateway.clone();
            let alive = alive.clone();
            let shard = move || {
                let _alive = alive;
                seat.take(index, gateway).run();
            };
            scope
                .spawn_thread(format!("shard-{index}"), shard)
                .map_err(EdgeError::Thread)?;
        }
        drop(alive);
        if let Some(registrar) = self.gateway.registrar.clone() {
            let gateway = self.gateway.clone();
            let run = async move { registrar.run(|| gateway.announce()).await };
            scope.spawn("registrar", run);
        }
        if let (Some(limit), Some(users)) = (self.gateway.config.user_limit, self.looked_at) {
            let enforce = user_limit::enforce(self.gateway.clone(), limit, users);
            scope.spawn_cancellable("user-limit", enforce);
        }
        if let Some(claims) = self.claimed {
            let fence = fencing::fence(self.gateway.clone(), claims);
            scope.spawn_cancellable("fencing", fence);
        }
        // Outlives the connections: it is what makes their repetitions exact.
        let ending = handle.clone();
        let stop = async move { ending.ended().await };
        scope.spawn("journal", self.journal.run(stop, JOURNAL_LIMIT));
        let (gateway, ending) = (self.gateway.clone(), handle.clone());
        scope.spawn("mailbox-acks", async move {
            let stop = async { ending.ended().await };
            let bus = gateway.bus.clone();
            gateway.acks.write(bus, stop, ACKS_LIMIT).await;
        });
        if let Some(orders) = self.will_orders {
            let armory = Armory::new(self.gateway.bus.clone());
            scope.spawn_cancellable("wills", will_desk::serve(armory, orders));
        }
        let gateway = self.gateway.clone();
        scope.spawn_cancellable("edge-bus", async move { gateway.follow_bus().await });
        // A client's handshake that panics takes only itself down.
        let front = scope.contained_child("front");
        scope.spawn(
            "accept",
            self.listener.run(self.gateway.clone(), front.clone()),
        );
        let sequence = Sequence {
            gateway: self.gateway,
            commands: self.commands,
            scope: scope.clone(),
            front,
            ended,
        };
        scope.spawn("edge-drain", sequence.run());
        Ok(handle)
    }
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Takes what the control plane wants of this gateway.
fn serve_commands(gateway: &Arc<Gateway>) -> SubscriptionToken {
    let subject = Subject::of_gateway(&gateway.config.gateway);
    let handler = Arc::new(CommandHandler(gateway.clone()));
    gateway.bus.serve(subject, handler)
}

fn seats(shards: usize) -> io::Result<Vec<Seat>> {
    (0..shards).map(|_| Seat::new()).collect()
}

fn shard_handle(mailbox: &Mailbox) -> ShardHandle {
    ShardHandle {
        mailbox: mailbox.clone(),
        load: AtomicUsize::new(0),
    }
}

/// How many connections the configuration and the descriptors allow.
fn connection_limit(config: &EdgeConfig) -> usize {
    let descriptors = descriptor_budget(config.reserved_descriptors);
    config.max_connections.min(descriptors)
}

/// What users and addresses may send.
fn parties(config: &EdgeConfig) -> Parties {
    let (user, address) = (config.user_upstream, config.address_upstream);
    Parties::new(user, address, config.admission.clone())
}

/// A queue for what follows once a connection is in the registry, if it is wanted:
/// with room for every connection that may be open.
fn looks<T>(
    wanted: bool,
    connection_limit: usize,
) -> (Option<mpsc::Sender<T>>, Option<mpsc::Receiver<T>>) {
    let room = connection_limit.clamp(1, MAX_LOOKS);
    wanted.then(|| mpsc::channel(room)).unzip()
}

/// The routes that clients may call, with nothing under way.
fn routes(policies: &Policies) -> HashMap<Box<str>, Arc<Route>> {
    let routes = policies.routes.iter();
    routes
        .map(|(name, policy)| (name.clone(), Route::new(name, policy.clone())))
        .collect()
}

/// How many connections beyond the limit get an answer at the same time: they
/// take descriptors of the reserve, and most of it must stay for others.
fn refusals(reserved: u64) -> usize {
    usize::try_from(reserved / 4).map_or(MAX_REFUSALS, |share| share.clamp(1, MAX_REFUSALS))
}
