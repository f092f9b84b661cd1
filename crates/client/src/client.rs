//! The handle of a client.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    time::Instant,
};
use wire::client as proto;

use crate::{
    builder::{Builder, Config},
    connection::{Connection, Signals as Wakes, Told},
    direct::{self, Direct, DirectMessages},
    error::Error,
    history::History,
    in_flight::{Operation, Reply, Setting, Subscribing},
    notices::{self, Notice, Notices},
    presence::Tracked,
    queue::Queue,
    renewal,
    signals::{self, Ears, Signal, Signals},
    state::{Ending, State},
    subscription::Subscription,
};

/// Operations that may wait for the connection's task; more callers wait outside.
const WAITING_OPERATIONS: usize = 256;

/// Longer deadlines of requests are cut to this.
const LONGEST_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

/// A client of a gateway cluster: one connection, made again whenever it is lost.
///
/// Cheap to clone; all clones share the connection. Dropping the last clone,
/// subscription and stream of direct messages closes it.
#[derive(Clone, Debug)]
pub struct Client {
    handle: Arc<Handle>,
}

/// How to publish.
#[derive(Clone, Debug, Default)]
pub struct PublishOptions {
    /// Key for channels that deliver the latest value of each key.
    pub key: String,
    /// A publication with an id that the log has seen lately is not stored again.
    /// With an id it is sent again by itself after a reconnect.
    pub publication_id: String,
    /// Send it again by itself after a reconnect that left open whether the bus has
    /// it. A log stores it once, within its memory of some two minutes: without an
    /// id of the application's the client makes one. Subscribers of a channel
    /// without a log may get it twice.
    pub retry: bool,
}

/// The bus has the publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Offset in the channel; zero: the channel keeps no log.
    pub offset: u64,
}

/// How to subscribe.
#[derive(Clone, Copy, Debug, Default)]
pub struct SubscribeOptions {
    /// At most so many publications per second and key, the newest ones; zero: all
    /// of them. The others are told as [`conflated`](crate::Gap::conflated).
    pub max_per_second: u32,
    /// While this client is slow, only the newest publication of each key, and of
    /// those without a key the newest one. The others are told as conflated.
    pub conflate: bool,
    /// Deliver the latest publication of each key (of those without a key the
    /// newest one) at once, as far as the channel's log has it, marked by
    /// [`Publication::is_snapshot`](crate::Publication::is_snapshot); and again
    /// where what was missed can't be recovered.
    pub latest: bool,
    /// Be told who is in the channel:
    /// [`Subscription::presence`](crate::Subscription::presence).
    pub presence: bool,
}

/// How to call a route.
#[derive(Clone, Debug, Default)]
pub struct RequestOptions {
    /// How long the answer is of interest; `None`: the route's default. Counts
    /// from the call on, time without a connection included.
    pub deadline: Option<Duration>,
    /// With a key the first reply is kept, and the request is sent again by itself
    /// after a reconnect; with a deadline as well, also after every failure that
    /// is [retryable](Error::retryable), until then. One key for each command, the
    /// same whenever it is repeated.
    pub idempotency_key: String,
    /// W3C `traceparent` of the caller's span, for gateways and workers to continue
    /// its trace; empty: none.
    pub traceparent: String,
}

#[derive(Debug)]
struct Handle {
    operations: mpsc::Sender<Operation>,
    signals: Arc<Wakes>,
    state: watch::Receiver<State>,
    direct: Arc<direct::Queue>,
    /// Never read, and so never a cause of waiting: readers are made from it.
    notices: broadcast::Receiver<Notice>,
    /// Likewise.
    heard: broadcast::Receiver<Signal>,
    publication_ids: PublicationIds,
    config: Arc<Config>,
}

/// Ids that no other client makes.
#[derive(Debug)]
struct PublicationIds {
    prefix: u128,
    last: AtomicU64,
}

/// Tells the connection's task that a caller has gone.
struct Caller<'a> {
    signals: &'a Wakes,
    waits: bool,
}

// === impl Client ===

impl Client {
    /// Starts a description of a client for the gateway at `url`, e.g.
    /// `ws://127.0.0.1:7400/v1/ws`.
    pub fn builder(url: &str) -> Builder {
        Builder::new(url)
    }

