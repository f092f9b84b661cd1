//! A gateway's edge as its process sees it: bind, run, drain.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicUsize},
    time::{Duration, SystemTime},
};

use bus::{Bus, Subject, SubscriptionToken};
use foldhash::HashMap;
use journal::Journal;
use keyring::Keyring;
use lifecycle::Scope;
use presence::{Roster, Told};
use registry::Registrar;
use revocations::Revoked;
use spans::Tracer;
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc};
use wills::Armory;
use wire::Channel;

use crate::{
    acks::Acks,
    budget::Budget,
    clock::unix_ms,
    command::{CommandHandler, Queries},
    config::EdgeConfig,
    desks::{self, Orderbooks},
    drain::{Drain, Sequence},
    fallback::Carriers,
    fanout::{Fanout, MAX_SHARDS},
    fencing,
    front::{Door, Listener, Places, Unfinished, WEBSOCKET_PATH},
    gateway::{Gateway, ShardHandle, descriptor_budget, random_prefix},
    hook::Hook,
    mailbox::Mailbox,
    metrics::Metrics,
    namespace::Policies,
    parties::Parties,
    past::PastCloses,
    refreshing,
    route::Route,
    shard::{Mail, Seat},
    user_limit, wills as will_desk,
};

/// Refusals under way at most, however large the reserve is.
const MAX_REFUSALS: usize = 1024;

/// How long requests with an idempotency key may go on when the gateway has
/// ended. Whoever repeats one later finds out what became of it.
const JOURNAL_LIMIT: Duration = Duration::from_secs(2);

/// How long confirmations of mailboxes may be written when the gateway has ended.
const ACKS_LIMIT: Duration = Duration::from_secs(2);

