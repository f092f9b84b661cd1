//! The one task of a client: it owns the socket, makes it again when it is lost,
//! and ends when the client is closed or refused for good.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    select,
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep_until, timeout},
};
use wire::{
    CloseVerdict,
    client::{ServerEvent, Welcome, server_event::Event as Said},
};

use crate::{
    backoff::Backoff,
    builder::Config,
    direct,
    error::Error,
    exchange::Exchange,
    greeting::{Session, Welcomed, greet},
    in_flight::Operation,
    socket::{Incoming, Socket},
    state::{Ending, State},
};

/// When to ask again for subscriptions that the gateway could not renew; spread,
/// because it is under strain.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What the task and its handles share besides the queue of operations.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// A caller, a subscription or every handle was dropped, or the client closed.
    wake: Notify,
    closing: AtomicBool,
}

/// See the module.
pub(crate) struct Connection {
    config: Arc<Config>,
    operations: mpsc::Receiver<Operation>,
    signals: Arc<Signals>,
    state: watch::Sender<State>,
    exchange: Exchange,
    session: Session,
    backoff: Backoff,
    link: Link,
}

/// ```text
///   Opening --Welcome--> Open --ended, silent--> Waiting --due--> Opening
///      +-------------failed, too late---------------^
/// ```
enum Link {
    Waiting(Instant),
    Opening(BoxFuture<'static, Result<Welcomed, Ending>>),
    Open(Box<Open>),
}

struct Open {
    socket: Socket,
    since: Instant,
    /// A link on which nothing came for so long is dead.
    silence: Option<Duration>,
    /// When to ask again for postponed subscriptions.
    ask_again_at: Option<Instant>,
}

/// What wakes the task.
enum Event {
    Operation(Option<Operation>),
    Signal,
    Due,
    Opened(Result<Box<Welcomed>, Ending>),
    Incoming(Incoming),
    Silent,
    AskAgain,
}

// === impl Signals ===

impl Signals {
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.wake();
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

// === impl Connection ===

impl Connection {
    pub(crate) fn new(
        config: Arc<Config>,
        operations: mpsc::Receiver<Operation>,
        signals: Arc<Signals>,
        state: watch::Sender<State>,
        direct: Arc<direct::Queue>,
    ) -> Self {
        let exchange = Exchange::new(config.subprotocol, direct);
        let session = Session::default();
        let link = Link::opening(&config, &session);
        Self {
            config,
            operations,
            signals,
            state,
            exchange,
            session,
            backoff: Backoff::default(),
            link,
        }
    }

    /// Runs until the client is closed or refused for good.
    pub(crate) async fn run(mut self) {
        let ending = loop {
            let event = self.next_event().await;
            if let Some(ending) = self.apply(event) {
                break ending;
            }
            self.transmit();
        };
        self.finish(ending).await;
    }

    async fn next_event(&mut self) -> Event {
        // Beyond the window operations wait in their queue, and callers behind it.
        let has_room = self.exchange.room() > 0;
        select! {
            operation = self.operations.recv(), if has_room => Event::Operation(operation),
            () = self.signals.wake.notified() => Event::Signal,
            event = self.link.next() => event,
        }
    }

    /// Returns why this was the last event, if it was.
    fn apply(&mut self, event: Event) -> Option<Ending> {
        match event {
            Event::Operation(Some(operation)) => self.submit(operation),
            Event::Operation(None) => return Some(Ending::by_owner()),
            Event::Signal if self.signals.is_closing() => return Some(Ending::by_owner()),
            Event::Signal => self.exchange.sweep(),
            Event::Due => self.open(),
            Event::AskAgain => self.exchange.ask_again(),
            Event::Opened(Ok(welcomed)) => self.welcome(*welcomed),
            Event::Incoming(Incoming::Message(message)) => self.hear(message.events),
            Event::Incoming(Incoming::Heard | Incoming::Flushed) => {}
            Event::Opened(Err(ending)) | Event::Incoming(Incoming::Ended(ending)) => {
                return self.disconnect(ending);
            }
            Event::Silent => return self.disconnect(Ending::lost("the gateway went silent")),
        }
        None
    }

    fn submit(&mut self, first: Operation) {
        self.exchange.submit(first);
        while self.exchange.room() > 0 {
            match self.operations.try_recv() {
                Ok(operation) => self.exchange.submit(operation),
                Err(_) => return,
            }
        }
    }