    pub(crate) fn start(config: Config) -> Self {
        let config = Arc::new(config);
        let (operations, receiver) = mpsc::channel(WAITING_OPERATIONS);
        let (state_sender, state) = watch::channel(State::Connecting);
        let signals = Arc::new(Wakes::default());
        let direct = Arc::new(Queue::new(config.queue));
        let (notices_sender, notices) = broadcast::channel(notices::MOST);
        let (heard_sender, heard) = broadcast::channel(signals::MOST);
        let connection = Connection::new(
            config.clone(),
            receiver,
            signals.clone(),
            Told {
                state: state_sender,
                notices: notices_sender,
            },
            (direct.clone(), Ears::new(heard_sender)),
        );
        #[expect(
            clippy::disallowed_methods,
            reason = "the only task of a client; its handles own it, and it ends with them"
        )]
        drop(tokio::spawn(connection.run()));
        Self {
            handle: Arc::new(Handle {
                operations,
                signals,
                state,
                direct,
                notices,
                heard,
                publication_ids: PublicationIds::new(),
                config,
            }),
        }
    }

    /// Where the client stands, now and from now on.
    pub fn state(&self) -> watch::Receiver<State> {
        self.handle.state.clone()
    }

    /// Subscribes to a channel; returns once the gateway has agreed. Waits while
    /// there is no connection. One client has one subscription to a channel at
    /// most.
    ///
    /// # Errors
    /// The gateway's refusal, or [`Error::Closed`].
    pub async fn subscribe(&self, channel: &str) -> Result<Subscription, Error> {
        self.subscribe_with(channel, SubscribeOptions::default())
            .await
    }

    /// The same, with options.
    ///
    /// # Errors
    /// As [`Self::subscribe`].
    pub async fn subscribe_with(
        &self,
        channel: &str,
        options: SubscribeOptions,
    ) -> Result<Subscription, Error> {
        let channel: Arc<str> = channel.into();
        let queue = Arc::new(Queue::new(self.handle.config.queue));
        // Made first: if this future is dropped, so is it, and that unsubscribes.
        let presence = Arc::new(Tracked::new());
        let ends = (queue.clone(), presence.clone());
        let subscription = Subscription::new(channel.clone(), ends, self.clone());
        let subscribe = |reply| {
            Operation::Subscribe(Subscribing {
                channel,
                options: options.into(),
                queue,
                presence,
                reply: Some(reply),
            })
        };
        self.perform(subscribe).await?;
        Ok(subscription)
    }

    pub(crate) async fn set(
        &self,
        channel: Arc<str>,
        options: SubscribeOptions,
    ) -> Result<(), Error> {
        let set = |reply| {
            Operation::Set(Setting {
                channel,
                options: options.into(),
                reply: Some(reply),
            })
        };
        self.perform(set).await
    }

    /// Publishes to a channel; returns once the bus has it.
    ///
    /// # Errors
    /// The gateway's refusal, [`Error::ConnectionLost`] (the publication may be
    /// out, or not), or [`Error::Closed`].
    pub async fn publish(
        &self,
        channel: &str,
        payload: impl Into<Bytes>,
    ) -> Result<Accepted, Error> {
        self.publish_with(channel, payload, PublishOptions::default())
            .await
    }

    /// The same, with options.
    ///
    /// # Errors
    /// As [`Self::publish`]; never [`Error::ConnectionLost`] with a publication id
    /// or [`PublishOptions::retry`].
    pub async fn publish_with(
        &self,
        channel: &str,
        payload: impl Into<Bytes>,
        options: PublishOptions,
    ) -> Result<Accepted, Error> {
        let publication_id = match options.retry && options.publication_id.is_empty() {
            true => self.handle.publication_ids.next(),
            false => options.publication_id,
        };
        let publish = proto::Publish {
            id: 0,
            channel: channel.into(),
            payload: payload.into(),
            key: options.key,
            publication_id,
        };
        self.perform(|reply| Operation::Publish(publish, reply))
            .await
    }

    /// Calls a route and returns the answer. Dropping the future cancels the
    /// request.
    ///
    /// # Errors
    /// The gateway's refusal or the worker's failure, [`Error::ConnectionLost`]
    /// (the request may have been executed, or not), or [`Error::Closed`].
    pub async fn request(&self, route: &str, payload: impl Into<Bytes>) -> Result<Bytes, Error> {
        self.request_with(route, payload, RequestOptions::default())
            .await
    }

    /// The same, with options.
    ///
    /// # Errors
    /// As [`Self::request`]; never [`Error::ConnectionLost`] with an idempotency
    /// key. [`crate::ErrorCode::DeadlineExceeded`] when the deadline has passed.
    pub async fn request_with(
        &self,
        route: &str,
        payload: impl Into<Bytes>,
        options: RequestOptions,
    ) -> Result<Bytes, Error> {
        let request = proto::Request {
            id: 0,
            route: route.into(),
            payload: payload.into(),
            deadline_ms: 0,
            idempotency_key: options.idempotency_key,
            traceparent: options.traceparent,
        };
        let Some(deadline) = options.deadline else {
            return self
                .perform(|reply| Operation::Request(request, reply))
                .await;
        };
        // Beyond what a clock can express it is the gateway's limit that counts.
        let deadline = Instant::now() + deadline.min(LONGEST_DEADLINE);
        match request.idempotency_key.is_empty() {
            true => self.request_once(request, deadline).await,
            false => self.request_until(request, deadline).await,
        }
    }

    /// Has the gateway take a newer token, e.g. because the user may do more or less
    /// than before; from [`Builder::token_source`](crate::Builder::token_source).
    /// Before a token expires that happens by itself.
    ///
    /// # Errors
    /// The gateway's refusal, [`Error::ConnectionLost`] (the next connection asks for
    /// a token in any case), or [`Error::Closed`].
    pub async fn refresh(&self) -> Result<(), Error> {
        let token = renewal::token(&self.handle.config).await?;
        self.perform(|reply| Operation::Refresh(token, reply)).await
    }

    /// Reads a channel's log, whether it is subscribed or not.
    pub fn history(&self, channel: &str) -> History {
        History::new(self.clone(), channel)
    }

    /// Reads a page of a log.
    pub(crate) async fn read(&self, read: proto::History) -> Result<proto::HistoryResult, Error> {
        self.perform(|reply| Operation::History(read, reply)).await
    }

    /// The messages to this user, connection or session.
    pub fn direct(&self) -> DirectMessages {
        DirectMessages::new(self.handle.direct.clone(), self.clone())
    }

    /// What the gateway has to say from now on, beside [`State`].
    pub fn notices(&self) -> Notices {
        Notices::new(self.handle.notices.resubscribe())
    }

    /// What other members of channels send to this client from now on.
    pub fn signals(&self) -> Signals {
        Signals::new(self.handle.heard.resubscribe())
    }

    /// Confirms direct messages up to and including the one with this
    /// [`Direct::ack`]. Needed with
    /// [`Builder::manual_acks`](crate::Builder::manual_acks) only. Nothing answers
    /// it; of messages that came over a connection since lost nobody waits for it,
    /// but for those of the mailbox.
    pub fn ack(&self, up_to: u64) {
        self.handle.signals.confirm(up_to);
    }

    /// The application has got a direct message.
    pub(crate) fn took(&self, direct: &Direct) {
        if let (Some(number), false) = (direct.ack, self.handle.config.manual_acks) {
            self.ack(number);
        }
    }

    /// Closes the connection in order and returns when that is done. Whatever is
    /// in flight fails with [`Error::Closed`], on all clones.
    pub async fn close(&self) {
        self.handle.signals.close();
        let mut state = self.state();
        // The sender is dropped at the very end, after the closing handshake.
        while state.changed().await.is_ok() {}
    }

    /// Waits for the first connection.
    pub(crate) async fn connected(self) -> Result<Self, Error> {
        let mut state = self.state();
        loop {
            match state.borrow_and_update().clone() {
                State::Connected { .. } => return Ok(self),
                State::Connecting => {}
                // Neither the address nor the token is wrong: it has a place in line.
                State::Disconnected { cause, .. } if cause.is_scheduled() => {}
                State::Disconnected { cause, .. } | State::Closed { cause } => {
                    return Err(Error::Connect(cause));
                }
            }
            if state.changed().await.is_err() {
                return Err(self.closed());
            }
        }
    }

    /// Tells the connection's task to look for what was dropped.
    pub(crate) fn wake(&self) {
        self.handle.signals.wake();
    }

    pub(crate) async fn perform<T>(
        &self,
        operation: impl FnOnce(Reply<T>) -> Operation,
    ) -> Result<T, Error> {
        // Dropped after the receiver, so that the task finds it gone.
        let mut caller = Caller {
            signals: &self.handle.signals,
            waits: true,
        };
        let (reply, answer) = oneshot::channel();
        self.submit(operation(reply)).await?;
        let answer = answer.await;
        caller.waits = false;
        answer.unwrap_or_else(|_| Err(self.closed()))
    }

    async fn submit(&self, operation: Operation) -> Result<(), Error> {
        let sent = self.handle.operations.send(operation).await;
        sent.map_err(|_| self.closed())
    }

    fn closed(&self) -> Error {
        match &*self.handle.state.borrow() {
            State::Closed { cause } => Error::Closed(cause.clone()),
            // The runtime was shut down under the task.
            _ => Error::Closed(Ending::lost("the client's task is gone")),
        }
    }
}

// === impl SubscribeOptions ===

impl From<SubscribeOptions> for Option<proto::SubscribeOptions> {
    fn from(options: SubscribeOptions) -> Self {
        let SubscribeOptions {
            max_per_second,
            conflate,
            latest,
            presence,
        } = options;
        let wanted = proto::SubscribeOptions {
            max_per_second,
            latest,
            conflate,
            presence,
        };
        (wanted != proto::SubscribeOptions::default()).then_some(wanted)
    }
}

// === impl PublicationIds ===

impl PublicationIds {
    fn new() -> Self {
        Self {
            prefix: fastrand::u128(..),
            last: AtomicU64::new(0),
        }
    }

    fn next(&self) -> String {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        format!("{:032x}-{number:x}", self.prefix)
    }
}

// === impl Handle ===

impl Drop for Handle {
    fn drop(&mut self) {
        self.signals.close();
    }
}

// === impl Caller ===

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if self.waits {
            self.signals.wake();
        }
    }
}