/// A gateway with its port bound and its shards made, not yet serving.
pub struct Edge {
    gateway: Arc<Gateway>,
    listener: Listener,
    seats: Vec<Seat>,
    address: SocketAddr,
    commands: SubscriptionToken,
    orderbooks: Orderbooks,
    journal: Journal,
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
    /// TLS can't be served.
    #[error("TLS of the client port")]
    Tls(#[from] tls::ServerError),
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
    /// edge; without one nobody else in a cluster knows of its connections. The keyring
    /// is run by its owner.
    pub fn bind(
        config: EdgeConfig,
        bus: Arc<dyn Bus>,
        keyring: Arc<Keyring>,
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
        let (desks, orderbooks) = desks::open(registrar.is_some(), connection_limit);
        let (desk, journal) = Journal::new(bus.clone(), config.gateway.clone(), config.journal);
        let tracer = config.traces.then(|| Arc::new(Tracer::of_process("edge")));
        let hook = config.hook.clone().map(|hook| Hook::new(hook, bus.clone()));
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
            roster: roster(&config, &bus, mailboxes.clone()),
            shards: mailboxes.iter().map(shard_handle).collect(),
            metrics: Metrics::new(),
            queries: Queries::new(),
            parties: parties(&config),
            budget: Budget::new(config.outbox_budget, mailboxes.len()),
            door: Door::new(config.admission.clone()),
            handshakes: Semaphore::new(config.max_handshakes),
            refusals: Semaphore::new(refusals(config.reserved_descriptors)),
            session_prefix: random_prefix(),
            carriers: Carriers::new(random_prefix()),
            places: Places::new(connection_limit, config.admission.connections_per_address),
            unfinished: Unfinished::new(unfinished(&config, connection_limit)),
            drain: Drain::new(config.drain),
            past: PastCloses::new(),
            started_at_ms: unix_ms(SystemTime::now()),
            hook,
            bus,
            keyring,
            registrar,
            tls: tls(&config)?,
            revoked: Revoked::default(),
            desks,
            config,
        });
        let commands = serve_commands(&gateway);
        Ok(Self {
            gateway,
            listener,
            seats,
            address,
            commands,
            orderbooks,
            journal,
        })
    }

    /// Where clients connect.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The URL that clients connect to.
    pub fn url(&self) -> String {
        let scheme = match self.gateway.tls {
            None => "ws",
            Some(_) => "wss",
        };
        format!("{scheme}://{}{WEBSOCKET_PATH}", self.address)
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
        serve_desks(&self.gateway, self.orderbooks, scope);
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
        if let Some(roster) = self.gateway.roster.clone() {
            let ending = handle.clone();
            let stop = async move { ending.ended().await };
            scope.spawn("presence", roster.run(stop));
        }
        let gateway = self.gateway.clone();
        scope.spawn_cancellable("edge-bus", async move { gateway.follow_bus().await });
        if let Some(tls) = self.gateway.tls.clone() {
            scope.spawn_cancellable("certificates", tls.keep_fresh());
        }
        let gateway = self.gateway.clone();
        scope.spawn_cancellable("revocations", async move {
            gateway.follow_revocations().await;
        });
        // A client's handshake that panics takes only itself down.
        let front = scope.contained_child("front");
        let (gateway, callers, ending) = (self.gateway.clone(), front.clone(), scope.clone());
        let listener = self.listener;
        scope.spawn("accept", async move {
            // Nobody is let in who may have been shut out.
            tokio::select! {
                () = gateway.learn_revocations() => listener.run(gateway, callers).await,
                () = ending.cancelled() => {}
            }
        });
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

/// Does what shards want done.
fn serve_desks(gateway: &Arc<Gateway>, orderbooks: Orderbooks, scope: &Scope) {
    let Orderbooks {
        user_looks,
        claims,
        wills,
        refreshes,
    } = orderbooks;
    if let Some(users) = user_looks {
        let limit = gateway.config.user_limit;
        let enforce = user_limit::enforce(gateway.clone(), limit, users);
        scope.spawn_cancellable("user-limit", enforce);
    }
    if let Some(claims) = claims {
        let fence = fencing::fence(gateway.clone(), claims);
        scope.spawn_cancellable("fencing", fence);
    }
    if let Some(orders) = wills {
        let armory = Armory::new(gateway.bus.clone());
        scope.spawn_cancellable("wills", will_desk::serve(armory, orders));
    }
    let verify = refreshing::serve(gateway.clone(), refreshes);
    scope.spawn_cancellable("refreshes", verify);
}

/// Knows who is in channels, if any namespace keeps that.
fn roster(
    config: &EdgeConfig,
    bus: &Arc<dyn Bus>,
    mailboxes: Arc<[Mailbox]>,
) -> Option<Arc<Roster>> {
    let mut policies = config.policies.namespaces.values();
    let tell = move |channel: &Channel, told: Told| {
        let told = Arc::new(told);
        for mailbox in &*mailboxes {
            mailbox.push(Mail::Presence(channel.clone(), told.clone()));
        }
    };
    policies.any(|policy| policy.presence).then(|| {
        let (bus, gateway) = (bus.clone(), config.gateway.clone());
        Roster::new(bus, gateway, config.presence, Box::new(tell))
    })
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

/// Who we are to clients.
fn tls(config: &EdgeConfig) -> Result<Option<Arc<tls::Server>>, tls::ServerError> {
    let server = config.tls.clone().map(tls::Server::new).transpose()?;
    Ok(server.map(Arc::new))
}

/// How many connections the configuration and the descriptors allow.
fn connection_limit(config: &EdgeConfig) -> usize {
    let descriptors = descriptor_budget(config.reserved_descriptors);
    config.max_connections.min(descriptors)
}

/// How many sockets may be before Hello: a part of the connections, and no fewer than
/// may wait for a refusal.
fn unfinished(config: &EdgeConfig, connections: usize) -> usize {
    let share = connections as u128 * u128::from(config.unfinished_percent) / 100;
    refusals(config.reserved_descriptors).max(share as usize)
}

/// What users and addresses may send.
fn parties(config: &EdgeConfig) -> Parties {
    let (user, address) = (config.user_upstream, config.address_upstream);
    Parties::new(user, address, config.admission.clone())
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
