//! Operations that were sent and await their answer.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use tokio::sync::oneshot;
use wire::client::{
    ArmWill, History, HistoryResult, Presence, PresenceResult, Publish, Request, Signal,
    SubscribeOptions,
};

use crate::{client::Accepted, error::Error, presence::Tracked, subscription::Queue};

/// How an operation's result gets to its caller, who may have gone.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// Operations in flight where the gateway sets no limit.
const DEFAULT_WINDOW: usize = 1024;

/// What a caller wants done.
#[derive(Debug)]
pub(crate) enum Operation {
    Subscribe(Subscribing),
    Unsubscribe(Arc<str>),
    Set(Setting),
    Publish(Publish, Reply<Accepted>),
    Request(Request, Reply<Bytes>),
    History(History, Reply<HistoryResult>),
    Presence(Presence, Reply<PresenceResult>),
    Signal(Signal, Reply<u32>),
    /// Without a caller: the client does it by itself.
    Will(WillOrder, Option<Reply<()>>),
    /// A newer token.
    Refresh(String, Reply<()>),
}

/// What to do about the session's will; doing it twice does no harm.
#[derive(Clone, Debug)]
pub(crate) enum WillOrder {
    Arm(ArmWill),
    Disarm,
}

/// A subscription to make, or to make again.
#[derive(Debug)]
pub(crate) struct Subscribing {
    pub(crate) channel: Arc<str>,
    pub(crate) options: Option<SubscribeOptions>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) presence: Arc<Tracked>,
    /// `None`: it is made again, and the queue learns the result.
    pub(crate) reply: Option<Reply<()>>,
}

/// What a subscription shall get from now on; saying it twice does no harm.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) channel: Arc<str>,
    pub(crate) options: Option<SubscribeOptions>,
    /// `None`: the client does it by itself.
    pub(crate) reply: Option<Reply<()>>,
}

/// What an id in flight stands for. What may be repeated is kept in full.
#[derive(Debug)]
pub(crate) enum Pending {
    Subscribe(Subscribing),
    Unsubscribe,
    Set(Setting),
    Publish(Option<Box<Publish>>, Reply<Accepted>),
    Request(Option<Box<Request>>, Reply<Bytes>),
    History(History, Reply<HistoryResult>),
    Presence(Presence, Reply<PresenceResult>),
    Signal(Reply<u32>),
    Will(WillOrder, Option<Reply<()>>),
    Refresh(Reply<()>),
    /// A request whose caller has gone; its Response is still to come.
    Cancelled,
}

/// The window: ids in use, at most as many as `Welcome` allows.
#[derive(Debug)]
pub(crate) struct InFlight {
    entries: HashMap<u32, Pending>,
    last_id: u32,
    window: usize,
}

// === impl InFlight ===

impl InFlight {
    pub(crate) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            last_id: 0,
            window: DEFAULT_WINDOW,
        }
    }

    /// Takes the window of `Welcome`; zero: no limit.
    pub(crate) fn set_window(&mut self, max_in_flight: u32) {
        self.window = match max_in_flight {
            0 => DEFAULT_WINDOW,
            window => window as usize,
        };
    }

    pub(crate) fn room(&self) -> usize {
        self.window.saturating_sub(self.entries.len())
    }

    /// An id that is free; never zero.
    pub(crate) fn next_id(&mut self) -> u32 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if self.last_id != 0 && !self.entries.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    pub(crate) fn begin(&mut self, id: u32, pending: Pending) {
        self.entries.insert(id, pending);
    }

    pub(crate) fn end(&mut self, id: u32) -> Option<Pending> {
        self.entries.remove(&id)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The subscriptions that are being made.
    pub(crate) fn subscribing(&self) -> impl Iterator<Item = &Subscribing> {
        self.entries.values().filter_map(|pending| match pending {
            Pending::Subscribe(subscribing) => Some(subscribing),
            _ => None,
        })
    }

    /// Whether any publish awaits its answer.
    pub(crate) fn is_publishing(&self) -> bool {
        let is_publish = |pending: &Pending| matches!(pending, Pending::Publish(..));
        self.entries.values().any(is_publish)
    }

    /// Everything in flight, in the order it was sent.
    pub(crate) fn take_all(&mut self) -> Vec<Pending> {
        let mut all: Vec<_> = self.entries.drain().collect();
        // Relative to the last one, as ids wrap around.
        all.sort_by_key(|&(id, _)| std::cmp::Reverse(self.last_id.wrapping_sub(id)));
        all.into_iter().map(|(_, pending)| pending).collect()
    }

    /// Marks the requests whose callers have gone and returns their ids.
    pub(crate) fn cancel_abandoned(&mut self) -> Vec<u32> {
        let mut ids = Vec::new();
        for (&id, pending) in &mut self.entries {
            if matches!(pending, Pending::Request(_, reply) if reply.is_closed()) {
                *pending = Pending::Cancelled;
                ids.push(id);
            }
        }
        ids
    }
}

