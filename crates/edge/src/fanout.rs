//! Which channels this gateway listens to, shared by all shards: by a bus
//! subscription for each channel with local interest, or by one for a whole
//! namespace while there is interest in any of its channels.
//!
//! Order that must hold: a shard is told its position in the channel before it
//! gets the first publication after that position. So an active channel is
//! joined synchronously, on the shard's own thread, and a channel that does not
//! flow yet answers by mail before its first delivery.
//!
//! A namespace's subscription tells no positions, so a channel that joins it
//! reads its own from the log, while its publications may come already. Whoever
//! waits enters behind the later one of both, the newest publication that came
//! and the position that was read; [`feed::Feed`] throws away what comes after
//! that and belongs before it. Nothing is kept meanwhile, and nothing can be
//! missed: all that is published after the entry comes after it.

mod clocks;
mod feed;
mod interest;
mod lingering;
mod origins;
mod space;

use std::{
    collections::HashSet,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use bus::{Bus, BusError, HistoryPage, HistoryRead, Pattern, Position, Sink, Subject, Subscribed};
use hub::Place;
use parking_lot::Mutex;
use spans::Tracer;
use wire::{Channel, Epoch, Offset};

pub(crate) use self::feed::encode;
use self::{
    clocks::Clocks,
    feed::Feed,
    interest::{Ask, Interest, Listening, Source},
    space::Feeds,
};
use crate::{
    mailbox::Mailbox,
    namespace::{FanoutMode, Policies},
    shard::Mail,
};

/// Shards that one set can name; more cores than this share shards.
pub(crate) const MAX_SHARDS: usize = 64;

/// Where a shard enters a channel.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Stands for the channel on every connection of this gateway. Never used
    /// again for another channel, so a late publication can't go astray.
    pub(crate) alias: u32,
    /// Identity of the log; empty: none is kept.
    pub(crate) epoch: Epoch,
    /// The publication before the first one that this shard will get.
    pub(crate) place: Place,
    /// Others may be missing between the two.
    pub(crate) torn: bool,
}

/// What joining a channel gave.
#[derive(Debug)]
pub(crate) enum Join {
    /// The channel flows; publications come from here on.
    Active(Entry),
    /// [`Mail::Joined`] will tell.
    Pending,
    /// The channel does not flow, and the bus is not to be asked now.
    Refused,
}

/// The channels with local interest.
pub(crate) struct Fanout {
    bus: Arc<dyn Bus>,
    mailboxes: Arc<[Mailbox]>,
    /// Namespaces that are subscribed to as a whole.
    whole: HashSet<Box<str>>,
    // A lock: taken on subscribe and unsubscribe, never for a publication.
    interest: Mutex<Interest>,
    clocks: Arc<Clocks>,
    /// Absent: no spans are made.
    tracer: Option<Arc<Tracer>>,
    next_alias: AtomicU32,
}

// === impl Fanout ===

impl Fanout {
    /// Fans out to `mailboxes`, one per shard. A channel is let go when nobody
    /// has listened to it for as long as `linger`.
    pub(crate) fn new(
        bus: Arc<dyn Bus>,
        mailboxes: Arc<[Mailbox]>,
        policies: &Policies,
        linger: Duration,
        tracer: Option<Arc<Tracer>>,
    ) -> Arc<Self> {
        assert!(
            mailboxes.len() <= MAX_SHARDS,
            "more shards than a set can name"
        );
        let whole = policies.namespaces.iter();
        let whole = whole.filter(|(_, policy)| policy.fanout == FanoutMode::Namespace);
        Arc::new(Self {
            bus,
            mailboxes,
            whole: whole.map(|(name, _)| name.clone()).collect(),
            interest: Mutex::new(Interest::new(linger)),
            clocks: Arc::new(Clocks::new(Instant::now())),
            tracer,
            next_alias: AtomicU32::new(1),
        })
    }

    /// Joins `shard` to `channel`. `asking`: the bus may be asked for a channel
    /// that does not flow yet. Called on that shard's own thread.
    pub(crate) fn join(self: &Arc<Self>, shard: usize, channel: &Channel, asking: bool) -> Join {
        let mut interest = self.interest.lock();
        let flows = |listening: &&mut Listening| asking || listening.epoch.is_some();
        if let Some(listening) = interest.channels.get_mut(channel).filter(flows) {
            let entry = listening.join(shard);
            return entry.map_or(Join::Pending, Join::Active);
        }
        if !asking {
            return Join::Refused;
        }
        let alias = self.next_alias.fetch_add(1, Ordering::Relaxed);
        let feed = Feed::new(
            alias,
            self.mailboxes.clone(),
            self.clocks.clone(),
            self.tracer.clone(),
        );
        let whole = self.is_whole(channel);
        let ask = interest.insert(channel, &feed, shard, whole);
        drop(interest);
        match ask {
            Ask::Channel => self.listen(channel, feed),
            Ask::Space(feeds) => self.listen_to_all(channel.namespace(), feeds),
            Ask::Position => self.locate(channel, feed),
            Ask::Later => {}
        }
        Join::Pending
    }

    /// Takes `shard` out of `channel`. Called on that shard's own thread.
    pub(crate) fn leave(&self, shard: usize, channel: &Channel) {
        let now = Instant::now();
        self.interest.lock().leave(shard, channel, now);
        self.sweep(now);
    }

    /// Lets go of channels that have lingered long enough.
    pub(crate) fn sweep(&self, now: Instant) {
        // The bus is not called with the lock held.
        let tokens = self.interest.lock().take_idle(now);
        for token in tokens {
            self.bus.unsubscribe(token);
        }
    }

    /// Channels with local interest, those that linger included.
    pub(crate) fn channels(&self) -> usize {
        self.interest.lock().channels.len()
    }

