//! The one task of a client: it owns its connection, makes it again when it is
//! lost, opens a second one first when it is asked to move, and ends when the
//! client is closed or refused for good.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::{
    select,
    sync::{Notify, broadcast, mpsc, watch},
    time::Instant,
};
use wire::{
    CloseVerdict,
    client::{ServerEvent, server_event::Event as Said},
};

use crate::{
    backoff::Backoff,
    builder::Config,
    direct,
    error::Error,
    exchange::{Exchange, Side},
    greeting::{Behind, Session, Welcomed},
    in_flight::Operation,
    link::{Link, LinkEvent, Open, until},
    moving::{self, Plan, Second},
    notices::Notice,
    renewal::Renewal,
    signals::Ears,
    socket::Incoming,
    state::{Ending, State},
};

/// Names of the notices about the gateway's bus.
const DEGRADED: &str = "degraded";
const RECOVERED: &str = "recovered";

/// What the task and its handles share besides the queue of operations.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// A caller, a subscription or every handle was dropped, the client closed, or
    /// something was confirmed.
    wake: Notify,
    closing: AtomicBool,
    /// Number of the newest direct message that the application confirmed.
    confirmed: AtomicU64,
}

/// What the task tells whoever is interested.
pub(crate) struct Told {
    pub(crate) state: watch::Sender<State>,
    pub(crate) notices: broadcast::Sender<Notice>,
}

/// See the module.
pub(crate) struct Connection {
    pub(super) config: Arc<Config>,
    operations: mpsc::Receiver<Operation>,
    signals: Arc<Signals>,
    pub(super) told: Told,
    pub(super) exchange: Exchange,
    pub(super) session: Session,
    backoff: Backoff,
    renewal: Renewal,
    pub(super) link: Link,
    /// How the main connection is to be left.
    pub(super) plan: Option<Plan>,
    pub(super) second: Option<Second>,
    /// When the record of the last move is of no use any more.
    pub(super) forget_at: Option<Instant>,
}

/// What wakes the task.
enum Event {
    Operation(Option<Operation>),
    Signal,
    Renewal(Operation),
    Main(LinkEvent),
    Second(moving::Event),
    Forget,
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

    pub(crate) fn confirm(&self, number: u64) {
        self.confirmed.fetch_max(number, Ordering::AcqRel);
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
        told: Told,
        (direct, ears): (Arc<direct::Queue>, Ears),
    ) -> Self {
        let exchange = Exchange::new(config.subprotocol, direct, ears);
        let session = Session::default();
        let link = Link::opening(&config, &session, Behind::default());
        Self {
            config,
            operations,
            signals,
            told,
            exchange,
            session,
            backoff: Backoff::default(),
            renewal: Renewal::default(),
            link,
            plan: None,
            second: None,
            forget_at: None,
        }
    }

    /// Runs until the client is closed or refused for good.
    pub(crate) async fn run(mut self) {
        let ending = loop {
            let event = self.next_event().await;
            if let Some(ending) = self.apply(event) {
                break ending;
            }
            self.go_on_moving();
            self.link.transmit(&mut self.exchange, Side::Main);
            if let Some(second) = &mut self.second {
                second.link.transmit(&mut self.exchange, Side::Second);
            }
        };
        self.finish(ending).await;
    }

    async fn next_event(&mut self) -> Event {
        // Beyond the window operations wait in their queue, and callers behind it.
        let has_room = self.exchange.room() > 0;
        select! {
            operation = self.operations.recv(), if has_room => Event::Operation(operation),
            () = self.signals.wake.notified() => Event::Signal,
            renewal = self.renewal.next(&self.config) => Event::Renewal(renewal),
            event = self.link.next() => Event::Main(event),
            event = moving::next(&mut self.second) => Event::Second(event),
            () = until(self.forget_at) => Event::Forget,
        }
    }

