//! The channels this shard has joined, or is about to.

use foldhash::HashMap;
use wire::{
    Channel, Epoch, Offset,
    client::{Position, Verdict},
};

use super::mail::ConnectionKey;
use crate::fanout::Entry;

/// A client's Subscribe that waits for its channel.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) connection: ConnectionKey,
    pub(crate) id: u32,
    pub(crate) since: Option<Position>,
}

/// What the shard knows of a channel.
pub(crate) enum Local {
    /// The bus has yet to confirm.
    Joining(Vec<Waiting>),
    /// Publications come.
    Live(Live),
}

/// A channel that flows.
pub(crate) struct Live {
    pub(crate) alias: u32,
    epoch: Epoch,
    /// The newest publication this shard has seen.
    offset: Offset,
}

/// Every channel with a listener, or somebody who wants to be one, here.
#[derive(Default)]
pub(crate) struct Channels {
    by_name: HashMap<Channel, Local>,
    names: HashMap<u32, Channel>,
}

// === impl Channels ===

impl Channels {
    pub(crate) fn get_mut(&mut self, channel: &Channel) -> Option<&mut Local> {
        self.by_name.get_mut(channel)
    }

    /// Notes that the bus was asked for the channel.
    pub(crate) fn begin(&mut self, channel: Channel, waiting: Waiting) {
        self.by_name.insert(channel, Local::Joining(vec![waiting]));
    }

    /// Makes the channel live and returns who waited for it; `None` if nobody
    /// wants it any more, or it is live already.
    pub(crate) fn activate(&mut self, channel: &Channel, entry: &Entry) -> Option<Vec<Waiting>> {
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
    pub(crate) fn insert_live(&mut self, channel: Channel, entry: &Entry) {
        let live = Live {
            alias: entry.alias,
            epoch: entry.epoch.clone(),
            offset: entry.offset,
        };
        self.names.insert(entry.alias, channel.clone());
        self.by_name.insert(channel, Local::Live(live));
    }

    /// Forgets the channel and returns who still waited for it.
    pub(crate) fn remove(&mut self, channel: &Channel) -> Vec<Waiting> {
        match self.by_name.remove(channel) {
            Some(Local::Joining(waiting)) => waiting,
            Some(Local::Live(live)) => {
                self.names.remove(&live.alias);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// Notes that publications up to `offset` (zero: there is no log) passed;
    /// `false` if they are for nobody here: nobody listens, or the shard has
    /// left the channel and joined it again behind them, which keeps the alias.
    pub(crate) fn pass(&mut self, alias: u32, offset: u64) -> bool {
        let Some(name) = self.names.get(&alias) else {
            return false;
        };
        let Some(Local::Live(live)) = self.by_name.get_mut(name) else {
            return false;
        };
        if offset != 0 && offset <= live.offset.0 {
            return false;
        }
        live.offset = Offset(offset);
        true
    }
}

// === impl Live ===

impl Live {
    /// What a client that subscribes now is told: its verdict, and where the
    /// live publications continue from.
    pub(crate) fn entrance(&self, since: Option<&Position>) -> (Verdict, Option<Position>) {
        let keeps_log = !self.epoch.as_str().is_empty();
        let position = keeps_log.then(|| Position {
            epoch: self.epoch.as_str().to_owned(),
            offset: self.offset.0,
        });
        let verdict = match since {
            None => Verdict::Fresh,
            // Nothing was missed, so there is nothing to read from the log.
            Some(held) if position.as_ref() == Some(held) => Verdict::Recovered,
            Some(_) => Verdict::Lost,
        };
        (verdict, position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_before_the_shard_joined_again_is_not_passed_on() {
        let channel = Channel::parse("log.1", 255).expect("valid");
        let entry = |offset| Entry {
            alias: 7,
            epoch: Epoch::new("e"),
            offset: Offset(offset),
        };
        let mut channels = Channels::default();
        channels.insert_live(channel.clone(), &entry(1));
        // Publication 2 is in the mailbox when the last listener leaves and
        // comes back; another shard kept the channel.
        channels.remove(&channel);
        assert!(!channels.pass(7, 2));
        channels.insert_live(channel, &entry(2));
        assert!(!channels.pass(7, 2));
        assert!(channels.pass(7, 3));
    }

    #[test]
    fn publications_without_offsets_always_pass() {
        let channel = Channel::parse("room.1", 255).expect("valid");
        let entry = Entry {
            alias: 7,
            epoch: Epoch::new(""),
            offset: Offset::NONE,
        };
        let mut channels = Channels::default();
        channels.insert_live(channel, &entry);
        assert!(channels.pass(7, 0) && channels.pass(7, 0));
    }
}