    /// The namespace's own channel, if it is one, does not match the pattern of
    /// those below it.
    fn is_whole(&self, channel: &Channel) -> bool {
        let namespace = channel.namespace();
        namespace != channel.as_str() && self.whole.contains(namespace)
    }

    /// Subscribes to a channel.
    fn listen(self: &Arc<Self>, channel: &Channel, feed: Arc<Feed>) {
        let pattern = Pattern::from(Subject::of_channel(channel));
        let alias = feed.alias;
        let confirm = {
            let (fanout, channel, feed) = (Arc::downgrade(self), channel.clone(), feed.clone());
            Box::new(move |outcome: Result<Subscribed, BusError>| {
                let begin = |position: &Position| feed.start(position);
                let position = outcome.map(|subscribed| subscribed.position);
                settle(&fanout, &channel, &feed, position, begin);
            })
        };
        let token = self.bus.subscribe(pattern, feed, confirm);
        let mut interest = self.interest.lock();
        let listening = interest.channels.get_mut(channel);
        match listening.filter(|listening| listening.feed.alias == alias) {
            Some(listening) => listening.source = Source::Own(Some(token)),
            // The bus refused, or everybody left, before we knew the token.
            None => {
                drop(interest);
                self.bus.unsubscribe(token);
            }
        }
    }

    /// Subscribes to a namespace.
    fn listen_to_all(self: &Arc<Self>, namespace: &str, feeds: Arc<Feeds>) {
        let [_, below] = Pattern::of_namespace(namespace).expect("a channel's first token is one");
        let confirm = {
            let (fanout, feeds) = (Arc::downgrade(self), feeds.clone());
            let namespace: Box<str> = namespace.into();
            Box::new(move |outcome: Result<Subscribed, BusError>| {
                if let Some(fanout) = fanout.upgrade() {
                    fanout.opened(&namespace, &feeds, outcome);
                }
            })
        };
        let sink: Arc<dyn Sink> = feeds.clone();
        let token = self.bus.subscribe(below, sink, confirm);
        let mut interest = self.interest.lock();
        match interest.space(namespace, &feeds) {
            Some(space) => space.token = Some(token),
            None => {
                drop(interest);
                self.bus.unsubscribe(token);
            }
        }
    }

    /// The bus has confirmed a namespace, or not: asks for the positions of the
    /// channels that wait for it.
    fn opened(
        self: &Arc<Self>,
        namespace: &str,
        feeds: &Arc<Feeds>,
        outcome: Result<Subscribed, BusError>,
    ) {
        let (refused, waiting) = {
            let mut interest = self.interest.lock();
            let Some(space) = interest.space(namespace, feeds) else {
                return;
            };
            space.open = outcome.is_ok();
            // Who joins from here on must not wait for this one.
            let refused = outcome.is_err().then(|| interest.spaces.remove(namespace));
            let token = refused.flatten().and_then(|space| space.token);
            (token, feeds.all())
        };
        if let Some(token) = refused {
            self.bus.unsubscribe(token);
        }
        for (channel, feed) in waiting {
            match &outcome {
                Ok(_) => self.locate(&channel, feed),
                Err(error) => self.settle(&channel, &feed, Err(error.clone())),
            }
        }
    }

    /// Reads the position of a channel whose publications come already.
    fn locate(self: &Arc<Self>, channel: &Channel, feed: Arc<Feed>) {
        let read = HistoryRead::after(Subject::of_channel(channel), Offset(u64::MAX), 1);
        let (fanout, channel) = (Arc::downgrade(self), channel.clone());
        let done = move |outcome: Result<HistoryPage, BusError>| {
            let position = match outcome {
                Ok(page) => Ok(Some(page.position)),
                Err(BusError::NoLog) => Ok(None),
                Err(error) => Err(error),
            };
            let begin = |position: &Position| feed.catch_up(position);
            settle(&fanout, &channel, &feed, position, begin);
        };
        self.bus.history(read, Box::new(done));
    }

    /// Tells the shards that wait for a channel.
    fn settle(&self, channel: &Channel, feed: &Feed, epoch: Result<Epoch, BusError>) {
        let mut interest = self.interest.lock();
        let listening = interest.channels.get_mut(channel);
        let Some(listening) = listening.filter(|listening| listening.feed.alias == feed.alias)
        else {
            return;
        };
        let waiting = listening.shards;
        let token = match &epoch {
            Ok(epoch) => {
                listening.epoch = Some(epoch.clone());
                None
            }
            Err(_) => interest.remove(channel),
        };
        drop(interest);
        if let Some(token) = token {
            self.bus.unsubscribe(token);
        }
        for shard in waiting.iter() {
            match &epoch {
                Ok(epoch) => feed.add_by_mail(shard, channel, epoch.clone()),
                Err(error) => self.mailboxes[shard].push(Mail::Joined {
                    channel: channel.clone(),
                    entry: Err(error.clone()),
                }),
            }
        }
    }
}

impl Drop for Fanout {
    fn drop(&mut self) {
        for token in self.interest.get_mut().all_tokens() {
            self.bus.unsubscribe(token);
        }
    }
}

/// What a `done` of the bus does about a channel: it may outlive the fan-out.
fn settle(
    fanout: &Weak<Fanout>,
    channel: &Channel,
    feed: &Feed,
    position: Result<Option<Position>, BusError>,
    begin: impl FnOnce(&Position),
) {
    let Some(fanout) = fanout.upgrade() else {
        return;
    };
    let epoch = position.map(|position| {
        position.as_ref().map(begin);
        position.map_or_else(|| Epoch::new(""), |position| position.epoch)
    });
    fanout.settle(channel, feed, epoch);
}

#[cfg(test)]
mod tests;