// === impl Operation ===

impl Operation {
    /// Whether nobody waits for it any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Self::Subscribe(subscribing) => subscribing.queue.is_abandoned(),
            Self::Publish(_, reply) => reply.is_closed(),
            Self::Request(_, reply) => reply.is_closed(),
            Self::History(_, reply) => reply.is_closed(),
            Self::Presence(_, reply) => reply.is_closed(),
            Self::Signal(_, reply) => reply.is_closed(),
            Self::Will(_, reply) => reply.as_ref().is_some_and(Reply::is_closed),
            Self::Refresh(_, reply) => reply.is_closed(),
            Self::Unsubscribe(_) | Self::Set(_) => false,
        }
    }

    /// Tells the caller that it will not be done.
    pub(crate) fn fail(self, error: Error) {
        // The caller may have gone, which is no concern of ours.
        match self {
            Self::Subscribe(subscribing) => subscribing.fail(error),
            Self::Publish(_, reply) => drop(reply.send(Err(error))),
            Self::Request(_, reply) => drop(reply.send(Err(error))),
            Self::History(_, reply) => drop(reply.send(Err(error))),
            Self::Presence(_, reply) => drop(reply.send(Err(error))),
            Self::Signal(_, reply) => drop(reply.send(Err(error))),
            Self::Will(_, reply) => answer_will(reply, Err(error)),
            Self::Set(setting) => setting.end(Err(error)),
            Self::Refresh(_, reply) => drop(reply.send(Err(error))),
            Self::Unsubscribe(_) => {}
        }
    }
}

// === impl Subscribing ===

impl Subscribing {
    pub(crate) fn fail(self, error: Error) {
        match self.reply {
            Some(reply) => drop(reply.send(Err(error))),
            None => crate::subscriptions::end(&self.queue, error),
        }
    }
}

// === impl Setting ===

impl Setting {
    /// Tells who asked for it.
    pub(crate) fn end(self, outcome: Result<(), Error>) {
        if let Some(reply) = self.reply {
            drop(reply.send(outcome));
        }
    }
}

// === impl Pending ===

impl Pending {
    /// What to do again on the next connection; callers of anything else learn
    /// that nobody knows.
    pub(crate) fn into_retry(self) -> Option<Operation> {
        match self {
            Self::Subscribe(subscribing) => Some(Operation::Subscribe(subscribing)),
            Self::Publish(Some(publish), reply) => Some(Operation::Publish(*publish, reply)),
            Self::Request(Some(request), reply) => Some(Operation::Request(*request, reply)),
            // Reading twice does no harm.
            Self::History(read, reply) => Some(Operation::History(read, reply)),
            Self::Presence(ask, reply) => Some(Operation::Presence(ask, reply)),
            Self::Will(order, reply) => Some(Operation::Will(order, reply)),
            Self::Set(setting) => Some(Operation::Set(setting)),
            other => {
                other.fail(Error::ConnectionLost);
                None
            }
        }
    }

    pub(crate) fn fail(self, error: Error) {
        match self {
            Self::Subscribe(subscribing) => subscribing.fail(error),
            Self::Publish(_, reply) => drop(reply.send(Err(error))),
            Self::Request(_, reply) => drop(reply.send(Err(error))),
            Self::History(_, reply) => drop(reply.send(Err(error))),
            Self::Presence(_, reply) => drop(reply.send(Err(error))),
            Self::Signal(reply) => drop(reply.send(Err(error))),
            Self::Will(_, reply) => answer_will(reply, Err(error)),
            Self::Set(setting) => setting.end(Err(error)),
            Self::Refresh(reply) => drop(reply.send(Err(error))),
            Self::Unsubscribe | Self::Cancelled => {}
        }
    }
}

/// Tells who ordered it, or the log.
pub(crate) fn answer_will(reply: Option<Reply<()>>, outcome: Result<(), Error>) {
    match (reply, outcome) {
        (Some(reply), outcome) => drop(reply.send(outcome)),
        (None, Ok(())) => {}
        (None, Err(error)) => tracing::warn!(%error, "the will is not armed for the new session"),
    }
}
