//! A channel as the bus has it: all that was ever published, what the log still
//! holds of it, and what is on its way to the gateway.

use std::{collections::VecDeque, sync::Arc};

use hub::{EncodedPublication, LogPage, LogRead, Place, ReadOutcome};
use wire::client::Publication;

/// Something that was published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) place: Place,
    /// As the bus tells it with the live one.
    pub(crate) previous: u64,
    pub(crate) bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) alias: u32,
    /// In order, of all lives.
    pub(crate) published: Vec<Entry>,
    /// How many of them the log has let go.
    trimmed: usize,
    /// How many the gateway was given, or lost.
    pub(crate) delivered: usize,
    /// The place of the last one it was given.
    pub(crate) fed: Place,
    /// Others may have been lost behind that.
    pub(crate) torn: bool,
    pub(crate) life: u32,
}

// === impl Log ===

impl Log {
    pub(crate) fn new(alias: u32) -> Self {
        Self {
            alias,
            published: Vec::new(),
            trimmed: 0,
            delivered: 0,
            fed: Place::default(),
            torn: false,
            life: 0,
        }
    }

    pub(crate) fn publish(&mut self, step: u64, bytes: usize) {
        let kept = &self.published[self.trimmed..];
        let newest = self.newest();
        // An emptied log does not know what it had.
        let previous = match kept.last() {
            Some(last) if last.place.life == self.life => last.place.offset,
            _ => 0,
        };
        let place = Place {
            life: self.life,
            offset: newest + step,
        };
        self.published.push(Entry {
            place,
            previous,
            bytes,
        });
    }

    /// Loses everything, and begins anew.
    pub(crate) fn begin_anew(&mut self) {
        self.trimmed = self.published.len();
        self.life += 1;
    }

    pub(crate) fn trim(&mut self, count: usize) {
        self.trimmed = (self.trimmed + count).min(self.published.len());
    }

    /// Offset of the newest publication of this life.
    pub(crate) fn newest(&self) -> u64 {
        let last = self.published.last();
        last.filter(|last| last.place.life == self.life)
            .map_or(0, |last| last.place.offset)
    }

    /// The newest offset of this life that is gone from the log.
    pub(crate) fn gone(&self, life: u32) -> u64 {
        let gone = self.published[..self.trimmed].iter().rev();
        let mut of_life = gone.filter(|entry| entry.place.life == life);
        of_life.next().map_or(0, |entry| entry.place.offset)
    }

    /// Whether the log can't tell that it has everything behind `place`: that one
    /// is gone from it, too.
    pub(crate) fn may_miss(&self, place: Place) -> bool {
        self.gone(place.life) >= place.offset.max(1)
    }

    /// The publication that follows `place`.
    pub(crate) fn successor(&self, place: Place) -> Option<&Entry> {
        let index = self.published.partition_point(|it| it.place <= place);
        self.published.get(index)
    }

    /// Whether something was published at exactly this place.
    pub(crate) fn has_had(&self, place: Place) -> bool {
        place.offset == 0 || self.published.iter().any(|it| it.place == place)
    }

    /// What is on its way to the gateway.
    pub(crate) fn on_the_way(&self) -> VecDeque<Entry> {
        self.published[self.delivered..].iter().copied().collect()
    }

    /// Reads as the NATS adapter does: where the message at the offset is gone
    /// too, it can't say whether something is missing behind it.
    pub(crate) fn read(&self, read: &LogRead) -> ReadOutcome {
        if read.life != self.life {
            return ReadOutcome::Gone;
        }
        let held = &self.published[self.trimmed..];
        let anchored = held.iter().any(|it| it.place.offset == read.after);
        let behind = held.iter().filter(|it| it.place.offset > read.after);
        let mut previous = match behind.clone().next() {
            Some(first) if !anchored && self.gone(self.life) > 0 => first.place.offset - 1,
            _ => read.after,
        };
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            bytes += entry.bytes;
            bytes <= read.max_bytes || bytes == entry.bytes
        };
        let publications = behind.take(read.limit).take_while(fits).map(|entry| {
            let publication = self.encode(entry, previous);
            previous = entry.place.offset;
            publication
        });
        ReadOutcome::Page(LogPage {
            publications: publications.collect(),
            tip: self.newest(),
        })
    }

    pub(crate) fn encode(&self, entry: &Entry, previous: u64) -> Arc<EncodedPublication> {
        let mut payload = vec![b'x'; entry.bytes];
        // The client tells lives apart by this.
        payload[..4].copy_from_slice(&entry.place.life.to_be_bytes());
        let publication = Publication {
            alias: self.alias,
            offset: entry.place.offset,
            previous,
            payload: payload.into(),
            ..Default::default()
        };
        let encoded = EncodedPublication::new(&publication);
        Arc::new(encoded.of_life(entry.place.life))
    }
}
