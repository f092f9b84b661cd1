//! What a subscriber sees: a stream of publications, with every gap, every
//! reconnect and the end told in the place where it belongs.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::sync::watch;
use wire::client as proto;

use crate::{
    client::{Client, SubscribeOptions},
    error::Error,
    presence::{Presence, Tracked},
    queue,
};

/// A subscription to one channel: a `Stream` of [`SubscriptionEvent`]s that ends
/// after [`SubscriptionEvent::Ended`]. It survives reconnects. Dropping it
/// unsubscribes; while it lives, its client stays connected.
///
/// The queue behind it is bounded ([`Builder::queue`](crate::Builder::queue)). A
/// reader that is too slow loses the oldest publications and finds a [`Gap`] with
/// cause [`GapCause::SlowReader`] in their place.
#[derive(Debug)]
pub struct Subscription {
    channel: Arc<str>,
    queue: Arc<Queue>,
    presence: Arc<Tracked>,
    client: Client,
}

/// One thing a subscriber learns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SubscriptionEvent {
    /// A message of the channel.
    Publication(Publication),
    /// Publications are missing here.
    Gap(Gap),
    /// The connection was replaced and the channel subscribed again. Comes before
    /// anything that the new connection brings. With `Lost` it may also be the very
    /// first: the latest state that was asked for is too large to be given.
    Resubscribed {
        /// What became of the publications in between. `Fresh` where the channel
        /// keeps no log: those are lost.
        verdict: Verdict,
    },
    /// Nothing more will come: refused after a reconnect, ended by the gateway, or
    /// the client is closed.
    Ended(Error),
}

/// What happened to the publications missed in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Live publications from here on.
    Fresh,
    /// All missed publications follow, in order, each once; none is missing and none
    /// comes again.
    Recovered,
    /// The latest state follows, marked by [`Publication::is_snapshot`], then live
    /// publications.
    Resnapshot,
    /// Nothing can be recovered; reload the state.
    Lost,
}

/// One message of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Position in the channel; zero: the channel keeps no log.
    pub offset: u64,
    /// Key for channels that deliver the latest value of each key; empty: none.
    pub key: String,
    /// What was published.
    pub payload: Bytes,
    /// When it was published, Unix time in microseconds.
    pub published_at_us: i64,
    /// It is of the latest state that the subscription began with, and no news: it
    /// may have been delivered before, and has no predecessor here.
    pub is_snapshot: bool,
}

/// Publications that were withheld from this subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Publications lost; zero where nobody counted them: with
    /// [`GapCause::BrokenChain`], with [`GapCause::SlowConnection`] where the log had
    /// let go of them before they were read, and with [`GapCause::Bus`] where it is
    /// not even known whether any is.
    pub dropped: u64,
    /// Publications replaced by newer ones of the same key.
    pub conflated: u64,
    /// First offset withheld; zero: the channel keeps no log.
    pub from: u64,
    /// Last offset withheld; zero: the channel keeps no log.
    pub to: u64,
    /// Why.
    pub cause: GapCause,
}

/// Why publications were withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapCause {
    /// This connection read too slowly.
    SlowConnection,
    /// The gateway was behind.
    GatewayOverloaded,
    /// The bus lost publications, or was away from the gateway and may have.
    Bus,
    /// The stream in this process was read too slowly.
    SlowReader,
    /// The subscription gets samples.
    Sampled,
    /// The offsets do not join and nobody said why.
    BrokenChain,
    /// A cause that this version does not know.
    Other,
}

/// The way from the connection's task to a subscription.
pub(crate) type Queue = queue::Queue<SubscriptionEvent>;

// === impl Subscription ===

impl Subscription {
    pub(crate) fn new(
        channel: Arc<str>,
        (queue, presence): (Arc<Queue>, Arc<Tracked>),
        client: Client,
    ) -> Self {
        Self {
            channel,
            queue,
            presence,
            client,
        }
    }

    /// Who is in the channel, now and from now on, with
    /// [`SubscribeOptions::presence`]: nobody before the gateway has said it for the first
    /// time, and while there is no connection whoever was there last.
    pub fn presence(&self) -> watch::Receiver<Presence> {
        self.presence.follow()
    }

    /// Name of the channel.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// Changes what this subscription gets from here on, as when what it feeds is
    /// out of sight: to less than all, or back. Stays so over reconnects.
    /// [`SubscribeOptions::latest`] does not count: the state was given when it
    /// began. When the connection is lost it takes effect with the next one.
    ///
    /// # Errors
    /// The gateway's refusal, or [`Error::Closed`].
    pub async fn set(&self, options: SubscribeOptions) -> Result<(), Error> {
        self.client.set(self.channel.clone(), options).await
    }

