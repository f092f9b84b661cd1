//! Gateways that share a bus, and a worker that does what it is told.

use std::{
    cell::OnceCell,
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bus::{Handler, Incoming, MemoryBus, RequestContext, Subject, SubscriptionToken};
use bytes::Bytes;
use journal::{Call, Desk, Journal, NotDone, Outcome, Redelivery, Settings};
use lifecycle::Scope;
use parking_lot::Mutex;
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};
use wire::{GatewayId, UserId};

use crate::unsteady::Unsteady;

/// How long callers wait.
pub(crate) const DEADLINE: Duration = Duration::from_secs(1);

/// How long late answers are taken.
pub(crate) const LATE: Duration = Duration::from_millis(500);

/// Longer than any claim lasts.
pub(crate) const LAPSED: Duration = Duration::from_secs(10);

/// How long answers are kept.
pub(crate) const KEPT: Duration = Duration::from_secs(600);

/// A bus, and what runs on it.
pub(crate) struct Stage {
    pub(crate) bus: Arc<Unsteady>,
    pub(crate) worker: Arc<Worker>,
    memory: Arc<MemoryBus>,
    scope: Scope,
}

/// A gateway's journal.
pub(crate) struct Gateway {
    desk: Desk,
    scope: Scope,
}

/// Executes requests, and counts.
#[derive(Default)]
pub(crate) struct Worker {
    /// What each key's execution came to; several if it was executed often.
    executed: Mutex<HashMap<String, Vec<String>>>,
    /// Requests taken and not dealt with.
    held: Mutex<Vec<Incoming>>,
}

/// A worker that is a function.
struct Function<F>(F);

/// A command as clients repeat it.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(crate) user: &'static str,
    pub(crate) key: String,
    pub(crate) payload: &'static str,
    pub(crate) redelivery: Redelivery,
}

// === impl Stage ===

impl Stage {
    pub(crate) async fn new() -> Self {
        let memory = Arc::new(MemoryBus::new());
        let scope = Scope::root();
        let running = memory.clone();
        scope.spawn_cancellable("bus", async move { running.run().await });
        journal::declare(&*memory, KEPT).await.expect("memory");
        Self {
            bus: Unsteady::new(memory.clone(), scope.child("operations")),
            worker: Arc::default(),
            memory,
            scope,
        }
    }

    pub(crate) fn gateway(&self) -> Gateway {
        self.gateway_with(settings())
    }

    /// A gateway that ends in order when told to, and its end.
    pub(crate) fn ending_gateway(&self) -> (Gateway, oneshot::Sender<()>, JoinHandle<()>) {
        let scope = self.scope.child("gateway");
        let name = GatewayId::new("gw").expect("valid");
        let (desk, journal) = Journal::new(self.bus.clone(), name, settings());
        let (stop, stopped) = oneshot::channel();
        let run = journal.run(async { drop(stopped.await) }, LATE);
        let ended = scope.spawn("journal", run);
        (Gateway { desk, scope }, stop, ended)
    }

    pub(crate) fn gateway_with(&self, settings: Settings) -> Gateway {
        let scope = self.scope.child("gateway");
        let name = GatewayId::new("gw").expect("valid");
        let (desk, journal) = Journal::new(self.bus.clone(), name, settings);
        scope.spawn_cancellable("journal", journal.run(std::future::pending(), LATE));
        Gateway { desk, scope }
    }

    /// Serves requests by `handle`.
    pub(crate) fn serve(
        &self,
        handle: impl Fn(&Arc<Worker>, Incoming) + Send + Sync + 'static,
    ) -> SubscriptionToken {
        let worker = self.worker.clone();
        let handler = Function(move |request| handle(&worker, request));
        bus::Bus::serve(&*self.memory, subject(), Arc::new(handler))
    }

    pub(crate) fn stop_serving(&self, token: SubscriptionToken) {
        bus::Bus::unsubscribe(&*self.memory, token);
    }

