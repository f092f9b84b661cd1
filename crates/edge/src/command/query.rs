//! A command on its way through the shards, and how many there may be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bus::Responder;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wire::{
    Channel,
    gateway::{Target, command::Command, target},
};

use super::{answer::Answer, reply};

/// Connections in a page at most.
const MAX_PAGE: usize = 1000;

/// The share of the asker's patience after which it is answered: the rest is for
/// the way back.
const PATIENCE: f32 = 0.8;

/// Commands of a gateway that are not answered yet, those included whose outcome
/// clients have to confirm. More are refused.
const MAX_QUERIES: usize = 4_096;

/// Bytes of all of them together.
const MAX_QUERY_BYTES: usize = 64 << 20;

/// The places that commands take, from their arrival to their answer.
pub(crate) struct Queries {
    count: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

/// One command's place; free again when it is dropped.
pub(super) struct Place {
    _count: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

/// A command and the answers it has got so far.
pub(crate) struct Query {
    pub(crate) command: Command,
    /// The channel that the command names, if it names one.
    pub(crate) channel: Option<Channel>,
    /// When to answer with what there is: the asker soon stops listening.
    pub(crate) answer_by: Instant,
    // A lock: a few shards add their answer, once each.
    answers: Mutex<Vec<Answer>>,
    outstanding: AtomicUsize,
    responder: Mutex<Option<Responder>>,
    _place: Place,
}

// === impl Queries ===

impl Queries {
    pub(crate) fn new() -> Self {
        Self {
            count: Arc::new(Semaphore::new(MAX_QUERIES)),
            bytes: Arc::new(Semaphore::new(MAX_QUERY_BYTES)),
        }
    }

    /// A place for a command of so many bytes, if there is one.
    pub(super) fn place(&self, bytes: usize) -> Option<Place> {
        let bytes = u32::try_from(bytes).ok()?;
        Some(Place {
            _count: self.count.clone().try_acquire_owned().ok()?,
            _bytes: self.bytes.clone().try_acquire_many_owned(bytes).ok()?,
        })
    }
}

// === impl Query ===

impl Query {
    /// A command for so many shards, whose asker listens for `deadline`.
    pub(super) fn new(
        command: Command,
        channel: Option<Channel>,
        place: Place,
        shards: usize,
        responder: Responder,
        deadline: Duration,
    ) -> Self {
        Self {
            command,
            channel,
            answer_by: Instant::now() + deadline.mul_f32(PATIENCE),
            answers: Mutex::new(Vec::with_capacity(shards)),
            outstanding: AtomicUsize::new(shards),
            responder: Mutex::new(Some(responder)),
            _place: place,
        }
    }

    /// Whether its asker has been answered, or will not listen any more.
    pub(crate) fn is_late(&self) -> bool {
        self.answer_by <= Instant::now()
    }

    /// Which connections are meant.
    pub(crate) fn target(&self) -> Option<&Target> {
        meant(&self.command)
    }

    /// Whether every connection is meant, so that none need be named.
    pub(super) fn is_for_everybody(&self) -> bool {
        let target = self.target().and_then(|target| target.target.as_ref());
        matches!(target, Some(target::Target::Everybody(_)))
    }

    /// How many connections a page holds.
    pub(crate) fn page_size(&self) -> usize {
        match &self.command {
            Command::ListConnections(list) if list.page_size > 0 => {
                (list.page_size as usize).min(MAX_PAGE)
            }
            _ => MAX_PAGE,
        }
    }

    /// Adds one shard's answer; the last one sends the reply.
    pub(crate) fn answer(&self, answer: Answer) {
        self.answers.lock().push(answer);
        if self.outstanding.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let answers = std::mem::take(&mut *self.answers.lock());
        let Some(answer) = answers.into_iter().reduce(Answer::and) else {
            return;
        };
        let responder = self.responder.lock().take();
        if let Some(responder) = responder {
            reply(responder, answer.into_reply(self));
        }
    }
}

pub(super) fn meant(command: &Command) -> Option<&Target> {
    match command {
        Command::Deliver(deliver) => deliver.target.as_ref(),
        Command::Disconnect(disconnect) => disconnect.target.as_ref(),
        Command::ListConnections(list) => list.target.as_ref(),
        Command::CountConnections(count) => count.target.as_ref(),
        Command::Subscribe(subscribe) => subscribe.target.as_ref(),
        Command::Unsubscribe(unsubscribe) => unsubscribe.target.as_ref(),
        Command::Fence(fence) => fence.target.as_ref(),
        Command::Explain(explain) => explain.target.as_ref(),
        Command::Signal(signal) => signal.target.as_ref(),
        Command::Drain(_)
        | Command::Status(_)
        | Command::Revoke(_)
        | Command::CarrySend(_)
        | Command::CarryPoll(_) => None,
    }
}
