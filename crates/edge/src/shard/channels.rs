//! The channels this shard has joined, or is about to. Where they are, and who
//! listens, is the hub's.

use foldhash::HashMap;
use hub::{Class, DeliveryPolicy, Place, Source};
use wire::{Channel, Epoch, client::Position};

use super::mail::ConnectionKey;
use crate::fanout::Entry;

/// A client's Subscribe that waits for its channel.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) connection: ConnectionKey,
    pub(crate) id: u32,
    pub(crate) since: Option<Position>,
    pub(crate) latest: Latest,
    /// What it asks to get at most.
    pub(crate) class: Class,
}

/// Whether a subscriber gets the channel's latest state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Latest {
    /// It did not ask for it.
    Unwanted,
    /// It does, unless it can go on from where it was.
    Wanted,
    /// It asked for it, and has to be told that it can't be had.
    Impossible,
}

/// What the shard knows of a channel.
pub(crate) enum Local {
    /// The bus has yet to confirm.
    Joining(Vec<Waiting>),
    /// Publications come.
    Live(Live),
}

/// A channel that flows.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    entry: Entry,
}

/// Every channel with a listener, or somebody who wants to be one, here.
#[derive(Default)]
pub(crate) struct Channels {
    by_name: HashMap<Channel, Local>,
}

// === impl Channels ===

impl Channels {
    pub(crate) fn get_mut(&mut self, channel: &Channel) -> Option<&mut Local> {
        self.by_name.get_mut(channel)
    }

    /// The channel, if it flows.
    pub(crate) fn live(&self, channel: &Channel) -> Option<&Live> {
        match self.by_name.get(channel)? {
            Local::Live(live) => Some(live),
            Local::Joining(_) => None,
        }
    }

    /// Notes that the bus was asked for the channel.
    pub(crate) fn begin(&mut self, channel: Channel, waiting: Waiting) {
        self.by_name.insert(channel, Local::Joining(vec![waiting]));
    }

    /// Makes the channel live and returns who waited for it; `None` if nobody
    /// wants it any more, or it is live already.
    pub(crate) fn activate(&mut self, channel: &Channel, entry: Entry) -> Option<Vec<Waiting>> {
        match self.by_name.get_mut(channel)? {
            Local::Live(_) => None,
            Local::Joining(waiting) => {
                let waiting = std::mem::take(waiting);
                self.insert_live(channel.clone(), entry);
                Some(waiting)
            }
        }
    }

    /// Adds a channel that was active on this gateway already.
    pub(crate) fn insert_live(&mut self, channel: Channel, entry: Entry) {
        self.by_name.insert(channel, Local::Live(Live { entry }));
    }

    /// Forgets the channel and returns who still waited for it.
    pub(crate) fn remove(&mut self, channel: &Channel) -> Vec<Waiting> {
        match self.by_name.remove(channel) {
            Some(Local::Joining(waiting)) => waiting,
            Some(Local::Live(_)) | None => Vec::new(),
        }
    }
}

// === impl Live ===

impl Live {
    pub(crate) fn alias(&self) -> u32 {
        self.entry.alias
    }

    /// Where the channel was when it was joined; absent: it keeps no log.
    pub(crate) fn place(&self) -> Option<Place> {
        let Entry { place, epoch, .. } = &self.entry;
        let keeps_log = !epoch.as_str().is_empty() || *place != Place::default();
        keeps_log.then_some(*place)
    }

    /// What the hub has to know of it, for a subscriber who asks for this.
    pub(crate) fn source(&self, policy: DeliveryPolicy, asked: Class) -> Source {
        Source {
            alias: self.entry.alias,
            policy: DeliveryPolicy {
                class: policy.class.at_most(asked),
                ..policy
            },
            place: self.place(),
            torn: self.entry.torn,
        }
    }

    /// Identity of the log in one of its lives. Nobody has told us that of a
    /// later one than it was in when the channel was joined.
    pub(crate) fn epoch(&self, life: u32) -> Option<&Epoch> {
        let Entry { place, epoch, .. } = &self.entry;
        (life == place.life && !epoch.as_str().is_empty()).then_some(epoch)
    }

    /// A place as clients hold it.
    pub(crate) fn position(&self, place: Place) -> Option<Position> {
        let epoch = self.epoch(place.life)?;
        Some(Position {
            epoch: epoch.as_str().to_owned(),
            offset: place.offset,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_life_of_the_log_has_no_name() {
        let place = Place { life: 0, offset: 5 };
        let entry = Entry {
            alias: 7,
            epoch: Epoch::new("e"),
            place,
            torn: false,
        };
        let live = Live { entry };
        let position = live.position(place).expect("of the life that was joined");
        assert_eq!((&*position.epoch, position.offset), ("e", 5));
        assert_eq!(live.position(Place { life: 1, offset: 1 }), None);
    }
}