    pub(crate) async fn end(self) {
        let outcome = self.scope.drain(LAPSED).await;
        assert_eq!(outcome, lifecycle::DrainOutcome::Finished);
        assert_eq!(self.scope.panicked(), None);
    }
}

// === impl Gateway ===

impl Gateway {
    /// Asks; `None`: the gateway died before it said anything.
    pub(crate) async fn ask(&self, command: &Command) -> Option<Outcome> {
        let (tell, told) = oneshot::channel();
        let call = command.call(Box::new(move |outcome| drop(tell.send(outcome))));
        match self.desk.hand_in(call) {
            Ok(()) => told.await.ok(),
            Err(_refused) => Some(Err(NotDone::Unavailable)),
        }
    }

    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Ends it as kill -9 does: it says nothing to anybody any more.
    pub(crate) fn die(&self) {
        self.scope.cancel();
    }
}

// === impl Worker ===

impl Worker {
    /// Executes, and tells what to answer.
    pub(crate) fn execute(&self, request: &Incoming) -> Bytes {
        let mut executed = self.executed.lock();
        let key = request.context.idempotency_key.to_string();
        let of_key = executed.entry(key.clone()).or_default();
        of_key.push(format!("{key} {}", of_key.len()));
        of_key[of_key.len() - 1].clone().into()
    }

    /// Executes a key once, however often it comes.
    pub(crate) fn execute_once(&self, request: &Incoming) -> Bytes {
        let key = &*request.context.idempotency_key;
        let first = self.executed.lock().get(key).map(|of| of[0].clone());
        first.map_or_else(|| self.execute(request), Bytes::from)
    }

    /// How often the key was executed.
    pub(crate) fn executions(&self, key: &str) -> usize {
        self.executed.lock().get(key).map_or(0, Vec::len)
    }

    pub(crate) fn hold(&self, request: Incoming) {
        self.held.lock().push(request);
    }

    pub(crate) fn take(&self) -> Vec<Incoming> {
        std::mem::take(&mut self.held.lock())
    }
}

impl<F: Fn(Incoming) + Send + Sync> Handler for Function<F> {
    fn handle(&self, request: Incoming) {
        (self.0)(request);
    }
}

// === impl Command ===

impl Command {
    pub(crate) fn new(key: &str) -> Self {
        Self {
            user: "alice",
            key: key.to_owned(),
            payload: "one",
            redelivery: Redelivery::Never,
        }
    }

    pub(crate) fn deduplicated(key: &str) -> Self {
        Self {
            redelivery: Redelivery::WorkerDeduplicates,
            ..Self::new(key)
        }
    }

    pub(crate) fn call(&self, tell: journal::Tell) -> Call {
        Call {
            user: UserId::new(self.user).expect("valid"),
            idempotency_key: self.key.as_str().into(),
            route: "shop.buy".into(),
            subject: subject(),
            payload: self.payload.into(),
            deadline: DEADLINE,
            context: RequestContext::default(),
            redelivery: self.redelivery,
            admit: Box::new(|| Ok(Box::new(|_| {}))),
            tell: Some(tell),
        }
    }
}

/// Answers with what an execution came to.
pub(crate) fn executes(worker: &Arc<Worker>, request: Incoming) {
    let payload = worker.execute(&request);
    request.responder.reply(Ok(payload));
}

pub(crate) fn subject() -> Subject {
    Subject::of_route("shop.buy").expect("valid")
}

pub(crate) fn settings() -> Settings {
    Settings {
        late: LATE,
        max_under_way: 100,
        clock,
    }
}

/// The clock of a gateway that takes every claim for a lapsed one.
pub(crate) fn clock_ahead() -> SystemTime {
    clock() + LAPSED
}

/// A wall clock that goes with the runtime's, which tests stop.
pub(crate) fn clock() -> SystemTime {
    thread_local!(static START: OnceCell<Instant> = const { OnceCell::new() });
    let since = START.with(|start| start.get_or_init(Instant::now).elapsed());
    UNIX_EPOCH + Duration::from_secs(1_800_000_000) + since
}
