//! Which channels this gateway listens to: one bus subscription per channel
//! with local interest, shared by all shards.
//!
//! Order that must hold: a shard is told its position in the channel before it
//! gets the first publication after that position. So an active channel is
//! joined synchronously, on the shard's own thread, and a channel that the bus
//! has yet to confirm answers by mail before its first delivery.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU32, Ordering},
};

use bus::{Bus, Message, Pattern, Sink, Subject, SubscriptionToken};
use foldhash::{HashMap, HashMapExt};
use hub::EncodedPublication;
use parking_lot::Mutex;
use wire::{Channel, Epoch, Offset, client::Publication};

use crate::{mailbox::Mailbox, shard::Mail};

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
    pub(crate) offset: Offset,
}

/// What joining a channel gave.
#[derive(Debug)]
pub(crate) enum Join {
    /// The channel flows; publications come from here on.
    Active(Entry),
    /// [`Mail::Joined`] will tell.
    Pending,
}

/// The channels with local interest.
pub(crate) struct Fanout {
    bus: Arc<dyn Bus>,
    mailboxes: Arc<[Mailbox]>,
    // A lock: taken on subscribe and unsubscribe, never for a publication.
    channels: Mutex<HashMap<Channel, Listening>>,
    next_alias: AtomicU32,
}

struct Listening {
    feed: Arc<Feed>,
    token: Option<SubscriptionToken>,
    /// Absent until the bus has confirmed.
    epoch: Option<Epoch>,
    /// Shards that joined; until the bus has confirmed they wait to be told.
    shards: ShardSet,
}

/// A set of shard numbers.
#[derive(Clone, Copy, Default)]
struct ShardSet(u64);

/// Takes the bus's deliveries of one channel to the shards that want them.
struct Feed {
    alias: u32,
    mailboxes: Arc<[Mailbox]>,
    // A lock, so that "who listens" and "how far we are" change together.
    state: Mutex<FeedState>,
}

struct FeedState {
    shards: ShardSet,
    offset: Offset,
}

// === impl Fanout ===

impl Fanout {
    /// Fans out to `mailboxes`, one per shard.
    pub(crate) fn new(bus: Arc<dyn Bus>, mailboxes: Arc<[Mailbox]>) -> Arc<Self> {
        assert!(
            mailboxes.len() <= MAX_SHARDS,
            "more shards than a set can name"
        );
        Arc::new(Self {
            bus,
            mailboxes,
            channels: Mutex::new(HashMap::new()),
            next_alias: AtomicU32::new(1),
        })
    }

    /// Joins `shard` to `channel`. Called on that shard's own thread.
    pub(crate) fn join(self: &Arc<Self>, shard: usize, channel: &Channel) -> Join {
        let mut channels = self.channels.lock();
        if let Some(listening) = channels.get_mut(channel) {
            listening.shards.insert(shard);
            let (feed, epoch) = (listening.feed.clone(), listening.epoch.clone());
            drop(channels);
            let Some(epoch) = epoch else {
                return Join::Pending;
            };
            return Join::Active(Entry {
                alias: feed.alias,
                epoch,
                offset: feed.add(shard),
            });
        }
        let alias = self.next_alias.fetch_add(1, Ordering::Relaxed);
        let feed = Arc::new(Feed::new(alias, self.mailboxes.clone()));
        let mut listening = Listening {
            feed: feed.clone(),
            token: None,
            epoch: None,
            shards: ShardSet::default(),
        };
        listening.shards.insert(shard);
        channels.insert(channel.clone(), listening);
        drop(channels);
        self.listen(channel, feed);
        Join::Pending
    }

    /// Takes `shard` out of `channel`; the last one ends the bus subscription.
    /// Called on that shard's own thread.
    pub(crate) fn leave(&self, shard: usize, channel: &Channel) {
        let mut channels = self.channels.lock();
        let Some(listening) = channels.get_mut(channel) else {
            return;
        };
        listening.shards.remove(shard);
        if !listening.shards.is_empty() {
            let feed = listening.feed.clone();
            drop(channels);
            feed.state.lock().shards.remove(shard);
            return;
        }
        let token = channels
            .remove(channel)
            .and_then(|listening| listening.token);
        drop(channels);
        if let Some(token) = token {
            self.bus.unsubscribe(token);
        }
    }

