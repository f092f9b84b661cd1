//! The NATS adapter.
//!
//! Three kinds of connections keep kinds of traffic apart: `control` for
//! requests, tables, logs' questions and serving; `fanout` for subscriptions;
//! `publish`, one or more, each subject always on the same one, so that order
//! holds. Callers never wait: what goes out passes a bounded queue
//! ([`lane`]), what comes back a table of calls ([`inbox`]).
//!
//! [`NatsBus::run`] owns what keeps the connections working. Subscriptions and
//! services have a task each, which ends with them or with the bus.

mod announcing;
mod chain;
mod chain_heads;
mod confirming;
mod feed;
mod headers;
mod history;
mod inbox;
mod lane;
mod line;
mod link;
mod log;
mod log_api;
mod log_config;
mod log_errands;
mod log_message;
mod log_publish;
mod log_stream;
mod log_streams;
mod log_tails;
mod options;
mod origins;
mod publishing;
mod serving;
mod subscribing;
mod tables;
mod waiting;

use std::{
    fmt, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use foldhash::{HashMap, HashMapExt};
use futures_util::FutureExt;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::{
    runtime::Handle,
    sync::watch,
    task::{AbortHandle, JoinSet},
};

pub use self::options::{NatsCredentials, NatsOptions, NatsTls};
use self::{
    announcing::Announced,
    lane::Outbound,
    line::Gate,
    link::Link,
    log::Logs,
    log_errands::Errands,
    log_streams::Streams,
    publishing::Publishers,
    serving::{EndpointStats, GROUP, Serving, Stop, cancel_subject},
    subscribing::Subscription,
    tables::Tables,
    waiting::CallId,
};
use crate::{
    metrics::BusMetrics,
    port::{
        Bus, BusError, BusState, Done, Entry, Handler, HistoryPage, HistoryRead, Log, Outgoing,
        Published, Put, Remove, Reply, Request, RequestToken, Revision, Service, Sink, Subscribed,
        SubscriptionToken, Table, TableSpec,
    },
    subject::{Pattern, Subject},
};

/// A bus on NATS with JetStream.
pub struct NatsBus {
    control: Arc<Link>,
    fanout: Arc<Link>,
    publishers: Publishers,
    logs: Arc<Logs>,
    tables: Arc<Tables>,
    errands: Arc<Errands>,
    /// Tasks of subscriptions, services and announcements.
    // A lock: held for a map operation.
    tasks: Mutex<HashMap<SubscriptionToken, Task>>,
    stats: Mutex<HashMap<Subject, Arc<EndpointStats>>>,
    tokens: AtomicU64,
    state: watch::Sender<BusState>,
    /// Callers may be threads without a runtime.
    runtime: Handle,
    metrics: Arc<BusMetrics>,
}

/// How a subscription or a service is ended.
enum Task {
    /// At once.
    Abort(AbortHandle),
    /// After what has come already is done.
    Finish(Stop),
}

/// Why there is no bus.
#[derive(Clone, Debug, Error)]
pub enum NatsError {
    /// No server can be reached, or none takes our credentials.
    #[error("connecting to {servers}")]
    Connect {
        /// What was tried.
        servers: String,
        /// What the client library says.
        source: Arc<async_nats::ConnectError>,
    },
    /// Credentials can't be read.
    #[error("reading credentials from {}", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// A connection ended while it was set up.
    #[error("the connection ended at once")]
    Ended,
}

// === impl NatsBus ===

impl NatsBus {
    /// Connects. The bus works while [`NatsBus::run`] runs.
    ///
    /// # Errors
    /// If a connection can't be made.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect(options: NatsOptions) -> Result<Arc<Self>, NatsError> {
        let gate = Gate::default();
        let control = Arc::new(Link::connect(&options, "control", &gate).await?);
        let fanout = Arc::new(Link::connect(&options, "fanout", &gate).await?);
        let mut publishers = Vec::new();
        for _ in 0..options.publish_connections.max(1) {
            let link = Link::connect(&options, "publish", &gate).await?;
            publishers.push(Arc::new(link));
        }
        let state = watch::Sender::new(BusState::Down("not probed yet".into()));
        let errands = Arc::new(Errands::new());
        let streams = Streams::new(control.inbox.clone(), options.replicas);
        let tables = Arc::new(Tables::new(streams.clone(), errands.clone()));
        let logs = Logs::new(streams, errands.clone(), state.subscribe(), &options);
        Ok(Arc::new(Self {
            control,
            fanout,
            publishers: Publishers::new(publishers, gate),
            logs: Arc::new(logs),
            tables,
            errands,
            tasks: Mutex::new(HashMap::new()),
            stats: Mutex::new(HashMap::new()),
            tokens: AtomicU64::new(1),
            state,
            runtime: Handle::current(),
            metrics: Arc::new(BusMetrics::new()),
        }))
    }

    /// Keeps the bus working. Never ends; its owner runs it beside the bus, once.
    /// Its tasks end when it is dropped.
    ///
    /// # Panics
    /// If one of its tasks does.
    pub async fn run(self: &Arc<Self>) {
        let mut tasks = JoinSet::new();
        for link in self.links() {
            link.run(&mut tasks);
        }
        let bus = self.clone();
        tasks.spawn(async move { bus.errands.run().await });
        let bus = self.clone();
        tasks.spawn(async move { bus.logs.run().await });
        let bus = self.clone();
        tasks.spawn(async move {
            tokio::join!(
                bus.tables.run(bus.state.subscribe()),
                bus.follow_state(),
                bus.follow_disturbances(),
                bus.publishers.run(),
            );
        });
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        // The connections have ended; whoever waits here waits for the owner.
        std::future::pending().await
    }

    /// Requests that wait for their outcome, and questions of the bus's own.
    pub fn waiting_requests(&self) -> usize {
        self.links().map(|link| link.inbox.len()).sum()
    }

    fn links(&self) -> impl Iterator<Item = &Arc<Link>> {
        [&self.control, &self.fanout]
            .into_iter()
            .chain(self.publishers.links())
    }

    /// The bus is up while all its connections are.
    async fn follow_state(&self) {
        let mut states: Vec<_> = self.links().map(|link| link.state()).collect();
        loop {
            let down = states
                .iter_mut()
                .map(|state| state.borrow_and_update().clone())
                .find(|state| *state != BusState::Up);
            let now = down.unwrap_or(BusState::Up);
            self.state.send_if_modified(|current| {
                let changed = *current != now;
                *current = now;
                changed
            });
            let changes = states.iter_mut().map(|state| Box::pin(state.changed()));
            let (_, _, _) = futures_util::future::select_all(changes).await;
        }
    }

    /// What disturbs subscriptions may have cost logs' messages as well.
    async fn follow_disturbances(&self) {
        let mut seen = self.fanout.seen();
        let mut known = *seen.borrow_and_update();
        while seen.changed().await.is_ok() {
            let now = *seen.borrow_and_update();
            let before = std::mem::replace(&mut known, now);
            if (now.connections, now.lags) != (before.connections, before.lags) {
                self.logs.disturb();
            }
        }
    }

    /// Starts a task under a new token. `begin` puts what it subscribes to onto
    /// the connection: tried at once, so that what the caller does next comes
    /// after it.
    fn start<T: Send + 'static>(
        &self,
        begin: impl Future<Output = T> + Send + 'static,
        then: impl AsyncThen<T>,
        stop: Option<Stop>,
    ) -> SubscriptionToken {
        let token = SubscriptionToken(self.tokens.fetch_add(1, Ordering::Relaxed));
        let mut begin = Box::pin(begin);
        let begun = begin.as_mut().now_or_never();
        let task = self.runtime.spawn(async move {
            let begun = match begun {
                Some(begun) => begun,
                None => begin.await,
            };
            then.run(begun).await;
        });
        let mut tasks = self.tasks.lock();
        if tasks.len().is_multiple_of(1024) {
            tasks.retain(|_, task| !matches!(task, Task::Abort(task) if task.is_finished()));
        }
        let end = stop.map_or_else(|| Task::Abort(task.abort_handle()), Task::Finish);
        tasks.insert(token, end);
        token
    }

    fn stats(&self, subject: &Subject) -> Arc<EndpointStats> {
        self.stats
            .lock()
            .entry(subject.clone())
            .or_default()
            .clone()
    }
}

