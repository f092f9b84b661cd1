//! The feed of one channel: from the bus to the shards that want it.

use std::sync::Arc;

use bus::{Message, Sink};
use hub::EncodedPublication;
use parking_lot::Mutex;
use wire::{Channel, Epoch, client::Publication};

use super::{Entry, MAX_SHARDS, Place};
use crate::{mailbox::Mailbox, shard::Mail};

/// A set of shard numbers.
#[derive(Clone, Copy, Default)]
pub(super) struct ShardSet(u64);

/// Takes the bus's deliveries of one channel to the shards that want them.
pub(super) struct Feed {
    pub(super) alias: u32,
    mailboxes: Arc<[Mailbox]>,
    // A lock, so that "who listens" and "how far we are" change together.
    state: Mutex<FeedState>,
}

#[derive(Default)]
struct FeedState {
    shards: ShardSet,
    place: Place,
    /// Publications up to this offset are on their way although shards were
    /// told that they start behind it; they are thrown away. Zero: none are.
    stale: u64,
}

// === impl ShardSet ===

impl ShardSet {
    pub(super) fn insert(&mut self, shard: usize) {
        self.0 |= 1 << shard;
    }

    pub(super) fn remove(&mut self, shard: usize) {
        self.0 &= !(1 << shard);
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        (0..MAX_SHARDS).filter(move |shard| self.0 & (1 << shard) != 0)
    }
}

// === impl Feed ===

impl Feed {
    pub(super) fn new(alias: u32, mailboxes: Arc<[Mailbox]>) -> Arc<Self> {
        Arc::new(Self {
            alias,
            mailboxes,
            state: Mutex::default(),
        })
    }

    /// Notes where deliveries will continue from. They have not begun.
    pub(super) fn start(&self, position: &bus::Position) {
        self.state.lock().place.offset = position.offset.0;
    }

    /// Notes how far the log was at some time after deliveries had begun. Where
    /// those are further, that is where shards enter; where they are not, the
    /// ones up to here are yet to come, and for nobody.
    pub(super) fn catch_up(&self, position: &bus::Position) {
        let mut state = self.state.lock();
        let offset = position.offset.0;
        // In another life the position may be the earlier log's.
        if state.place.life == 0 && offset > state.place.offset {
            state.place.offset = offset;
            state.stale = offset;
        }
    }

    /// Lets `shard` have the publications after the entry returned.
    pub(super) fn add(&self, shard: usize, epoch: Epoch) -> Entry {
        let mut state = self.state.lock();
        state.shards.insert(shard);
        self.entry(epoch, state.place)
    }

    /// Like [`Self::add`], for a shard that is told by mail: before the first
    /// publication, which another thread may be about to deliver.
    pub(super) fn add_by_mail(&self, shard: usize, channel: &Channel, epoch: Epoch) {
        let mut state = self.state.lock();
        state.shards.insert(shard);
        self.mailboxes[shard].push(Mail::Joined {
            channel: channel.clone(),
            entry: Ok(self.entry(epoch, state.place)),
        });
    }

    pub(super) fn remove(&self, shard: usize) {
        self.state.lock().shards.remove(shard);
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
}

impl Sink for Feed {
    fn deliver(&self, message: &Message) {
        let (shards, life) = {
            let mut state = self.state.lock();
            if message.offset.0 != 0 && message.offset.0 <= state.stale {
                return;
            }
            state.stale = 0;
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
        let shards = {
            let mut state = self.state.lock();
            // What was on its way may be what is lost, with the log itself.
            state.stale = 0;
            state.shards
        };
        let alias = self.alias;
        for shard in shards.iter() {
            self.mailboxes[shard].push(Mail::Missing { alias, dropped });
        }
    }
}
