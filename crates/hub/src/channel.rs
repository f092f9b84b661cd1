//! The channels with a listener on this shard.

use foldhash::{HashMap, HashMapExt};
use slab::Slab;
use smallvec::SmallVec;
use wire::Channel;

use crate::{
    backlog::{Await, Backlog},
    chunk::Batch,
    class::Class,
    following::Following,
    member::MemberId,
    place::Place,
    policy::DeliveryPolicy,
    subscription::Subscription,
};

/// A channel as it comes to a shard.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The channel's number, the same for all who listen and of no other channel
    /// while anybody does.
    pub alias: u32,
    /// How its publications are delivered. The class is this subscriber's own; the
    /// rest counts with the first one.
    pub policy: DeliveryPolicy,
    /// The publication before the first one that will come; absent: the channel
    /// keeps no log.
    pub place: Option<Place>,
    /// Others may be missing between the two.
    pub torn: bool,
}

/// A channel that one member at least subscribes to.
#[derive(Debug)]
pub(crate) struct ChannelEntry {
    pub(crate) name: Channel,
    pub(crate) alias: u32,
    pub(crate) policy: DeliveryPolicy,
    /// In no order. Each listener's [`Subscription`] knows its index.
    pub(crate) listeners: SmallVec<[MemberId; 4]>,
    /// What waits for the end of the turn.
    pub(crate) batch: Batch,
    /// Absent: the channel keeps no log, and nobody is behind.
    pub(crate) log: Option<Box<Backlog>>,
    /// Those who don't get all; absent: there are none.
    pub(crate) following: Option<Box<Following>>,
}

/// Finds channels by key, name and alias. Keys are small and used again.
#[derive(Debug)]
pub(crate) struct ChannelTable {
    entries: Slab<ChannelEntry>,
    by_name: HashMap<Channel, u32>,
    by_alias: HashMap<u32, u32>,
}

// === impl ChannelEntry ===

impl ChannelEntry {
    /// How many subscribe to it.
    pub(crate) fn count(&self) -> usize {
        let behind = self.log.as_ref().map_or(0, |log| log.behind().len());
        let following = self.following.as_ref().map_or(0, |it| it.len());
        self.listeners.len() + behind + following
    }

    /// Whether anybody gets what is published.
    pub(crate) fn is_heard(&self) -> bool {
        !self.listeners.is_empty() || self.following.is_some()
    }
}

// === impl ChannelTable ===

impl ChannelTable {
    pub(crate) fn new() -> Self {
        Self {
            entries: Slab::new(),
            by_name: HashMap::new(),
            by_alias: HashMap::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, key: u32) -> Option<&ChannelEntry> {
        self.entries.get(key as usize)
    }

    pub(crate) fn get_mut(&mut self, key: u32) -> Option<&mut ChannelEntry> {
        self.entries.get_mut(key as usize)
    }

    pub(crate) fn log_mut(&mut self, key: u32) -> Option<&mut Backlog> {
        self.get_mut(key)?.log.as_deref_mut()
    }

    pub(crate) fn logs_mut(&mut self) -> impl Iterator<Item = &mut Backlog> {
        let entries = self.entries.iter_mut();
        entries.filter_map(|(_, entry)| entry.log.as_deref_mut())
    }

    pub(crate) fn by_name(&self, channel: &Channel) -> Option<u32> {
        self.by_name.get(channel).copied()
    }

    pub(crate) fn by_alias(&self, alias: u32) -> Option<u32> {
        self.by_alias.get(&alias).copied()
    }

    /// Adds a channel that is not here yet.
    pub(crate) fn insert(&mut self, channel: &Channel, source: Source) -> u32 {
        let Source {
            alias,
            policy,
            place,
            torn,
        } = source;
        let key = self.entries.insert(ChannelEntry {
            name: channel.clone(),
            alias,
            policy: policy.without_log(place.is_none()),
            listeners: SmallVec::new(),
            batch: Batch::default(),
            log: place.map(|place| Box::new(Backlog::new(place, torn))),
            following: None,
        }) as u32;
        self.by_name.insert(channel.clone(), key);
        let previous = self.by_alias.insert(alias, key);
        assert!(previous.is_none(), "an alias stands for one channel");
        key
    }

    /// Adds a listener; returns its place.
    pub(crate) fn add_listener(&mut self, key: u32, member: MemberId) -> Subscription {
        let listeners = &mut self.entries[key as usize].listeners;
        listeners.push(member);
        Subscription::live(key, listeners.len() - 1)
    }

    /// Adds a member that is behind; returns its place.
    ///
    /// # Panics
    /// If the channel keeps no log.
    pub(crate) fn add_behind(
        &mut self,
        key: u32,
        member: MemberId,
        cursor: u64,
        awaits: Await,
        class: Class,
    ) -> Subscription {
        let log = self.log_mut(key).expect("it is behind in a log");
        Subscription::behind(key, log.add(member, cursor, awaits, class))
    }

    /// Adds a member that does not get all; returns its place.
    pub(crate) fn add_follower(
        &mut self,
        key: u32,
        member: MemberId,
        class: Class,
    ) -> Subscription {
        let entry = &mut self.entries[key as usize];
        let anew = || Box::new(Following::new(entry.policy));
        let following = entry.following.get_or_insert_with(anew);
        let index = following.add(member, class);
        Subscription::following(key, index, false)
    }

    /// Removes who is at `place`; returns who stands there instead, and its place
    /// now.
    pub(crate) fn remove(&mut self, place: Subscription) -> Option<(MemberId, Subscription)> {
        let (key, index) = (place.channel, place.index());
        let entry = &mut self.entries[key as usize];
        if place.follows() {
            let following = entry.following.as_mut().expect("it is one of them");
            let moved = following.remove(index);
            if following.len() == 0 {
                entry.following = None;
            }
            let (member, is_behind) = moved?;
            return Some((member, Subscription::following(key, index, is_behind)));
        }
        let moved = match &mut entry.log {
            Some(log) if place.is_behind() => log.remove(index),
            _ => {
                entry.listeners.swap_remove(index);
                entry.listeners.get(index).copied()
            }
        };
        moved.map(|member| (member, place))
    }

    /// Forgets the channel if nobody listens any more; what waits in it is for
    /// nobody.
    pub(crate) fn remove_if_silent(&mut self, key: u32) -> Option<Channel> {
        if self.entries[key as usize].count() > 0 {
            return None;
        }
        let entry = self.entries.remove(key as usize);
        self.by_name.remove(&entry.name);
        self.by_alias.remove(&entry.alias);
        Some(entry.name)
    }
}
