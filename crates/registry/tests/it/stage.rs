//! A bus with the registry declared, gateways on it, and ears for events.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bus::{
    Bus, BusExt, Expect, Handler, Incoming, MemoryBus, Message, Pattern, Remove, Sink, Subject,
    SubscriptionToken, Table,
};
use lifecycle::Scope;
use parking_lot::Mutex;
use prost::Message as _;
use registry::{ConnectionRecord, Reader, Registrar};
use tokio::task::JoinHandle;
use wire::{
    ConnectionId, GatewayId, SessionId, UserId,
    control::{ConnectionEvent, ConnectionEventKind},
    gateway::RegisteredConnection,
};

/// Everything a test needs.
pub(crate) struct Stage {
    pub(crate) bus: Arc<MemoryBus>,
    pub(crate) reader: Reader,
    /// Runs what a test starts.
    pub(crate) scope: Scope,
    events: Arc<Events>,
}

/// A gateway: its registrar at work, and its command subject served.
pub(crate) struct Gateway {
    pub(crate) registrar: Arc<Registrar>,
    pub(crate) id: GatewayId,
    bus: Arc<MemoryBus>,
    serving: SubscriptionToken,
    running: JoinHandle<Option<()>>,
}

#[derive(Default)]
struct Events(Mutex<Vec<ConnectionEvent>>);

/// Answers every command with nothing, which is an answer.
struct Alive;

// === impl Stage ===

impl Stage {
    pub(crate) async fn set() -> Self {
        let bus = Arc::new(MemoryBus::new());
        let runs = bus.clone();
        let scope = Scope::root();
        scope.spawn_cancellable("bus", async move { runs.run().await });
        registry::declare(&*bus).await.expect("memory takes it");
        let events = Arc::new(Events::default());
        let pattern = Pattern::new(registry::EVENTS_PATTERN).expect("valid");
        bus.listen(pattern, events.clone()).await.expect("listens");
        let shared: Arc<dyn Bus> = bus.clone();
        Self {
            reader: Reader::new(shared),
            bus,
            scope,
            events,
        }
    }

    pub(crate) fn gateway(&self, name: &str) -> Gateway {
        let id = GatewayId::new(name).expect("valid");
        let registrar = Arc::new(Registrar::new(self.bus.clone(), id.clone(), "test", 0));
        let runs = registrar.clone();
        let working = async move { runs.run(|| {}).await };
        let running = self.scope.spawn_cancellable("registrar", working);
        let serving = self.bus.serve(Subject::of_gateway(&id), Arc::new(Alive));
        Gateway {
            registrar,
            id,
            bus: self.bus.clone(),
            serving,
            running,
        }
    }

    /// Events of each connection, as `opened` or the cause of the end.
    pub(crate) fn told(&self) -> HashMap<String, Vec<String>> {
        let mut told: HashMap<_, Vec<_>> = HashMap::new();
        for event in self.events.0.lock().iter() {
            let connection = event.connection.clone().unwrap_or_default().connection_id;
            let word = match event.kind() {
                ConnectionEventKind::Opened => "opened".to_owned(),
                _ => event.cause.clone(),
            };
            told.entry(connection).or_default().push(word);
        }
        told
    }

    /// A connection at the gateway.
    pub(crate) fn record(&self, gateway: &str, slot: u32, user: &str) -> ConnectionRecord {
        record(&GatewayId::new(gateway).expect("valid"), slot, user)
    }

    /// Takes an entry away.
    pub(crate) async fn erase(&self, table: &'static str, key: Subject) {
        let remove = Remove {
            table: Table(table),
            key,
            expect: Expect::Anything,
        };
        self.bus.erase(remove).await.expect("declared");
    }

    /// Entries in a table.
    pub(crate) async fn count(&self, table: &'static str) -> usize {
        let all = vec![Pattern::new(">").expect("valid")];
        let entries = self.bus.look_up(Table(table), all).await;
        entries.expect("declared").len()
    }

    /// Waits until `condition` holds; on paused time that costs nothing.
    pub(crate) async fn until(&self, what: &str, mut condition: impl AsyncFnMut() -> bool) {
        for _ in 0..100_000 {
            if condition().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("waited in vain until {what}");
    }
}

// === impl Gateway ===

impl Gateway {
    pub(crate) fn record(&self, slot: u32, user: &str) -> ConnectionRecord {
        record(&self.id, slot, user)
    }

    /// Ends as by kill -9: nothing is written, nobody answers.
    pub(crate) fn die(self) {
        self.running.abort();
        self.bus.unsubscribe(self.serving);
    }

    /// Goes on, but is not heard: its entry stands still.
    pub(crate) fn fall_silent(&self) {
        self.running.abort();
    }
}

impl Handler for Alive {
    fn handle(&self, request: Incoming) {
        request.responder.reply(Ok(bytes::Bytes::new()));
    }
}

impl Sink for Events {
    fn deliver(&self, message: &Message) {
        let event = ConnectionEvent::decode(message.payload.clone()).expect("an event");
        self.0.lock().push(event);
    }

    fn lost(&self, _dropped: u64) {}
}

fn record(gateway: &GatewayId, slot: u32, user: &str) -> ConnectionRecord {
    let id = ConnectionId {
        gateway: gateway.clone(),
        shard: 0,
        slot,
        generation: 1,
    };
    let session = SessionId(u128::from(slot));
    let entry = RegisteredConnection {
        connection_id: id.to_string(),
        session_id: session.to_string(),
        user: user.to_owned(),
        ..RegisteredConnection::default()
    };
    ConnectionRecord {
        id,
        session,
        user: UserId::new(user).expect("valid"),
        entry,
    }
}
