//! The bus on real nats-servers, from outside: the suite that every adapter
//! passes, and what only this one promises.

mod credentials;
mod outages;
mod strangers;
mod waiting;

use std::{pin::Pin, sync::Arc, time::Duration};

use bus::{
    Bus, BusState, Handler, Incoming, Message, NatsBus, NatsOptions, Origin, Outgoing, Pattern,
    Request, RequestContext, Sink, Subject, contract::Fixture,
};
use parking_lot::Mutex;
use testkit::{NatsServer, eventually, within};
use tokio::sync::Notify;

bus::contract::tests!(make);

/// A bus on a server of its own.
async fn make() -> Fixture {
    let server = NatsServer::start().await;
    let (bus, running) = connect(&server.url()).await;
    Fixture {
        bus,
        background: Box::pin(async move {
            running.await;
            drop(server);
        }),
    }
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A bus that is up, and what keeps it so while it is polled.
async fn connect(url: &str) -> (Arc<NatsBus>, Running) {
    connect_with(NatsOptions::local(url)).await
}

async fn connect_with(options: NatsOptions) -> (Arc<NatsBus>, Running) {
    let connecting = NatsBus::connect(options);
    let bus = connecting.await.expect("NATS is there");
    let runs = Arc::clone(&bus);
    let mut running: Running = Box::pin(async move { runs.run().await });
    tokio::select! {
        () = &mut running => panic!("the bus ended"),
        () = becomes(&bus, true) => {}
    }
    (bus, running)
}

/// Runs `case` beside the bus.
async fn beside(running: Running, case: impl Future<Output = ()>) {
    tokio::select! {
        () = case => {}
        () = running => panic!("the bus ended before the check did"),
    }
}

/// Waits until the bus is up, or is down.
async fn becomes(bus: &NatsBus, up: bool) {
    let mut state = bus.state();
    let reached = state.wait_for(|state| (*state == BusState::Up) == up);
    let reached = within(if up { "up" } else { "down" }, reached).await;
    assert!(reached.is_ok(), "the bus ended");
}

/// What a sink was given, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Given {
    /// A message, by its payload.
    Message(String),
    Lost,
    /// The word that its publisher had come so far.
    Reached(u64),
}

/// Records what it is given.
#[derive(Default)]
struct Record {
    given: Mutex<Vec<Given>>,
    messages: Mutex<Vec<Message>>,
    arrived: Notify,
}

/// Keeps requests unanswered.
#[derive(Default)]
struct Kept(Mutex<Vec<Incoming>>);

/// Answers every request with its payload.
struct Echo;

// === impl Record ===

impl Record {
    async fn until(&self, what: &str, condition: impl Fn(&[Given]) -> bool) -> Vec<Given> {
        let reached = async {
            while !condition(&self.given.lock()) {
                self.arrived.notified().await;
            }
        };
        within(what, reached).await;
        self.given.lock().clone()
    }
}

impl Sink for Record {
    fn deliver(&self, message: &Message) {
        let payload = String::from_utf8_lossy(&message.payload).into_owned();
        self.messages.lock().push(message.clone());
        self.given.lock().push(Given::Message(payload));
        self.arrived.notify_one();
    }

    fn lost(&self, _dropped: u64) {
        self.given.lock().push(Given::Lost);
        self.arrived.notify_one();
    }

    fn reached(&self, _subject: &Subject, origin: Origin) {
        self.given.lock().push(Given::Reached(origin.sequence));
        self.arrived.notify_one();
    }
}

// === impl Kept ===

impl Handler for Kept {
    fn handle(&self, request: Incoming) {
        self.0.lock().push(request);
    }
}

// === impl Echo ===

impl Handler for Echo {
    fn handle(&self, request: Incoming) {
        request.responder.reply(Ok(request.payload));
    }
}

fn subject(text: &str) -> Subject {
    Subject::new(text).expect("valid")
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text).expect("valid")
}

fn outgoing(to: &str, payload: &str) -> Outgoing {
    Outgoing {
        subject: subject(to),
        payload: payload.to_owned().into(),
        key: "".into(),
        published_at_us: 0,
        message_id: "".into(),
        traceparent: Box::default(),
    }
}

fn question(to: &str, payload: &str) -> Request {
    Request {
        subject: subject(to),
        payload: payload.to_owned().into(),
        deadline: Duration::from_secs(20),
        context: RequestContext::default(),
    }
}

fn message(payload: &str) -> Given {
    Given::Message(payload.to_owned())
}
