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
    pub(crate) place: Place,
}

/// Where a publication stands in its channel: places grow as the channel flows,
/// also when its log is lost and offsets begin anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// How often the log began anew since this gateway listens.
    pub(crate) life: u32,
    /// Zero: the channel keeps no log.
    pub(crate) offset: u64,
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
    place: Place,
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

    /// Joins `shard` to `channel`. `asking`: the bus may be asked for a channel
    /// that does not flow yet. Called on that shard's own thread.
    pub(crate) fn join(self: &Arc<Self>, shard: usize, channel: &Channel, asking: bool) -> Join {
        let mut channels = self.channels.lock();
        let flows = |listening: &&mut Listening| asking || listening.epoch.is_some();
        if let Some(listening) = channels.get_mut(channel).filter(flows) {
            listening.shards.insert(shard);
            let (feed, epoch) = (listening.feed.clone(), listening.epoch.clone());
            drop(channels);
            let Some(epoch) = epoch else {
                return Join::Pending;
            };
            return Join::Active(feed.entry(epoch, feed.add(shard)));
        }
        if !asking {
            return Join::Refused;
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

// === impl Place ===

impl Place {
    pub(crate) fn of(publication: &EncodedPublication) -> Self {
        Self {
            life: publication.life(),
            offset: publication.offset(),
        }
    }

    /// The place of the message that the bus delivers after this one. It delivers
    /// in order and once, so an offset that does not grow is of another log.
    fn next(self, Offset(offset): Offset) -> Self {
        let anew = offset != 0 && offset <= self.offset;
        Self {
            life: self.life + u32::from(anew),
            offset,
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
            place: Place::default(),
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
        let place = Place {
            life: 0,
            offset: offset.0,
        };
        self.state.lock().place = place;
        self.entry(epoch, place)
    }

    /// What a shard that enters at `place` is told. `epoch` is of the log's
    /// first life; nobody has told us that of a later one.
    fn entry(&self, epoch: Epoch, place: Place) -> Entry {
        let epoch = match place.life {
            0 => epoch,
            _ => Epoch::new(""),
        };
        Entry {
            alias: self.alias,
            epoch,
            place,
        }
    }

    /// Lets `shard` have the publications after the place returned.
    fn add(&self, shard: usize) -> Place {
        let mut state = self.state.lock();
        state.shards.insert(shard);
        state.place
    }
}

impl Sink for Feed {
    fn deliver(&self, message: &Message) {
        let (shards, life) = {
            let mut state = self.state.lock();
            state.place = state.place.next(message.offset);
            (state.shards, state.place.life)
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
        let publication = Arc::new(EncodedPublication::new(&publication).of_life(life));
        for shard in shards.iter() {
            self.mailboxes[shard].publish(&publication);
        }
    }

    fn lost(&self, dropped: u64) {
        let shards = self.state.lock().shards;
        let alias = self.alias;
        for shard in shards.iter() {
            self.mailboxes[shard].push(Mail::Missing { alias, dropped });
        }
    }
}
