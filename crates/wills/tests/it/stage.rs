//! A bus with a gateway that registers sessions, workers, control planes, and ears
//! for what is told.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bus::{
    Bus, BusError, BusExt, Expect, Handler, Incoming, MemoryBus, Message, Pattern, Remove,
    Responder, Sink, Subject, Table,
};
use bytes::Bytes;
use lifecycle::Scope;
use parking_lot::Mutex;
use prost::Message as _;
use registry::{ConnectionRecord, Registrar};
use tokio::{task::JoinHandle, time::sleep};
use wills::{Armory, Keeper, KeeperConfig, NewWill, WillError};
use wire::{
    ConnectionId, GatewayId, SessionId, UserId,
    control::{WillEvent, WillEventKind},
    gateway::{
        Command, CommandReply, ConnectionCount, RegisteredConnection, command,
        command_reply::Reply, target,
    },
};

/// The grace of all wills here, unless a test is about it.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// What sessions sent away get on top.
pub(crate) const ALLOWANCE: Duration = Duration::from_secs(60);

/// How long wills are tried for.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(300);

/// Everything a test needs.
pub(crate) struct Stage {
    pub(crate) bus: Arc<MemoryBus>,
    /// Runs what a test starts.
    pub(crate) scope: Scope,
    pub(crate) armory: Armory,
    registrar: Arc<Registrar>,
    gateway: GatewayId,
    /// Sessions that the gateway says it holds.
    held: Arc<Holder>,
    events: Arc<Events>,
}

/// Requests that workers got, by idempotency key, and what they do with them.
#[derive(Default)]
pub(crate) struct Orders {
    got: Mutex<HashMap<String, Vec<Bytes>>>,
    waiting: Mutex<Vec<Responder>>,
}

/// A worker that answers by a function; `None`: not yet.
struct Worker<F> {
    orders: Arc<Orders>,
    answer: F,
}

#[derive(Default)]
struct Holder(Mutex<HashSet<String>>);

#[derive(Default)]
struct Events(Mutex<Vec<WillEvent>>);

// === impl Stage ===

impl Stage {
    pub(crate) async fn set() -> Self {
        let bus = Arc::new(MemoryBus::new());
        let scope = Scope::root();
        let runs = bus.clone();
        scope.spawn_cancellable("bus", async move { runs.run().await });
        registry::declare(&*bus).await.expect("memory takes it");
        wills::declare(&*bus).await.expect("memory takes it");
        let events = Arc::new(Events::default());
        let pattern = Pattern::new(wills::EVENTS_PATTERN).expect("valid");
        bus.listen(pattern, events.clone()).await.expect("listens");
        let gateway = GatewayId::new("gw1").expect("valid");
        let registrar = Arc::new(Registrar::new(bus.clone(), gateway.clone(), "test", 0));
        let runs = registrar.clone();
        scope.spawn_cancellable("registrar", async move { runs.run(|| {}).await });
        let held = Arc::new(Holder::default());
        bus.serve(Subject::of_gateway(&gateway), held.clone());
        Self {
            armory: Armory::new(bus.clone()),
            bus,
            scope,
            registrar,
            gateway,
            held,
            events,
        }
    }

    /// A control plane's keeper.
    pub(crate) fn keeper(&self) -> JoinHandle<Option<()>> {
        self.keeper_on(self.bus.clone())
    }

    pub(crate) fn keeper_on(&self, bus: Arc<dyn Bus>) -> JoinHandle<Option<()>> {
        let config = KeeperConfig {
            drain_allowance: ALLOWANCE,
            give_up: GIVE_UP,
        };
        let running = Keeper::new(bus, config).run(std::future::pending());
        self.scope.spawn_cancellable("keeper", running)
    }

    /// Workers of the route `cancel`.
    pub(crate) fn workers(
        &self,
        answer: impl Fn() -> Option<Result<Bytes, BusError>> + Send + Sync + 'static,
    ) -> Arc<Orders> {
        let orders = Arc::new(Orders::default());
        let worker = Worker {
            orders: orders.clone(),
            answer,
        };
        self.bus.serve(route(), Arc::new(worker));
        orders
    }

    /// The session gets a connection, its `epoch`th.
    pub(crate) fn connect(&self, session: u32, epoch: u32) {
        let record = self.record(session, epoch);
        self.held.0.lock().insert(record.entry.session_id.clone());
        self.registrar.opened(record, None);
    }

    /// That connection ends.
    pub(crate) fn close(&self, session: u32, epoch: u32, cause: &'static str) {
        let record = self.record(session, epoch);
        self.held.0.lock().remove(&record.entry.session_id);
        self.registrar.closed(record, cause);
    }

    /// Arms the session's will, which says its number.
    pub(crate) async fn arm(&self, session: u32) {
        self.armory.arm(will(session)).await.expect("armed");
    }