/// What a task does once it has begun.
trait AsyncThen<T>: Send + 'static {
    fn run(self, begun: T) -> impl Future<Output = ()> + Send;
}

impl<T, F, Fut> AsyncThen<T> for F
where
    F: FnOnce(T) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    fn run(self, begun: T) -> impl Future<Output = ()> + Send {
        self(begun)
    }
}

impl Bus for NatsBus {
    fn publish(&self, outgoing: Outgoing, done: Done<Published>) {
        let metrics = self.metrics.clone();
        let done: Done<Published> = Box::new(move |outcome| {
            match &outcome {
                Ok(_) => metrics.published.increment(1),
                Err(_) => metrics.refused.increment(1),
            }
            done(outcome);
        });
        if let Some(log) = self.logs.of(&outgoing.subject) {
            return self.logs.publish(&log, &outgoing, done);
        }
        self.publishers.publish(outgoing, done);
    }

    fn subscribe(
        &self,
        pattern: Pattern,
        sink: Arc<dyn Sink>,
        done: Done<Subscribed>,
    ) -> SubscriptionToken {
        let (link, logs, metrics) = (self.fanout.clone(), self.logs.clone(), self.metrics.clone());
        let to = link.clone();
        let begin = async move { Subscription::begin(&link, &logs, &pattern, sink, metrics).await };
        let then = |begun: Result<Subscription, BusError>| async move {
            let mut subscription = match begun {
                Ok(subscription) => subscription,
                Err(error) => return done(Err(error)),
            };
            match subscription.confirmed(&to).await {
                Ok(subscribed) => done(Ok(subscribed)),
                Err(error) => return done(Err(error)),
            }
            drop(to);
            subscription.follow().await;
        };
        self.start(begin, then, None)
    }

