//! One connection from the first try to its end.

use std::{future::pending, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::{
    select,
    time::{Instant, sleep_until, timeout},
};
use wire::client::Welcome;

use crate::{
    builder::Config,
    exchange::{Exchange, Side},
    greeting::{Behind, Session, Welcomed, greet},
    socket::{Incoming, Socket},
    state::{Ending, State},
};

/// When to ask again for subscriptions that the gateway could not renew; spread,
/// because it is under strain.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// ```text
///   Waiting --due--> Opening --Welcome--> Open --it is left--> Closing
///      ^                |failed             |ended, silent
///      +----------------+-------------------+
/// ```
pub(crate) enum Link {
    Waiting(Instant),
    Opening(BoxFuture<'static, Result<Welcomed, Ending>>),
    Open(Box<Open>),
    Closing(BoxFuture<'static, ()>),
}

/// A link in use.
pub(crate) struct Open {
    pub(crate) socket: Socket,
    /// The gateway has said that its bus is away.
    pub(crate) is_degraded: bool,
    connection_id: Arc<str>,
    session_id: Arc<str>,
    since: Instant,
    /// A link on which nothing came for so long is dead.
    silence: Option<Duration>,
    /// When to ask again for postponed subscriptions.
    ask_again_at: Option<Instant>,
}

/// What a link has to report.
pub(crate) enum LinkEvent {
    Due,
    Opened(Result<Box<Welcomed>, Ending>),
    Incoming(Incoming),
    Silent,
    AskAgain,
    Closed,
}

// === impl Link ===

impl Link {
    pub(crate) fn opening(config: &Arc<Config>, session: &Session, behind: Behind) -> Self {
        let greeting = timeout(
            config.connect_timeout,
            greet(config.clone(), session.clone(), behind),
        );
        Self::Opening(Box::pin(async {
            let late = |_| Err(Ending::lost("the gateway did not answer in time"));
            greeting.await.unwrap_or_else(late)
        }))
    }

    /// How long the connection has lived; zero: it was never made.
    pub(crate) fn lived(&self) -> Duration {
        match self {
            Self::Open(open) => open.since.elapsed(),
            Self::Waiting(_) | Self::Opening(_) | Self::Closing(_) => Duration::ZERO,
        }
    }

    /// Can be dropped at any time without loss.
    pub(crate) async fn next(&mut self) -> LinkEvent {
        match self {
            Self::Waiting(due) => {
                sleep_until(*due).await;
                LinkEvent::Due
            }
            Self::Opening(opening) => LinkEvent::Opened(opening.await.map(Box::new)),
            Self::Open(open) => open.next().await,
            Self::Closing(closing) => {
                closing.await;
                LinkEvent::Closed
            }
        }
    }

    /// Says goodbye in order, if there is anybody to say it to.
    pub(crate) async fn close(self) {
        match self {
            Self::Open(open) => open.socket.close().await,
            Self::Closing(closing) => closing.await,
            Self::Waiting(_) | Self::Opening(_) => {}
        }
    }

    /// Sends what the exchange has for it.
    pub(crate) fn transmit(&mut self, exchange: &mut Exchange, side: Side) {
        let Self::Open(open) = self else {
            return;
        };
        // What comes while a message is being written gathers and leaves as one.
        if open.socket.is_flushed() {
            for message in exchange.take_messages(side) {
                open.socket.push(message);
            }
        }
        if exchange.has_postponed(side) && open.ask_again_at.is_none() {
            let spread = ASK_AGAIN_AFTER.mul_f64(fastrand::f64());
            open.ask_again_at = Some(Instant::now() + ASK_AGAIN_AFTER + spread);
        }
    }
}

// === impl Open ===

impl Open {
    pub(crate) fn new(socket: Socket, welcome: &Welcome) -> Self {
        let heartbeat_ms = welcome.limits.unwrap_or_default().heartbeat_ms;
        let heartbeat = Duration::from_millis(heartbeat_ms.into());
        Self {
            socket,
            is_degraded: false,
            connection_id: welcome.connection_id.as_str().into(),
            session_id: welcome.session_id.as_str().into(),
            since: Instant::now(),
            // The gateway pings after one heartbeat; half a one is for the way.
            silence: (heartbeat_ms != 0).then(|| heartbeat * 5 / 2),
            ask_again_at: None,
        }
    }

    /// The state of a client that this link is the main one of.
    pub(crate) fn state(&self) -> State {
        State::Connected {
            connection_id: self.connection_id.clone(),
            session_id: self.session_id.clone(),
            degraded: self.is_degraded,
        }
    }

    async fn next(&mut self) -> LinkEvent {
        let dead_at = self.silence.map(|silence| self.socket.heard_at() + silence);
        let ask_again_at = self.ask_again_at;
        select! {
            incoming = self.socket.next() => LinkEvent::Incoming(incoming),
            () = until(dead_at) => LinkEvent::Silent,
            () = until(ask_again_at) => {
                self.ask_again_at = None;
                LinkEvent::AskAgain
            }
        }
    }
}

/// Never, if there is no such instant.
pub(crate) async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}