    pub(crate) async fn disarm(&self, session: u32) -> Result<(), WillError> {
        self.armory
            .disarm(&user(session), SessionId(session.into()))
            .await
    }

    /// Loses what the registry knows of connections, as servers do that come back
    /// without their memory.
    pub(crate) async fn forget_connections(&self) {
        let table = Table("tg_registry");
        let all = vec![Pattern::new(">").expect("valid")];
        for entry in self.bus.look_up(table, all).await.expect("declared") {
            let remove = Remove {
                table,
                key: entry.key,
                expect: Expect::Anything,
            };
            self.bus.erase(remove).await.expect("declared");
        }
    }

    /// Loses a session without a word, as a gateway that dies.
    pub(crate) async fn forget_session(&self, session: u32) {
        let name = SessionId(session.into()).to_string();
        self.held.0.lock().remove(&name);
        self.forget_connections().await;
    }

    /// What was told of the session's wills, without repetitions.
    pub(crate) fn told(&self, session: u32) -> Vec<WillEventKind> {
        let events = self.events_of(session);
        events.iter().map(WillEvent::kind).collect()
    }

    pub(crate) fn events_of(&self, session: u32) -> Vec<WillEvent> {
        let name = SessionId(session.into()).to_string();
        let events = self.events.0.lock();
        let of_session = |event: &&WillEvent| {
            let will = event.will.as_ref();
            will.is_some_and(|will| will.session_id == name)
        };
        events.iter().filter(of_session).cloned().collect()
    }

    /// Waits until `condition` holds; on paused time that costs nothing.
    pub(crate) async fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        for _ in 0..100_000 {
            if condition() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain until {what}");
    }

    fn record(&self, session: u32, epoch: u32) -> ConnectionRecord {
        let id = ConnectionId {
            gateway: self.gateway.clone(),
            shard: 0,
            slot: session,
            generation: epoch,
        };
        let user = user(session);
        let session = SessionId(session.into());
        let entry = RegisteredConnection {
            connection_id: id.to_string(),
            session_id: session.to_string(),
            user: user.to_string(),
            session_epoch: epoch.into(),
            ..RegisteredConnection::default()
        };
        ConnectionRecord {
            id,
            session,
            user,
            entry,
        }
    }
}

/// What a session leaves here.
pub(crate) fn will(session: u32) -> NewWill {
    NewWill {
        user: user(session),
        session: SessionId(session.into()),
        connection: "gw1.0.1.1".parse().expect("valid"),
        route: "cancel".to_owned(),
        subject: route(),
        payload: Bytes::from(session.to_string()),
        grace: GRACE,
        deadline: Duration::from_secs(5),
        redelivers: false,
    }
}

fn user(session: u32) -> UserId {
    // A name that is no token as it is.
    UserId::new(&format!("ann.{session}@example")).expect("valid")
}

fn route() -> Subject {
    Subject::of_route("cancel").expect("valid")
}

// === impl Orders ===

impl Orders {
    /// How often workers were asked by this session.
    pub(crate) fn of(&self, session: u32) -> usize {
        let payload = session.to_string();
        let got = self.got.lock();
        let of_session = |payloads: &&Vec<Bytes>| payloads[0] == payload.as_bytes();
        got.values().filter(of_session).map(Vec::len).sum()
    }

    /// Keys that workers were asked with.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.got.lock().keys().cloned().collect()
    }
}

impl<F> Handler for Worker<F>
where
    F: Fn() -> Option<Result<Bytes, BusError>> + Send + Sync,
{
    fn handle(&self, request: Incoming) {
        let key = request.context.idempotency_key.to_string();
        let answer = (self.answer)();
        self.orders
            .got
            .lock()
            .entry(key)
            .or_default()
            .push(request.payload);
        match answer {
            Some(outcome) => request.responder.reply(outcome),
            None => self.orders.waiting.lock().push(request.responder),
        }
    }
}

// === impl Holder ===

impl Handler for Holder {
    fn handle(&self, request: Incoming) {
        let command = Command::decode(request.payload).expect("a command");
        let connections = match command.command {
            Some(command::Command::CountConnections(count)) => {
                match count.target.and_then(|target| target.target) {
                    Some(target::Target::SessionId(id)) => self.0.lock().contains(&id).into(),
                    other => panic!("nobody asks for {other:?}"),
                }
            }
            other => panic!("nobody sends {other:?}"),
        };
        let count = ConnectionCount {
            connections,
            ..ConnectionCount::default()
        };
        let reply = CommandReply {
            reply: Some(Reply::ConnectionCount(count)),
        };
        request.responder.reply(Ok(reply.encode_to_vec().into()));
    }
}

impl Sink for Events {
    fn deliver(&self, message: &Message) {
        let event = WillEvent::decode(message.payload.clone()).expect("an event");
        self.0.lock().push(event);
    }

    fn lost(&self, _dropped: u64) {}
}
