//! Messages to this user, connection or session.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::Instant;
use wire::client as proto;

use crate::{
    acks::Acks,
    chain::{Chain, Fit},
    client::Client,
    queue,
    subscription::{Gap, GapCause},
};

/// Two connections of one client bring the same message at most so far apart.
/// Messages are not stamped, so within this time an equal one counts as the copy.
const COPY_WITHIN: Duration = Duration::from_secs(2);

/// Messages remembered for that; of more the oldest may come twice.
const MOST_RECENT: usize = 1_024;

/// The messages sent to this user, connection or session: a `Stream` of
/// [`DirectEvent`]s that ends when the client is closed.
///
/// They are kept from the first connection on, whether somebody reads or not, in a
/// queue that is bounded like a subscription's: of what does not fit the oldest
/// are dropped, and a [`Gap`] stands in their place. Every stream of one client
/// reads from the same queue, so each message goes to one of them.
///
/// A message whose sender waits for a confirmation is confirmed when it is taken
/// from the stream, and not before. With
/// [`Builder::manual_acks`](crate::Builder::manual_acks) that is left to
/// [`Client::ack`], for when it has been dealt with. Either way the confirmation
/// counts for everything before it, dropped messages included.
///
/// While the client moves to another gateway, both connections may bring the same
/// message: it is delivered once.
#[derive(Debug)]
pub struct DirectMessages {
    queue: Arc<Queue>,
    /// Keeps the connection as long as somebody listens.
    client: Client,
}

/// One thing a reader of direct messages learns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirectEvent {
    /// A message.
    Message(Direct),
    /// Messages are missing here.
    Gap(Gap),
}

/// A message to this user, connection or session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Direct {
    /// Position in the user's mailbox; zero: not durable.
    pub offset: u64,
    /// What was sent.
    pub payload: Bytes,
    /// What to hand to [`Client::ack`] once the message is dealt with, if its
    /// sender waits for that. Grows from message to message for the life of the
    /// client.
    pub ack: Option<u64>,
}

/// The way from the connection's task to the readers.
pub(crate) type Queue = queue::Queue<DirectEvent>;

/// The end of the mailbox in the connection's task.
#[derive(Debug)]
pub(crate) struct Mailbox {
    chain: Chain,
    queue: Arc<Queue>,
    acks: Acks,
    /// What came lately while there were two connections.
    recent: VecDeque<Recent>,
    hasher: RandomState,
}

/// A message that the other connection may bring as well.
#[derive(Debug)]
struct Recent {
    line: u32,
    content: u64,
    number: Option<u64>,
    at: Instant,
}

// === impl DirectMessages ===

impl DirectMessages {
    pub(crate) fn new(queue: Arc<Queue>, client: Client) -> Self {
        Self { queue, client }
    }
}

impl Stream for DirectMessages {
    type Item = DirectEvent;

    fn poll_next(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.queue.poll_next(ctx);
        if let Poll::Ready(Some(DirectEvent::Message(direct))) = &polled {
            self.client.took(direct);
        }
        polled
    }
}

// === impl DirectEvent ===

impl queue::Item for DirectEvent {
    fn droppable_bytes(&self) -> Option<usize> {
        match self {
            Self::Message(direct) => Some(direct.payload.len()),
            Self::Gap(_) => None,
        }
    }

    fn in_place_of(dropped: Self) -> Option<Self> {
        match dropped {
            Self::Message(direct) => Some(Self::Gap(Gap::slow_reader(direct.offset))),
            Self::Gap(_) => None,
        }
    }

    fn absorb(&mut self, next: Self) -> Result<(), Self> {
        match (self, next) {
            (Self::Gap(gap), Self::Gap(next)) if gap.cause == next.cause => {
                gap.absorb(&next);
                Ok(())
            }
            (_, next) => Err(next),
        }
    }
}

// === impl Mailbox ===

impl Mailbox {
    pub(crate) fn new(queue: Arc<Queue>) -> Self {
        Self {
            chain: Chain::default(),
            queue,
            acks: Acks::default(),
            recent: VecDeque::new(),
            hasher: RandomState::new(),
        }
    }

    /// Offset of the last durable message taken; zero: none.
    pub(crate) fn offset(&self) -> u64 {
        self.chain.position().map_or(0, |position| position.offset)
    }

    /// Takes a message from connection `line`, which is one of two or alone.
    pub(crate) fn deliver(
        &mut self,
        line: u32,
        direct: proto::Direct,
        is_one_of_two: bool,
        now: Instant,
    ) {
        if self.is_copy(line, &direct, now) {
            return;
        }
        match self.chain.next(direct.offset, direct.previous, false) {
            Fit::Duplicate => {
                // Its sender waits on this connection too.
                if direct.needs_ack {
                    self.acks.note_copy(self.acks.last(), line, &direct);
                }
                return;
            }
            Fit::Broken(from, to) => {
                let gap = Gap::withheld(from, to, GapCause::BrokenChain);
                self.queue.push(DirectEvent::Gap(gap));
            }
            Fit::InOrder | Fit::Snapshot => {}
        }
        let number = direct.needs_ack.then(|| self.acks.note(line, &direct));
        if is_one_of_two {
            self.remember(line, &direct, number, now);
        }
        self.queue.push(DirectEvent::Message(Direct {
            offset: direct.offset,
            payload: direct.payload,
            ack: number,
        }));
    }

    /// See [`Acks::confirm`].
    pub(crate) fn confirm(&mut self, number: u64) {
        self.acks.confirm(number);
    }

    /// See [`Acks::take`].
    pub(crate) fn take_ack(&mut self, line: u32, is_main: bool) -> Option<proto::Ack> {
        self.acks.take(line, is_main)
    }

    /// The connection is gone.
    pub(crate) fn line_ended(&mut self, line: u32) {
        self.acks.line_ended(line);
    }

    /// There is one connection only, and has been for a while.
    pub(crate) fn end_overlap(&mut self) {
        self.recent = VecDeque::new();
    }

    pub(crate) fn end(&self) {
        self.queue.end();
    }

    fn is_copy(&mut self, line: u32, direct: &proto::Direct, now: Instant) -> bool {
        let is_old = |recent: &Recent| now - recent.at > COPY_WITHIN;
        while self.recent.front().is_some_and(is_old) {
            self.recent.pop_front();
        }
        if self.recent.is_empty() {
            return false;
        }
        let content = self.content(direct);
        let is_same = |recent: &Recent| recent.line != line && recent.content == content;
        let Some(index) = self.recent.iter().position(is_same) else {
            return false;
        };
        let number = self.recent.remove(index).and_then(|first| first.number);
        if let Some(number) = number.filter(|_| direct.needs_ack) {
            self.acks.note_copy(number, line, direct);
        }
        true
    }

    fn remember(&mut self, line: u32, direct: &proto::Direct, number: Option<u64>, at: Instant) {
        if self.recent.len() == MOST_RECENT {
            self.recent.pop_front();
        }
        let content = self.content(direct);
        self.recent.push_back(Recent {
            line,
            content,
            number,
            at,
        });
    }

    fn content(&self, direct: &proto::Direct) -> u64 {
        let content = (direct.offset, direct.needs_ack, &direct.payload);
        self.hasher.hash_one(content)
    }
}
