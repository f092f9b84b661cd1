//! The way into a shard: one bounded queue that any thread may fill.
//!
//! Publications are bounded in items and bytes; when the bound is reached they
//! are counted per channel and the shard tells the listeners with a `Gap`.
//! Everything else is an answer to something the shard asked for, or admitted by
//! the limits of the front or those of commands, and so bounded at its source.

use std::{io, mem, sync::Arc};

use foldhash::{HashMap, HashMapExt};
use hub::{EncodedPublication, Place};
use parking_lot::Mutex;

use crate::shard::Mail;

/// Publications that may wait for one shard. At 1 µs each to fan out to a few
/// listeners this is some 60 ms of work.
const MAX_PUBLICATIONS: usize = 65_536;

/// Bytes of publications that may wait for one shard.
const MAX_PUBLICATION_BYTES: usize = 64 << 20;

/// A handle to a shard's queue. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Mailbox(Arc<Shared>);

/// What a shard took from its mailbox in one go; reused from turn to turn.
#[derive(Default)]
pub(crate) struct Inbox {
    /// In the order they were pushed.
    pub(crate) mail: Vec<Mail>,
    /// Channels (by alias) whose publications did not fit; these belong after
    /// everything in `mail`.
    pub(crate) lost: Vec<(u32, Lost)>,
}

/// Publications of one channel that did not fit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lost {
    /// How many.
    pub(crate) dropped: u64,
    /// Place of the last one.
    pub(crate) to: Place,
}

struct Shared {
    // A lock, not a lock-free queue: it is held for a push or a swap of two
    // vectors, once per publication and shard, never per delivery.
    queue: Mutex<Queue>,
    waker: mio::Waker,
}

struct Queue {
    mail: Vec<Mail>,
    publications: usize,
    publication_bytes: usize,
    lost: HashMap<u32, Lost>,
    /// The shard sleeps, or is about to: the next push must wake it.
    asleep: bool,
}

// === impl Mailbox ===

impl Mailbox {
    /// Makes the mailbox of the shard that polls `registry`.
    pub(crate) fn new(registry: &mio::Registry, token: mio::Token) -> io::Result<Self> {
        let queue = Queue {
            mail: Vec::new(),
            publications: 0,
            publication_bytes: 0,
            lost: HashMap::new(),
            asleep: false,
        };
        let waker = mio::Waker::new(registry, token)?;
        Ok(Self(Arc::new(Shared {
            queue: Mutex::new(queue),
            waker,
        })))
    }

    /// Queues anything but a publication.
    pub(crate) fn push(&self, mail: Mail) {
        let mut queue = self.0.queue.lock();
        queue.mail.push(mail);
        let asleep = mem::take(&mut queue.asleep);
        drop(queue);
        self.wake_if(asleep);
    }

    /// Queues without waking the shard: [`Self::wake`] must follow.
    pub(crate) fn push_quietly(&self, mail: Mail) {
        self.0.queue.lock().mail.push(mail);
    }

    /// Wakes the shard if it sleeps.
    pub(crate) fn wake(&self) {
        let asleep = mem::take(&mut self.0.queue.lock().asleep);
        self.wake_if(asleep);
    }

    /// Queues a publication, or counts it as lost.
    pub(crate) fn publish(&self, publication: &Arc<EncodedPublication>) {
        let bytes = publication.encoded_len();
        let mut queue = self.0.queue.lock();
        let fits = queue.publications < MAX_PUBLICATIONS
            && queue.publication_bytes + bytes <= MAX_PUBLICATION_BYTES
            // Once one is lost the following are too, or the gap would not be
            // where it belongs.
            && !queue.lost.contains_key(&publication.alias());
        if fits {
            queue.publications += 1;
            queue.publication_bytes += bytes;
            queue.mail.push(Mail::Publication(publication.clone()));
        } else {
            let lost = queue.lost.entry(publication.alias()).or_default();
            lost.dropped += 1;
            lost.to = Place::of(publication);
        }
        let wake = mem::take(&mut queue.asleep);
        drop(queue);
        self.wake_if(wake);
    }

    /// Moves everything that waits into `inbox`, which must be empty.
    pub(crate) fn take(&self, inbox: &mut Inbox) {
        let mut queue = self.0.queue.lock();
        queue.asleep = false;
        mem::swap(&mut queue.mail, &mut inbox.mail);
        queue.publications = 0;
        queue.publication_bytes = 0;
        inbox.lost.extend(queue.lost.drain());
    }

    /// Whether the shard may sleep: nothing waits, and the next push will wake it.
    pub(crate) fn may_sleep(&self) -> bool {
        let mut queue = self.0.queue.lock();
        queue.asleep = queue.mail.is_empty() && queue.lost.is_empty();
        queue.asleep
    }

    fn wake_if(&self, wake: bool) {
        if wake && let Err(error) = self.0.waker.wake() {
            // Only possible when the eventfd is broken; the shard still looks
            // at its mailbox on every tick.
            tracing::error!(%error, "shard could not be woken");
        }
    }
}
