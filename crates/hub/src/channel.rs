//! The channels with a listener on this shard.

use foldhash::{HashMap, HashMapExt};
use slab::Slab;
use smallvec::SmallVec;
use wire::Channel;

use crate::{
    chunk::Batch,
    member::{MemberId, Subscription},
    policy::DeliveryPolicy,
};

/// A channel with one listener at least.
#[derive(Debug)]
pub(crate) struct ChannelEntry {
    pub(crate) name: Channel,
    pub(crate) alias: u32,
    pub(crate) policy: DeliveryPolicy,
    /// In no order. Each listener's [`Subscription`] knows its index.
    pub(crate) listeners: SmallVec<[MemberId; 4]>,
    /// What waits for the end of the turn.
    pub(crate) batch: Batch,
}

/// Finds channels by key, name and alias. Keys are small and used again.
#[derive(Debug)]
pub(crate) struct ChannelTable {
    entries: Slab<ChannelEntry>,
    by_name: HashMap<Channel, u32>,
    by_alias: HashMap<u32, u32>,
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

    pub(crate) fn by_name(&self, channel: &Channel) -> Option<u32> {
        self.by_name.get(channel).copied()
    }

    pub(crate) fn by_alias(&self, alias: u32) -> Option<u32> {
        self.by_alias.get(&alias).copied()
    }

    /// Adds a channel that is not here yet.
    pub(crate) fn insert(&mut self, channel: &Channel, alias: u32, policy: DeliveryPolicy) -> u32 {
        let key = self.entries.insert(ChannelEntry {
            name: channel.clone(),
            alias,
            policy,
            listeners: SmallVec::new(),
            batch: Batch::default(),
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
        Subscription {
            channel: key,
            position: listeners.len() as u32 - 1,
        }
    }

    /// Removes the listener at `place`; returns who stands there instead.
    pub(crate) fn remove_listener(&mut self, place: Subscription) -> Option<MemberId> {
        let listeners = &mut self.entries[place.channel as usize].listeners;
        listeners.swap_remove(place.position as usize);
        listeners.get(place.position as usize).copied()
    }

    /// Forgets the channel if nobody listens any more; what waits in it is for
    /// nobody.
    pub(crate) fn remove_if_silent(&mut self, key: u32) -> Option<Channel> {
        if !self.entries[key as usize].listeners.is_empty() {
            return None;
        }
        let entry = self.entries.remove(key as usize);
        self.by_name.remove(&entry.name);
        self.by_alias.remove(&entry.alias);
        Some(entry.name)
    }
}