    /// The next publication; skips over gaps and reconnects, for those who do not
    /// mind them.
    ///
    /// # Errors
    /// Why the subscription ended. [`Error::Closed`] or the gateway's refusal.
    pub async fn next_publication(&mut self) -> Result<Publication, Error> {
        loop {
            match self.next().await {
                Some(SubscriptionEvent::Publication(publication)) => return Ok(publication),
                Some(SubscriptionEvent::Ended(error)) => return Err(error),
                Some(SubscriptionEvent::Gap(_) | SubscriptionEvent::Resubscribed { .. }) => {}
                None => return Err(Error::of_code(proto::ErrorCode::NotSubscribed)),
            }
        }
    }
}

impl Stream for Subscription {
    type Item = SubscriptionEvent;

    fn poll_next(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.queue.poll_next(ctx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.queue.abandon();
        self.client.wake();
    }
}

// === impl SubscriptionEvent ===

impl queue::Item for SubscriptionEvent {
    fn droppable_bytes(&self) -> Option<usize> {
        match self {
            Self::Publication(publication) => {
                Some(publication.payload.len() + publication.key.len())
            }
            Self::Gap(_) | Self::Resubscribed { .. } | Self::Ended(_) => None,
        }
    }

    fn in_place_of(dropped: Self) -> Option<Self> {
        let Self::Publication(publication) = dropped else {
            return None;
        };
        Some(Self::Gap(Gap::slow_reader(publication.offset)))
    }

    fn absorb(&mut self, next: Self) -> Result<(), Self> {
        match (self, next) {
            (Self::Gap(gap), Self::Gap(next)) if gap.cause == next.cause => {
                gap.absorb(&next);
                Ok(())
            }
            (Self::Resubscribed { verdict }, Self::Resubscribed { verdict: next }) => {
                // Nothing came in between: what the later one could not recover
                // includes what the earlier one could not.
                *verdict = match (*verdict, next) {
                    (Verdict::Recovered, next) => next,
                    (earlier, Verdict::Recovered) => earlier,
                    (_, next) => next,
                };
                Ok(())
            }
            (_, next) => Err(next),
        }
    }
}

// === impl Gap ===

impl Gap {
    /// Everything from one offset to the other, uncounted.
    pub(crate) fn withheld(from: u64, to: u64, cause: GapCause) -> Self {
        Self {
            dropped: 0,
            conflated: 0,
            from,
            to,
            cause,
        }
    }

    /// One message that the reader in this process was too slow for.
    pub(crate) fn slow_reader(offset: u64) -> Self {
        Self {
            dropped: 1,
            ..Self::withheld(offset, offset, GapCause::SlowReader)
        }
    }

    /// One message of a channel without a log that came too late to be news.
    pub(crate) fn late() -> Self {
        Self {
            dropped: 1,
            ..Self::withheld(0, 0, GapCause::Bus)
        }
    }

    pub(crate) fn absorb(&mut self, later: &Self) {
        self.dropped += later.dropped;
        self.conflated += later.conflated;
        if self.from == 0 {
            self.from = later.from;
        }
        self.to = self.to.max(later.to);
    }
}

impl From<proto::Gap> for Gap {
    fn from(gap: proto::Gap) -> Self {
        let cause = match gap.cause() {
            proto::GapCause::SlowConnection => GapCause::SlowConnection,
            proto::GapCause::GatewayOverloaded => GapCause::GatewayOverloaded,
            proto::GapCause::Bus => GapCause::Bus,
            proto::GapCause::Sampled => GapCause::Sampled,
            proto::GapCause::Unspecified => GapCause::Other,
        };
        Self {
            dropped: gap.dropped,
            conflated: gap.conflated,
            from: gap.from,
            to: gap.to,
            cause,
        }
    }
}

// === impl Publication ===

impl From<proto::Publication> for Publication {
    fn from(publication: proto::Publication) -> Self {
        Self {
            offset: publication.offset,
            key: publication.key,
            payload: publication.payload,
            published_at_us: publication.published_at_us,
            is_snapshot: false,
        }
    }
}

// === impl Verdict ===

impl From<proto::Verdict> for Verdict {
    fn from(verdict: proto::Verdict) -> Self {
        match verdict {
            proto::Verdict::Fresh => Self::Fresh,
            proto::Verdict::Recovered => Self::Recovered,
            proto::Verdict::Resnapshot => Self::Resnapshot,
            // A verdict that this version does not know promises nothing.
            proto::Verdict::Lost | proto::Verdict::Unspecified => Self::Lost,
        }
    }
}
