//! What the checks are written with: sinks and handlers that record, and
//! short ways to say common things.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{sync::Notify, task::JoinHandle};

use super::PATIENCE;
use crate::{
    BusExt,
    port::{
        Bus, BusError, Done, Handler, HistoryPage, HistoryRead, Incoming, Log, LogLimits, Message,
        Outgoing, Request, RequestContext, Sink,
    },
    subject::{Pattern, Subject},
};

/// Records whatever comes and lets a check wait for it.
pub(super) struct Seen<T> {
    items: Mutex<Vec<T>>,
    arrived: Notify,
}

/// A handler made of a function.
pub(super) struct Answers<F>(pub(super) F);

/// A sink made of a function.
pub(super) struct Takes<F>(pub(super) F);

// === impl Seen ===

impl<T: Clone> Seen<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            items: Mutex::new(Vec::new()),
            arrived: Notify::new(),
        })
    }

    pub(super) fn push(&self, item: T) {
        self.items.lock().push(item);
        self.arrived.notify_one();
    }

    pub(super) fn items(&self) -> Vec<T> {
        self.items.lock().clone()
    }

    /// Waits until there are at least `count` items and gives them all.
    pub(super) async fn wait(&self, count: usize) -> Vec<T> {
        let enough = async {
            while self.items.lock().len() < count {
                self.arrived.notified().await;
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, enough).await;
        assert!(
            outcome.is_ok(),
            "only {} of {count} came",
            self.items.lock().len()
        );
        self.items()
    }
}

impl Sink for Seen<Message> {
    fn deliver(&self, message: &Message) {
        self.push(message.clone());
    }

    fn lost(&self, _dropped: u64) {}
}

impl<T: Clone + Send + 'static> Seen<Result<T, BusError>> {
    /// A `done` that records its outcome.
    pub(super) fn done(self: &Arc<Self>) -> Done<T> {
        let seen = Arc::clone(self);
        Box::new(move |outcome| seen.push(outcome))
    }
}

// === impl Answers ===

impl<F: Fn(Incoming) + Send + Sync> Handler for Answers<F> {
    fn handle(&self, request: Incoming) {
        (self.0)(request);
    }
}

// === impl Takes ===

impl<F: Fn(&Message) + Send + Sync> Sink for Takes<F> {
    fn deliver(&self, message: &Message) {
        (self.0)(message);
    }

    fn lost(&self, _dropped: u64) {}
}

pub(super) fn subject(text: &str) -> Subject {
    Subject::new(text).expect("a valid subject")
}

pub(super) fn pattern(text: &str) -> Pattern {
    Pattern::new(text).expect("a valid pattern")
}

pub(super) fn message(to: &str, payload: impl ToString) -> Outgoing {
    Outgoing {
        subject: subject(to),
        payload: payload.to_string().into(),
        key: "".into(),
        published_at_us: 0,
        message_id: "".into(),
        traceparent: Box::default(),
    }
}

pub(super) fn question(to: &str, payload: &str) -> Request {
    Request {
        subject: subject(to),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        deadline: PATIENCE,
        context: RequestContext::default(),
    }
}

/// Answers every request with `name`.
pub(super) fn answer(name: &'static str) -> Arc<dyn Handler> {
    Arc::new(Answers(move |request: Incoming| {
        request
            .responder
            .reply(Ok(Bytes::from_static(name.as_bytes())));
    }))
}

/// Payloads as numbers, for checks that publish numbers.
pub(super) fn numbers(messages: &[Message]) -> Vec<u64> {
    let text = |message: &Message| String::from_utf8_lossy(&message.payload).into_owned();
    messages
        .iter()
        .map(|message| text(message).parse().expect("a number"))
        .collect()
}

pub(super) async fn listen(bus: &Arc<dyn Bus>, to: &str) -> Arc<Seen<Message>> {
    let seen = Seen::new();
    let sink: Arc<dyn Sink> = seen.clone();
    bus.listen(pattern(to), sink).await.expect("subscribes");
    seen
}

pub(super) async fn send(bus: &Arc<dyn Bus>, to: &str, payload: impl ToString) {
    bus.send(message(to, payload)).await.expect("publishes");
}

pub(super) async fn keep_log(bus: &Arc<dyn Bus>, of: &str, messages: usize) {
    let limits = LogLimits {
        messages,
        age: Duration::from_secs(3_600),
    };
    bus.keep_log(log(of, limits)).await.expect("declares");
}

/// A log of one pattern, called after it.
pub(super) fn log(of: &str, limits: LogLimits) -> Log {
    let name = of.replace(['.', '*', '>'], "-");
    Log {
        name: format!("log-{name}").into(),
        patterns: vec![pattern(of)],
        limits,
    }
}

pub(super) async fn history(bus: &Arc<dyn Bus>, of: &str) -> HistoryPage {
    let read = HistoryRead::after(subject(of), wire::Offset::NONE, 100_000);
    bus.read(read).await.expect("has a log")
}

/// Publishes numbers from a thread of their own, beginning with `first`.
/// Gives way where the bus is overloaded.
pub(super) fn publish_range(
    bus: &Arc<dyn Bus>,
    to: &str,
    range: std::ops::Range<u64>,
) -> JoinHandle<()> {
    let (bus, to) = (Arc::clone(bus), to.to_owned());
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        for number in range {
            while runtime.block_on(bus.send(message(&to, number))) == Err(BusError::Overloaded) {
                std::thread::yield_now();
            }
        }
    })
}

pub(super) async fn joined(task: JoinHandle<()>) {
    let outcome = tokio::time::timeout(PATIENCE, task).await;
    outcome.expect("ends in time").expect("does not panic");
}