    fn open(&mut self) {
        self.session.mailbox_offset = self.exchange.mailbox_offset();
        self.link = Link::opening(&self.config, &self.session);
        self.state.send_replace(State::Connecting);
    }

    fn welcome(&mut self, welcomed: Welcomed) {
        let Welcomed {
            socket,
            welcome,
            rest,
        } = welcomed;
        self.link = Link::Open(Box::new(Open::new(socket, &welcome)));
        self.exchange.connected(&welcome);
        self.session.ticket = welcome.session_ticket;
        self.state.send_replace(State::Connected {
            connection_id: welcome.connection_id.into(),
            session_id: welcome.session_id.into(),
        });
        self.hear(rest);
    }

    fn hear(&mut self, events: Vec<ServerEvent>) {
        for event in events.into_iter().filter_map(|event| event.event) {
            match event {
                // Another gateway takes over when this one closes.
                Said::Migrate(migrate) => self.session.ticket = migrate.session_ticket,
                event => self.exchange.handle(event),
            }
        }
    }

    fn transmit(&mut self) {
        let Link::Open(open) = &mut self.link else {
            return;
        };
        // What comes while a message is being written gathers and leaves as one.
        if open.socket.is_flushed() {
            for message in self.exchange.take_messages() {
                open.socket.push(message);
            }
        }
        if self.exchange.has_postponed() && open.ask_again_at.is_none() {
            let spread = ASK_AGAIN_AFTER.mul_f64(fastrand::f64());
            open.ask_again_at = Some(Instant::now() + ASK_AGAIN_AFTER + spread);
        }
    }

    fn disconnect(&mut self, ending: Ending) -> Option<Ending> {
        let ending = match self.config.token.is_fresh() {
            true => ending.with_fresh_tokens(),
            false => ending,
        };
        tracing::debug!(%ending, "disconnected");
        if ending.verdict() == CloseVerdict::Stay {
            return Some(ending);
        }
        self.exchange.disconnected();
        let retry_in = self.backoff.after(&ending, self.link.lived());
        self.link = Link::Waiting(Instant::now() + retry_in);
        self.state.send_replace(State::Disconnected {
            cause: ending,
            retry_in,
        });
        None
    }

    async fn finish(mut self, ending: Ending) {
        let error = Error::Closed(ending.clone());
        self.state.send_replace(State::Closed { cause: ending });
        self.operations.close();
        self.exchange.end(&error);
        while let Some(operation) = self.operations.recv().await {
            operation.fail(error.clone());
        }
        if let Link::Open(open) = self.link {
            open.socket.close().await;
        }
    }
}

// === impl Link ===

impl Link {
    fn opening(config: &Arc<Config>, session: &Session) -> Self {
        let greeting = timeout(
            config.connect_timeout,
            greet(config.clone(), session.clone()),
        );
        Self::Opening(Box::pin(async {
            let late = |_| Err(Ending::lost("the gateway did not answer in time"));
            greeting.await.unwrap_or_else(late)
        }))
    }

    /// How long the connection has lived; zero: it was never made.
    fn lived(&self) -> Duration {
        match self {
            Self::Open(open) => open.since.elapsed(),
            Self::Waiting(_) | Self::Opening(_) => Duration::ZERO,
        }
    }

    /// Can be dropped at any time without loss.
    async fn next(&mut self) -> Event {
        match self {
            Self::Waiting(due) => {
                sleep_until(*due).await;
                Event::Due
            }
            Self::Opening(opening) => Event::Opened(opening.await.map(Box::new)),
            Self::Open(open) => open.next().await,
        }
    }
}

// === impl Open ===

impl Open {
    fn new(socket: Socket, welcome: &Welcome) -> Self {
        let heartbeat_ms = welcome.limits.unwrap_or_default().heartbeat_ms;
        let heartbeat = Duration::from_millis(heartbeat_ms.into());
        Self {
            socket,
            since: Instant::now(),
            // The gateway pings after one heartbeat; half a one is for the way.
            silence: (heartbeat_ms != 0).then(|| heartbeat * 5 / 2),
            ask_again_at: None,
        }
    }

    async fn next(&mut self) -> Event {
        let dead_at = self.silence.map(|silence| self.socket.heard_at() + silence);
        let ask_again_at = self.ask_again_at;
        select! {
            incoming = self.socket.next() => Event::Incoming(incoming),
            () = until(dead_at) => Event::Silent,
            () = until(ask_again_at) => {
                self.ask_again_at = None;
                Event::AskAgain
            }
        }
    }
}

/// Never, if there is no such instant.
async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}
