//! The channels this shard has joined, or is about to.

use foldhash::HashMap;
use wire::{
    Channel, Epoch,
    client::{Position, Verdict},
};

use super::mail::ConnectionKey;
use crate::fanout::{Entry, Place};

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
    place: Place,
    /// Listeners were told of a gap behind it.
    torn: bool,
}

/// What is to be done with a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// It is for nobody here.
    Stopped,
    /// It follows the one before.
    Free,
    /// Others are missing before it, which nobody was told yet.
    BehindGap,
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
            place: entry.place,
            torn: false,
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

    /// Notes that a publication at `place` passes, whose log had the one at
    /// offset `previous` before it. It does not if nobody listens, or if the
    /// shard has left the channel and joined it again behind it, which keeps
    /// the alias.
    pub(crate) fn pass(&mut self, alias: u32, place: Place, previous: u64) -> Passage {
        let Some(live) = self.live(alias) else {
            return Passage::Stopped;
        };
        if place.offset != 0 && place <= live.place {
            return Passage::Stopped;
        }
        let anew = place.life != live.place.life;
        // A smaller one is no sign: the log may have let go of all it had.
        let broken = anew || previous > live.place.offset;
        let told = live.torn;
        live.reach(place);
        live.torn = false;
        match broken && !told {
            true => Passage::BehindGap,
            false => Passage::Free,
        }
    }

    /// Notes that publications are missing behind the newest, those up to `to`
    /// at least if that is known; `false` if that is nobody's concern here.
    pub(crate) fn tear(&mut self, alias: u32, to: Option<Place>) -> bool {
        let Some(live) = self.live(alias) else {
            return false;
        };
        if let Some(to) = to {
            if to.offset != 0 && to <= live.place {
                return false;
            }
            live.reach(to);
        }
        live.torn = true;
        true
    }

    fn live(&mut self, alias: u32) -> Option<&mut Live> {
        match self.by_name.get_mut(self.names.get(&alias)?)? {
            Local::Live(live) => Some(live),
            Local::Joining(_) => None,
        }
    }
}

// === impl Live ===

impl Live {
    fn reach(&mut self, place: Place) {
        if place.life != self.place.life {
            // Of another log, which has not told its name.
            self.epoch = Epoch::new("");
        }
        self.place = place;
    }

    /// What a client that subscribes now is told: its verdict, and where the
    /// live publications continue from.
    pub(crate) fn entrance(&self, since: Option<&Position>) -> (Verdict, Option<Position>) {
        let keeps_log = !self.epoch.as_str().is_empty();
        let position = keeps_log.then(|| Position {
            epoch: self.epoch.as_str().to_owned(),
            offset: self.place.offset,
        });
        let verdict = match since {
            None => Verdict::Fresh,
            // Nothing was missed, so there is nothing to read from the log.
            Some(held) if position.as_ref() == Some(held) && !self.torn => Verdict::Recovered,
            Some(_) => Verdict::Lost,
        };
        (verdict, position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(epoch: &str, offset: u64) -> Entry {
        Entry {
            alias: 7,
            epoch: Epoch::new(epoch),
            place: at(0, offset),
        }
    }

    fn at(life: u32, offset: u64) -> Place {
        Place { life, offset }
    }

    fn live(epoch: &str, offset: u64) -> Channels {
        let channel = Channel::parse("log.1", 255).expect("valid");
        let mut channels = Channels::default();
        channels.insert_live(channel, &entry(epoch, offset));
        channels
    }

    #[test]
    fn what_came_before_the_shard_joined_again_is_not_passed_on() {
        let channel = Channel::parse("log.1", 255).expect("valid");
        let mut channels = live("e", 1);
        // Publication 2 is in the mailbox when the last listener leaves and
        // comes back; another shard kept the channel.
        channels.remove(&channel);
        assert_eq!(channels.pass(7, at(0, 2), 1), Passage::Stopped);
        channels.insert_live(channel, &entry("e", 2));
        assert_eq!(channels.pass(7, at(0, 2), 1), Passage::Stopped);
        assert_eq!(channels.pass(7, at(0, 3), 2), Passage::Free);
    }

    #[test]
    fn publications_without_offsets_always_pass() {
        let mut channels = live("", 0);
        for _ in 0..2 {
            assert_eq!(channels.pass(7, at(0, 0), 0), Passage::Free);
        }
    }

    #[test]
    fn a_broken_chain_is_told_once() {
        let mut channels = live("e", 5);
        assert_eq!(channels.pass(7, at(0, 9), 8), Passage::BehindGap);
        assert_eq!(channels.pass(7, at(0, 10), 9), Passage::Free);
        assert!(channels.tear(7, None));
        assert_eq!(channels.pass(7, at(0, 14), 13), Passage::Free);
        // All that was there has aged out meanwhile: nothing is missing.
        assert_eq!(channels.pass(7, at(0, 20), 0), Passage::Free);
    }

    #[test]
    fn a_log_that_begins_anew_is_passed_on_behind_a_gap() {
        let mut channels = live("e", 900);
        let channel = Channel::parse("log.1", 255).expect("valid");
        assert_eq!(channels.pass(7, at(1, 1), 0), Passage::BehindGap);
        assert_eq!(channels.pass(7, at(1, 2), 1), Passage::Free);
        let Some(Local::Live(live)) = channels.get_mut(&channel) else {
            panic!("it is live");
        };
        let held = Position {
            epoch: "e".to_owned(),
            offset: 2,
        };
        assert_eq!(live.entrance(Some(&held)), (Verdict::Lost, None));
    }

    #[test]
    fn nobody_is_told_that_nothing_was_missed_behind_a_gap() {
        let mut channels = live("e", 5);
        let channel = Channel::parse("log.1", 255).expect("valid");
        channels.tear(7, None);
        let Some(Local::Live(live)) = channels.get_mut(&channel) else {
            panic!("it is live");
        };
        let held = Position {
            epoch: "e".to_owned(),
            offset: 5,
        };
        assert_eq!(live.entrance(Some(&held)).0, Verdict::Lost);
    }
}
