//! Messages to this user, connection or session.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;
use wire::client as proto;

use crate::{
    chain::{Chain, Fit},
    client::Client,
    queue,
    subscription::{Gap, GapCause},
};

/// The messages sent to this user, connection or session: a `Stream` of
/// [`DirectEvent`]s that ends when the client is closed.
///
/// They are kept from the first connection on, whether somebody reads or not, in a
/// queue that is bounded like a subscription's: of what does not fit the oldest
/// are dropped, and a [`Gap`] stands in their place. Every stream of one client
/// reads from the same queue, so each message goes to one of them.
#[derive(Debug)]
pub struct DirectMessages {
    queue: Arc<Queue>,
    /// Keeps the connection as long as somebody listens.
    _client: Client,
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
    /// sender waits for that.
    pub ack: Option<u64>,
}

/// The way from the connection's task to the readers.
pub(crate) type Queue = queue::Queue<DirectEvent>;

/// The end of the mailbox in the connection's task.
#[derive(Debug)]
pub(crate) struct Mailbox {
    chain: Chain,
    queue: Arc<Queue>,
}

// === impl DirectMessages ===

impl DirectMessages {
    pub(crate) fn new(queue: Arc<Queue>, client: Client) -> Self {
        Self {
            queue,
            _client: client,
        }
    }
}

impl Stream for DirectMessages {
    type Item = DirectEvent;

    fn poll_next(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.queue.poll_next(ctx)
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
        }
    }

    /// Offset of the last durable message taken; zero: none.
    pub(crate) fn offset(&self) -> u64 {
        self.chain.position().map_or(0, |position| position.offset)
    }

    pub(crate) fn deliver(&mut self, direct: proto::Direct) {
        match self.chain.next(direct.offset, direct.previous, false) {
            Fit::Duplicate => return,
            Fit::Broken(from, to) => {
                let gap = Gap::withheld(from, to, GapCause::BrokenChain);
                self.queue.push(DirectEvent::Gap(gap));
            }
            Fit::InOrder => {}
        }
        self.queue.push(DirectEvent::Message(direct.into()));
    }

    pub(crate) fn end(&self) {
        self.queue.end();
    }
}

// === impl Direct ===

impl From<proto::Direct> for Direct {
    fn from(direct: proto::Direct) -> Self {
        let ack = match direct.offset {
            0 => direct.ack_id,
            offset => offset,
        };
        Self {
            offset: direct.offset,
            payload: direct.payload,
            ack: direct.needs_ack.then_some(ack),
        }
    }
}