    fn unsubscribe(&self, token: SubscriptionToken) {
        let task = self.tasks.lock().remove(&token);
        match task {
            Some(Task::Abort(task)) => task.abort(),
            Some(Task::Finish(stop)) => stop.stop(),
            None => {}
        }
    }

    fn request(&self, request: Request, done: Done<Reply>) -> RequestToken {
        let Request {
            subject,
            payload,
            deadline,
            context,
        } = request;
        let headers = headers::of_request(&context, deadline);
        let (lane, to) = (self.control.lane.clone(), cancel_subject(subject.as_str()));
        let abandon = move |reply: async_nats::Subject| {
            // A worker that does not hear it works in vain, no more.
            lane.push(Outbound {
                subject: to.into(),
                reply: None,
                headers: None,
                payload: reply.to_string().into(),
                done: None,
            });
        };
        let done = Box::new(move |outcome: Result<async_nats::Message, BusError>| {
            done(
                outcome.and_then(|reply| match headers::failure(reply.headers.as_ref()) {
                    Some(error) => Err(error),
                    None => Ok(Reply {
                        // A copy: the original holds on to the read buffer.
                        payload: bytes::Bytes::copy_from_slice(&reply.payload),
                    }),
                }),
            );
        });
        let inbox = &self.control.inbox;
        let to = subject.as_str().into();
        let call = inbox.request(to, headers, payload, deadline, abandon, done);
        RequestToken(call.0)
    }

    fn cancel(&self, token: RequestToken) {
        self.control.inbox.cancel(CallId(token.0));
    }

    fn serve(&self, subject: Subject, handler: Arc<dyn Handler>) -> SubscriptionToken {
        let cancellations = cancel_subject(subject.as_str());
        let requests = self.control.subscribe(subject.to_string(), Some(GROUP));
        let cancellations = self.control.subscribe(cancellations, None);
        let stats = self.stats(&subject);
        let serving = Serving::new(subject, handler, self.control.lane.clone(), stats);
        let stop = Stop::default();
        let (begun, stopped) = (stop.clone(), stop.clone());
        let begin = async move {
            begun.begin(requests.await.ok()?);
            cancellations.await.ok()
        };
        let then = |cancellations: Option<_>| async move {
            if let Some(cancellations) = cancellations {
                serving.run(cancellations, stopped).await;
            }
        };
        self.start(begin, then, Some(stop))
    }

    fn announce(&self, service: Service) -> SubscriptionToken {
        let endpoints = service.endpoints.iter();
        let stats = endpoints.map(|(_, subject)| self.stats(subject)).collect();
        let announced = Announced::new(service, stats, self.control.lane.clone());
        let questions = announced.questions().into_iter();
        let feeds = questions.map(|(verb, subject)| {
            let feed = self.control.subscribe(subject, None);
            async move { Ok::<_, BusError>((verb, feed.await?)) }
        });
        let begin = futures_util::future::try_join_all(feeds.collect::<Vec<_>>());
        let then = |begun: Result<_, BusError>| async move {
            // It fails only if the connection has ended.
            if let Ok(feeds) = begun {
                announced.run(feeds).await;
            }
        };
        self.start(begin, then, None)
    }

    fn declare_log(&self, log: Log, done: Done<()>) {
        self.logs.declare(log, done);
    }

    fn history(&self, read: HistoryRead, done: Done<HistoryPage>) {
        self.logs.history(read, done);
    }

    fn declare_table(&self, table: TableSpec, done: Done<()>) {
        self.tables.declare(table, done);
    }

    fn put(&self, put: Put, done: Done<Revision>) {
        self.tables.put(put, done);
    }

    fn remove(&self, remove: Remove, done: Done<()>) {
        self.tables.remove(remove, done);
    }

    fn entries(&self, table: Table, keys: Vec<Pattern>, done: Done<Vec<Entry>>) {
        self.tables.entries(table, keys, done);
    }

    fn state(&self) -> watch::Receiver<BusState> {
        self.state.subscribe()
    }
}

impl Drop for NatsBus {
    fn drop(&mut self) {
        for (_, task) in self.tasks.lock().drain() {
            match task {
                Task::Abort(task) => task.abort(),
                Task::Finish(stop) => stop.stop(),
            }
        }
    }
}

impl fmt::Debug for NatsBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsBus")
            .field("state", &*self.state.borrow())
            .finish_non_exhaustive()
    }
}
