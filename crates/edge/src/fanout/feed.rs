//! The feed of one channel: from the bus to the shards that want it.

use std::{sync::Arc, time::Instant};

use bus::{Message, Origin, Sink, Subject};
use hub::{EncodedPublication, Place};
use parking_lot::Mutex;
use spans::Tracer;
use wire::{Channel, Epoch, Offset, client::Publication};

use super::{
    Entry, MAX_SHARDS,
    clocks::Clocks,
    origins::{Origins, Standing},
};
use crate::{mailbox::Mailbox, shard::Mail, trace};

/// A set of shard numbers.
#[derive(Clone, Copy, Default)]
pub(super) struct ShardSet(u64);

/// Takes the bus's deliveries of one channel to the shards that want them.
pub(super) struct Feed {
    pub(super) alias: u32,
    mailboxes: Arc<[Mailbox]>,
    clocks: Arc<Clocks>,
    /// Absent: no spans are made.
    tracer: Option<Arc<Tracer>>,
    // A lock, so that "who listens" and "how far we are" change together.
    state: Mutex<FeedState>,
}

struct FeedState {
    shards: ShardSet,
    place: Place,
    origins: Origins,
    /// Others may be missing behind it.
    torn: bool,
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
    pub(super) fn new(
        alias: u32,
        mailboxes: Arc<[Mailbox]>,
        clocks: Arc<Clocks>,
        tracer: Option<Arc<Tracer>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            alias,
            mailboxes,
            clocks,
            tracer,
            state: Mutex::new(FeedState {
                shards: ShardSet::default(),
                place: Place::default(),
                origins: Origins::new(Instant::now()),
                torn: false,
                stale: 0,
            }),
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
        self.entry(epoch, &state)
    }

    /// Like [`Self::add`], for a shard that is told by mail: before the first
    /// publication, which another thread may be about to deliver.
    pub(super) fn add_by_mail(&self, shard: usize, channel: &Channel, epoch: Epoch) {
        let mut state = self.state.lock();
        state.shards.insert(shard);
        self.mailboxes[shard].push(Mail::Joined {
            channel: channel.clone(),
            entry: Ok(self.entry(epoch, &state)),
        });
    }

    pub(super) fn remove(&self, shard: usize) {
        self.state.lock().shards.remove(shard);
    }

    fn tell_missing(&self, shards: ShardSet, dropped: u64) {
        let alias = self.alias;
        for shard in shards.iter() {
            self.mailboxes[shard].push(Mail::Missing { alias, dropped });
        }
    }

    /// What a shard that enters now is told. `epoch` is of the log's
    /// first life; nobody has told us that of a later one.
    fn entry(&self, epoch: Epoch, state: &FeedState) -> Entry {
        let epoch = match state.place.life {
            0 => epoch,
            _ => Epoch::new(""),
        };
        Entry {
            alias: self.alias,
            epoch,
            place: state.place,
            torn: state.torn,
        }
    }
}

impl Sink for Feed {
    fn deliver(&self, message: &Message) {
        let (shards, life, standing) = {
            let mut state = self.state.lock();
            let (origin, at_us) = (message.origin, message.published_at_us);
            let origins = &mut state.origins;
            let standing = origins.pass(origin, at_us, &self.clocks, Instant::now);
            match standing {
                Standing::Late => return,
                Standing::Overtaken(missing) => {
                    let shards = state.shards;
                    drop(state);
                    return self.tell_missing(shards, missing);
                }
                Standing::Next | Standing::Behind(_) => {}
            }
            if message.offset.0 != 0 && message.offset.0 <= state.stale {
                return;
            }
            state.stale = 0;
            state.torn = false;
            state.place = next(state.place, message.offset);
            (state.shards, state.place.life, standing)
        };
        if shards.is_empty() {
            return;
        }
        if let Standing::Behind(missing) = standing {
            self.tell_missing(shards, missing);
        }
        let tracer = self.tracer.as_ref();
        let span = tracer.and_then(|tracer| trace::deliver(tracer, message));
        let publication = Arc::new(encode(message, self.alias, life));
        for shard in shards.iter() {
            self.mailboxes[shard].publish(&publication);
        }
        // The first shard stands for all: a span for each would be too many.
        if let (Some(span), Some(first)) = (span, shards.iter().next()) {
            self.mailboxes[first].push(Mail::Delivering(span));
        }
    }

    fn lost(&self, dropped: u64) {
        let shards = {
            let mut state = self.state.lock();
            // What was on its way may be what is lost, with the log itself.
            state.stale = 0;
            state.torn = true;
            state.shards
        };
        self.tell_missing(shards, dropped);
    }

    fn reached(&self, _subject: &Subject, origin: Origin) {
        let mut state = self.state.lock();
        let missing = state.origins.reach(origin, Instant::now);
        let shards = state.shards;
        drop(state);
        if let Some(missing) = missing {
            self.tell_missing(shards, missing);
        }
    }
}

/// The place of the message that the bus delivers after the one at `place`. It
/// delivers in order and once, so an offset that does not grow is of another log.
fn next(place: Place, Offset(offset): Offset) -> Place {
    let anew = offset != 0 && offset <= place.offset;
    Place {
        life: place.life + u32::from(anew),
        offset,
    }
}

/// A message of the bus as clients get it.
pub(crate) fn encode(message: &Message, alias: u32, life: u32) -> EncodedPublication {
    let publication = Publication {
        alias,
        offset: message.offset.0,
        previous: message.previous.0,
        key: message.key.to_string(),
        payload: message.payload.clone(),
        published_at_us: message.published_at_us,
    };
    EncodedPublication::new(&publication).of_life(life)
}
