//! One bus subscription for all channels of a namespace: some tens of bytes for
//! each channel with local interest instead of the kilobytes of a subscription,
//! for the price of getting what nobody here listens to.

use std::sync::Arc;

use bus::{Message, Origin, Sink, Subject, SubscriptionToken};
use foldhash::HashMap;
use parking_lot::RwLock;
use wire::Channel;

use super::feed::Feed;

/// A namespace with local interest.
pub(super) struct Space {
    pub(super) feeds: Arc<Feeds>,
    pub(super) token: Option<SubscriptionToken>,
    /// The bus has confirmed.
    pub(super) open: bool,
}

/// Distributes a namespace's publications to the feeds of its channels.
#[derive(Default)]
pub(super) struct Feeds {
    // A lock: read for every publication of the namespace, written when the
    // first shard joins a channel and when its linger is over.
    by_channel: RwLock<HashMap<Channel, Arc<Feed>>>,
}

// === impl Space ===

impl Space {
    /// A namespace that the bus has not been asked for.
    pub(super) fn new() -> Self {
        Self {
            feeds: Arc::default(),
            token: None,
            open: false,
        }
    }
}

// === impl Feeds ===

impl Feeds {
    pub(super) fn insert(&self, channel: Channel, feed: Arc<Feed>) {
        self.by_channel.write().insert(channel, feed);
    }

    /// Takes a channel out; `true` if it was the last one.
    pub(super) fn remove(&self, channel: &Channel) -> bool {
        let mut feeds = self.by_channel.write();
        feeds.remove(channel);
        feeds.is_empty()
    }

    /// All channels as of now.
    pub(super) fn all(&self) -> Vec<(Channel, Arc<Feed>)> {
        let feeds = self.by_channel.read();
        let clone = |(channel, feed): (&Channel, &Arc<Feed>)| (channel.clone(), feed.clone());
        feeds.iter().map(clone).collect()
    }

    fn of(&self, subject: &Subject) -> Option<Arc<Feed>> {
        let name = subject.channel_name()?;
        self.by_channel.read().get(name).cloned()
    }
}

impl Sink for Feeds {
    fn deliver(&self, message: &Message) {
        if let Some(feed) = self.of(&message.subject) {
            feed.deliver(message);
        }
    }

    fn lost(&self, _dropped: u64) {
        // Of which channels is not known, so none of them is known to lack any.
        for (_, feed) in self.all() {
            feed.lost(0);
        }
    }

    fn reached(&self, subject: &Subject, origin: Origin) {
        if let Some(feed) = self.of(subject) {
            feed.reached(subject, origin);
        }
    }
}