    /// Returns why this was the last event, if it was.
    fn apply(&mut self, event: Event) -> Option<Ending> {
        match event {
            Event::Operation(Some(operation)) => self.submit(operation),
            Event::Operation(None) => return Some(Ending::by_owner()),
            Event::Signal if self.signals.is_closing() => return Some(Ending::by_owner()),
            Event::Signal => {
                let confirmed = self.signals.confirmed.load(Ordering::Acquire);
                self.exchange.confirm(confirmed);
                self.exchange.sweep();
            }
            Event::Renewal(operation) => self.exchange.submit(operation),
            Event::Main(event) => return self.apply_to_main(event),
            Event::Second(event) => self.apply_to_second(event),
            Event::Forget => {
                self.forget_at = None;
                self.exchange.forget_old();
            }
        }
        None
    }

    fn apply_to_main(&mut self, event: LinkEvent) -> Option<Ending> {
        match event {
            LinkEvent::Due => self.open(),
            LinkEvent::AskAgain => self.exchange.ask_again(Side::Main),
            LinkEvent::Opened(Ok(welcomed)) => self.welcome(*welcomed),
            LinkEvent::Incoming(Incoming::Message(message)) => {
                self.hear(Side::Main, message.events);
            }
            LinkEvent::Incoming(Incoming::Heard | Incoming::Flushed) | LinkEvent::Closed => {}
            LinkEvent::Opened(Err(ending)) | LinkEvent::Incoming(Incoming::Ended(ending)) => {
                return self.disconnect(ending);
            }
            LinkEvent::Silent => return self.disconnect(Ending::silent()),
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
        self.session.hint = Box::default();
        let behind = self.exchange.behind_hello();
        self.link = Link::opening(&self.config, &self.session, behind);
        self.told.state.send_replace(State::Connecting);
    }

    fn welcome(&mut self, welcomed: Welcomed) {
        let Welcomed {
            socket,
            welcome,
            rest,
        } = welcomed;
        let open = Open::new(socket, &welcome);
        self.told.state.send_replace(open.state());
        self.link = Link::Open(Box::new(open));
        self.exchange.connected(&welcome);
        self.session.ticket = welcome.session_ticket;
        self.hear(Side::Main, rest);
    }

    /// Takes in what came over one of the connections.
    pub(super) fn hear(&mut self, side: Side, events: Vec<ServerEvent>) {
        let now = Instant::now();
        for event in events.into_iter().filter_map(|event| event.event) {
            match event {
                Said::Migrate(migrate) => self.plan_to_leave(side, migrate),
                Said::Notice(notice) => self.notice(side, notice.into()),
                event => self.exchange.handle(side, event, now),
            }
        }
    }

    fn notice(&mut self, side: Side, notice: Notice) {
        let link = match (&mut self.second, side) {
            (_, Side::Main) => &mut self.link,
            // What befalls a gateway that was left is none of our business.
            (Some(second), _) if !second.is_leaving() => &mut second.link,
            _ => return,
        };
        if let Link::Open(open) = link {
            open.is_degraded = match notice.kind.as_str() {
                DEGRADED => true,
                RECOVERED => false,
                _ => open.is_degraded,
            };
        }
        if side == Side::Main {
            self.renewal.hear(&notice.kind, &self.config);
        }
        self.tell_state();
        // Nobody may be listening.
        drop(self.told.notices.send(notice));
    }

    /// Tells where the client stands, if it is connected and that has changed.
    pub(super) fn tell_state(&self) {
        if let Link::Open(open) = &self.link {
            let state = open.state();
            self.told.state.send_if_modified(|told| {
                let is_news = *told != state;
                *told = state;
                is_news
            });
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
        self.plan = None;
        if self.fall_back_on_second(&ending) {
            return None;
        }
        self.exchange.disconnected();
        self.renewal.stop();
        let retry_in = self.backoff.after(&ending, self.link.lived());
        self.link = Link::Waiting(Instant::now() + retry_in);
        self.told.state.send_replace(State::Disconnected {
            cause: ending,
            retry_in,
        });
        None
    }

    async fn finish(mut self, ending: Ending) {
        let error = Error::Closed(ending.clone());
        self.told
            .state
            .send_replace(State::Closed { cause: ending });
        self.operations.close();
        self.exchange.end(&error);
        while let Some(operation) = self.operations.recv().await {
            operation.fail(error.clone());
        }
        let second = self.second.map(|second| second.link.close());
        tokio::join!(self.link.close(), async {
            if let Some(second) = second {
                second.await;
            }
        });
    }
}
