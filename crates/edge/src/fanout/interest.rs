//! The state behind a fan-out's lock: which channels it listens to, by which
//! subscription, and for which shards.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bus::SubscriptionToken;
use foldhash::{HashMap, HashMapExt};
use wire::{Channel, Epoch};

use super::{
    Entry,
    feed::{Feed, ShardSet},
    lingering::{Lingering, Stay},
    space::{Feeds, Space},
};

/// What a fan-out knows under its lock.
pub(super) struct Interest {
    pub(super) channels: HashMap<Channel, Listening>,
    /// Namespaces subscribed to as a whole, with a channel in `channels` each.
    pub(super) spaces: HashMap<Box<str>, Space>,
    lingering: Lingering,
}

/// A channel with local interest, or that lingers.
pub(super) struct Listening {
    pub(super) feed: Arc<Feed>,
    pub(super) source: Source,
    /// Absent until it is known where the channel is.
    pub(super) epoch: Option<Epoch>,
    /// Shards that joined; while there is no epoch they wait to be told.
    pub(super) shards: ShardSet,
    stay: Stay,
}

/// Where a channel's publications come from.
pub(super) enum Source {
    /// A subscription of its own; its token is known a moment later.
    Own(Option<SubscriptionToken>),
    /// The one of its namespace.
    Space,
}

/// What the bus must be asked for a new channel.
pub(super) enum Ask {
    Channel,
    Space(Arc<Feeds>),
    Position,
    /// Nothing: it will be, once the bus has confirmed the namespace.
    Later,
}

// === impl Interest ===

impl Interest {
    pub(super) fn new(linger: Duration) -> Self {
        Self {
            channels: HashMap::new(),
            spaces: HashMap::new(),
            lingering: Lingering::new(linger),
        }
    }

    /// Adds a channel with its first listener.
    pub(super) fn insert(
        &mut self,
        channel: &Channel,
        feed: &Arc<Feed>,
        shard: usize,
        whole: bool,
    ) -> Ask {
        let mut shards = ShardSet::default();
        shards.insert(shard);
        let source = match whole {
            true => Source::Space,
            false => Source::Own(None),
        };
        let listening = Listening {
            feed: feed.clone(),
            source,
            epoch: None,
            shards,
            stay: Stay::default(),
        };
        self.channels.insert(channel.clone(), listening);
        if !whole {
            return Ask::Channel;
        }
        let namespace = channel.namespace();
        let known = self.spaces.get(namespace);
        let ask = match known {
            Some(space) if space.open => Ask::Position,
            Some(_) => Ask::Later,
            None => {
                let space = Space::new();
                let ask = Ask::Space(space.feeds.clone());
                self.spaces.insert(namespace.into(), space);
                ask
            }
        };
        let space = &self.spaces[namespace];
        space.feeds.insert(channel.clone(), feed.clone());
        ask
    }

    /// Takes a listener out; the last one's leaving begins the linger.
    pub(super) fn leave(&mut self, shard: usize, channel: &Channel, now: Instant) {
        let Some(listening) = self.channels.get_mut(channel) else {
            return;
        };
        listening.shards.remove(shard);
        listening.feed.remove(shard);
        if listening.shards.is_empty() {
            self.lingering.begin(channel, &mut listening.stay, now);
        }
    }

    /// The space of a namespace, if it is still the one with these feeds.
    pub(super) fn space(&mut self, namespace: &str, feeds: &Arc<Feeds>) -> Option<&mut Space> {
        let space = self.spaces.get_mut(namespace)?;
        Arc::ptr_eq(&space.feeds, feeds).then_some(space)
    }

    /// Forgets a channel; gives the subscription that nobody needs any more.
    pub(super) fn remove(&mut self, channel: &Channel) -> Option<SubscriptionToken> {
        match self.channels.remove(channel)?.source {
            Source::Own(token) => token,
            Source::Space => {
                let namespace = channel.namespace();
                let was_last = self.spaces.get(namespace)?.feeds.remove(channel);
                let space = was_last.then(|| self.spaces.remove(namespace))?;
                space?.token
            }
        }
    }

    /// Forgets what has lingered long enough.
    pub(super) fn take_idle(&mut self, now: Instant) -> Vec<SubscriptionToken> {
        let mut tokens = Vec::new();
        while let Some((since, channel)) = self.lingering.next_due(now) {
            let Some(listening) = self.channels.get_mut(&channel) else {
                continue;
            };
            let stay = &mut listening.stay;
            if self.lingering.is_over(since, channel.clone(), stay) {
                tokens.extend(self.remove(&channel));
            }
        }
        tokens
    }

    pub(super) fn all_tokens(&mut self) -> Vec<SubscriptionToken> {
        let channels: Vec<Channel> = self.channels.keys().cloned().collect();
        let tokens = channels.iter().filter_map(|channel| self.remove(channel));
        tokens.collect()
    }
}

// === impl Listening ===

impl Listening {
    /// Adds a shard; gives its entry unless it has to wait.
    pub(super) fn join(&mut self, shard: usize) -> Option<Entry> {
        self.shards.insert(shard);
        self.stay.end();
        let epoch = self.epoch.clone()?;
        Some(self.feed.add(shard, epoch))
    }
}