    /// Channels with local interest.
    pub(crate) fn channels(&self) -> usize {
        self.channels.lock().len()
    }

    fn listen(self: &Arc<Self>, channel: &Channel, feed: Arc<Feed>) {
        let pattern = Pattern::from(Subject::of_channel(channel));
        let alias = feed.alias;
        let confirm = {
            let (fanout, channel, feed) = (Arc::downgrade(self), channel.clone(), feed.clone());
            Box::new(move |outcome| Self::confirm(&fanout, &channel, &feed, outcome))
        };
        let token = self.bus.subscribe(pattern, feed, confirm);
        let mut channels = self.channels.lock();
        match channels
            .get_mut(channel)
            .filter(|listening| listening.feed.alias == alias)
        {
            Some(listening) => listening.token = Some(token),
            // Everybody left, or the bus refused, before we knew the token.
            None => {
                drop(channels);
                self.bus.unsubscribe(token);
            }
        }
    }

    fn confirm(
        fanout: &Weak<Self>,
        channel: &Channel,
        feed: &Feed,
        outcome: Result<bus::Subscribed, bus::BusError>,
    ) {
        let Some(fanout) = fanout.upgrade() else {
            return;
        };
        let entry = outcome.map(|subscribed| feed.start(subscribed.position));
        let mut channels = fanout.channels.lock();
        let Some(listening) = channels.get_mut(channel) else {
            return;
        };
        if listening.feed.alias != feed.alias {
            return;
        }
        let waiting = listening.shards;
        match &entry {
            Ok(entry) => listening.epoch = Some(entry.epoch.clone()),
            Err(_) => drop(channels.remove(channel)),
        }
        drop(channels);
        for shard in waiting.iter() {
            feed.add(shard);
            let entry = entry.clone();
            fanout.mailboxes[shard].push(Mail::Joined {
                channel: channel.clone(),
                entry,
            });
        }
    }
}

// === impl ShardSet ===

impl ShardSet {
    fn insert(&mut self, shard: usize) {
        self.0 |= 1 << shard;
    }

    fn remove(&mut self, shard: usize) {
        self.0 &= !(1 << shard);
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn iter(self) -> impl Iterator<Item = usize> {
        (0..MAX_SHARDS).filter(move |shard| self.0 & (1 << shard) != 0)
    }
}

// === impl Feed ===

impl Feed {
    fn new(alias: u32, mailboxes: Arc<[Mailbox]>) -> Self {
        let state = FeedState {
            shards: ShardSet::default(),
            offset: Offset::NONE,
        };
        Self {
            alias,
            mailboxes,
            state: Mutex::new(state),
        }
    }

    /// Notes where deliveries will continue from.
    fn start(&self, position: Option<bus::Position>) -> Entry {
        let none = || (Epoch::new(""), Offset::NONE);
        let (epoch, offset) = position.map_or_else(none, |at| (at.epoch, at.offset));
        self.state.lock().offset = offset;
        Entry {
            alias: self.alias,
            epoch,
            offset,
        }
    }

    /// Lets `shard` have the publications after the offset returned.
    fn add(&self, shard: usize) -> Offset {
        let mut state = self.state.lock();
        state.shards.insert(shard);
        state.offset
    }
}

impl Sink for Feed {
    fn deliver(&self, message: &Message) {
        let shards = {
            let mut state = self.state.lock();
            state.offset = message.offset;
            state.shards
        };
        if shards.is_empty() {
            return;
        }
        let publication = Publication {
            alias: self.alias,
            offset: message.offset.0,
            previous: message.previous.0,
            key: message.key.to_string(),
            payload: message.payload.clone(),
            published_at_us: message.published_at_us,
        };
        let publication = Arc::new(EncodedPublication::new(&publication));
        for shard in shards.iter() {
            self.mailboxes[shard].publish(&publication);
        }
    }

    fn lost(&self, _dropped: u64) {}
}
