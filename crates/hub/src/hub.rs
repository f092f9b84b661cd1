//! The hub: publications go in, and come out as bytes in the outboxes of those
//! who listen.
//!
//! A turn of the shard is: take in everything that waits ([`Hub::publish`],
//! [`Hub::send`], subscriptions), [`Hub::fan_out`], write what
//! [`Hub::next_dirty`] names, handle what [`Hub::next_fact`] tells.

use std::{mem, rc::Rc, sync::Arc};

use thiserror::Error;
use wire::{
    Channel, Subprotocol,
    client::{Gap, GapCause, ServerEvent},
};

use crate::{
    channel::ChannelTable,
    chunk::Chunks,
    fact::{Fact, Receipt, Totals},
    frame::Frame,
    member::{Member, MemberId, Members, Subscription},
    outbox::{Control, Outbox},
    policy::{DeliveryPolicy, OutboxLimits},
    publication::EncodedPublication,
};

/// Who listens to what on one shard, and every connection's outbox.
///
/// The order that holds for each member and channel: nothing is delivered that
/// was published before it subscribed, publications come in the order they were
/// published, what is withheld is told in its place, and nothing comes after it
/// unsubscribed. Events sent to one member keep their order.
#[derive(Debug)]
pub struct Hub {
    members: Members,
    channels: ChannelTable,
    /// Keys of channels whose batch may hold something. May name channels that
    /// are gone.
    waiting: Vec<u32>,
    subscriptions: usize,
}

/// The member listens to the channel already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("already subscribed")]
pub struct AlreadySubscribed;

/// A subscription that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The channel's number.
    pub alias: u32,
    /// Nobody on this shard listens to it any more.
    pub last: bool,
}

// === impl Hub ===

impl Hub {
    /// A hub without members, whose outboxes will have these limits.
    pub fn new(limits: OutboxLimits) -> Self {
        Self {
            members: Members::new(limits),
            channels: ChannelTable::new(),
            waiting: Vec::new(),
            subscriptions: 0,
        }
    }

    /// Adds a connection.
    ///
    /// # Panics
    /// If the member is here already: its slot was given away twice.
    pub fn join(&mut self, member: MemberId, subprotocol: Subprotocol) {
        self.members.insert(member, subprotocol);
    }

    /// Forgets the member with everything queued for it, and facts about it;
    /// returns the channels that have no listener here any more.
    pub fn leave(&mut self, member: MemberId) -> Vec<Channel> {
        let silent = self.silence(member);
        self.members.remove(member);
        silent
    }

    /// Ends all subscriptions of a member that is to be closed: what is queued
    /// for it stays. Returns the channels that have no listener here any more.
    pub fn silence(&mut self, member: MemberId) -> Vec<Channel> {
        let Some(member) = self.members.get_mut(member) else {
            return Vec::new();
        };
        mem::take(&mut member.subscriptions)
            .iter()
            .filter_map(|&place| self.detach(place))
            .collect()
    }

    /// Lets `member` have the channel's publications from here on. `alias` is
    /// the channel's number, the same for all listeners and of no other channel
    /// while there are any; `policy` counts with the first listener.
    ///
    /// Time grows with the subscriptions of the member, not with the listeners.
    ///
    /// # Errors
    /// [`AlreadySubscribed`], and nothing changed.
    ///
    /// # Panics
    /// If there is no such member.
    pub fn subscribe(
        &mut self,
        member: MemberId,
        channel: &Channel,
        alias: u32,
        policy: DeliveryPolicy,
    ) -> Result<(), AlreadySubscribed> {
        let key = match self.channels.by_name(channel) {
            Some(key) if self.member(member).find(key).is_some() => return Err(AlreadySubscribed),
            Some(key) => {
                // What waits was published before, and is for the others.
                self.flush(key);
                key
            }
            None => self.channels.insert(channel, alias, policy),
        };
        let place = self.channels.add_listener(key, member);
        let listener = self
            .members
            .get_mut(member)
            .expect("only members subscribe");
        listener.subscriptions.push(place);
        self.subscriptions += 1;
        Ok(())
    }

    /// Ends a subscription; `None` if there was none. What was published before
    /// is in the member's outbox when this returns, and nothing comes after.
    pub fn unsubscribe(&mut self, member: MemberId, channel: &Channel) -> Option<Left> {
        let (key, index) = self.find(member, channel)?;
        self.flush(key);
        let alias = self.channels.get(key)?.alias;
        let place = self
            .members
            .get_mut(member)?
            .subscriptions
            .swap_remove(index);
        Some(Left {
            alias,
            last: self.detach(place).is_some(),
        })
    }

    /// Whether `member` listens to `channel`.
    pub fn is_subscribed(&self, member: MemberId, channel: &Channel) -> bool {
        self.find(member, channel).is_some()
    }

    /// How many channels `member` listens to.
    pub fn subscription_count(&self, member: MemberId) -> usize {
        self.members
            .get(member)
            .map_or(0, |member| member.subscriptions.len())
    }

    /// The channels `member` listens to, in no order.
    pub fn channels_of(&self, member: MemberId) -> impl Iterator<Item = &Channel> {
        let subscriptions = self
            .members
            .get(member)
            .map(|member| member.subscriptions.as_slice());
        let entries = subscriptions.unwrap_or_default().iter();
        entries
            .filter_map(|place| self.channels.get(place.channel))
            .map(|entry| &entry.name)
    }

    /// How many members listen to `channel`.
    pub fn listeners(&self, channel: &Channel) -> usize {
        let entry = self
            .channels
            .by_name(channel)
            .and_then(|key| self.channels.get(key));
        entry.map_or(0, |entry| entry.listeners.len())
    }

    /// Takes in a publication, to be fanned out with others of its channel at
    /// the end of the turn. Nothing happens if nobody listens.
    pub fn publish(&mut self, publication: &Arc<EncodedPublication>) {
        let Some(key) = self.channels.by_alias(publication.alias()) else {
            return;
        };
        if self
            .channels
            .get(key)
            .is_some_and(|entry| !entry.batch.has_room(publication))
        {
            self.flush(key);
        }
        let Some(entry) = self.channels.get_mut(key) else {
            return;
        };
        if entry.batch.is_empty() {
            self.waiting.push(key);
        }
        entry.batch.push(publication.clone());
    }

    /// Takes in that the gateway lost `dropped` publications of a channel after
    /// those published so far. Every listener gets a `Gap` in their place; its
    /// range is zero, as nobody knows it: the next publication's `previous`
    /// tells where the gap ends.
    pub fn gap(&mut self, alias: u32, dropped: u64, cause: GapCause) {
        let Some(key) = self.channels.by_alias(alias) else {
            return;
        };
        let Some(entry) = self.channels.get_mut(key) else {
            return;
        };
        if entry.batch.is_empty() {
            self.waiting.push(key);
        }
        entry.batch.push_gap(Gap {
            alias,
            dropped,
            cause: cause.into(),
            ..Default::default()
        });
    }

    /// Appends what waits in each channel to the outboxes of its listeners.
    pub fn fan_out(&mut self) {
        let mut waiting = mem::take(&mut self.waiting);
        for key in waiting.drain(..) {
            self.flush(key);
        }
        self.waiting = waiting;
    }

    /// Queues an event for one member. A `receipt` comes back in
    /// [`Fact::Written`]. If it does not fit, even with publications dropped as
    /// far as their policies allow, the member overflows.
    pub fn send(&mut self, member: MemberId, event: &ServerEvent, receipt: Option<Receipt>) {
        let Some(subprotocol) = self.members.get(member).map(|member| member.subprotocol) else {
            return;
        };
        let frame = Frame::of_event(subprotocol, event);
        self.queue(member, Rc::from(&*frame), receipt);
    }

    /// Queues a whole WebSocket frame (ping, pong, close) for one member, under
    /// the same rule as [`Self::send`]. It must not be empty.
    pub fn send_frame(&mut self, member: MemberId, frame: Rc<[u8]>) {
        debug_assert!(!frame.is_empty(), "a frame has a header at least");
        self.queue(member, frame, None);
    }

    /// The next member for whom something was queued since it was last returned
    /// from here; longest waiting first.
    pub fn next_dirty(&mut self) -> Option<MemberId> {
        self.members.next_dirty()
    }

    /// Whether `member` has overflowed, be it told by [`Fact::Overflowed`] or not
    /// yet.
    pub fn has_overflowed(&self, member: MemberId) -> bool {
        self.members
            .get(member)
            .is_some_and(|member| member.overflowed)
    }

    /// What `member` has yet to be written.
    ///
    /// # Panics
    /// If there is no such member.
    pub fn outbox(&self, member: MemberId) -> &Outbox {
        &self.member(member).outbox
    }

    /// Notes that the first `bytes` of the member's outbox were written. Frees
    /// what is written entirely; receipts become facts.
    ///
    /// # Panics
    /// If that is more than was queued.
    pub fn wrote(&mut self, member: MemberId, bytes: usize) {
        self.members.wrote(member, bytes);
    }

    /// The next thing that happened to a member.
    pub fn next_fact(&mut self) -> Option<Fact> {
        self.members.next_fact()
    }

    /// What the hub holds, and what it has done so far. Costs nothing.
    pub fn totals(&self) -> Totals {
        let ledger = self.members.ledger();
        Totals {
            members: self.members.len(),
            channels: self.channels.len(),
            subscriptions: self.subscriptions,
            queued_bytes: ledger.bytes,
            queued_items: ledger.items,
            delivered: ledger.delivered,
            dropped: ledger.dropped,
            overflowed: ledger.overflowed,
        }
    }

    fn member(&self, member: MemberId) -> &Member {
        self.members
            .get(member)
            .expect("the caller knows who joined and did not leave")
    }

    /// The channel's key, and the index of the member's subscription to it.
    fn find(&self, member: MemberId, channel: &Channel) -> Option<(u32, usize)> {
        let key = self.channels.by_name(channel)?;
        Some((key, self.members.get(member)?.find(key)?))
    }

    fn queue(&mut self, member: MemberId, frame: Rc<[u8]>, receipt: Option<Receipt>) {
        self.members.queue(member, Control { frame, receipt });
    }

    /// Fans out what waits in one channel.
    fn flush(&mut self, key: u32) {
        let Some(entry) = self.channels.get_mut(key) else {
            return;
        };
        let batch = mem::take(&mut entry.batch);
        if batch.is_empty() {
            return;
        }
        let mut chunks = Chunks::new(batch, entry.alias, entry.policy);
        for &listener in &entry.listeners {
            self.members.append(listener, &mut chunks);
        }
    }

    /// Takes a listener out of its channel; returns the channel if it was the last.
    fn detach(&mut self, place: Subscription) -> Option<Channel> {
        self.subscriptions -= 1;
        if let Some(moved) = self.channels.remove_listener(place) {
            self.members
                .get_mut(moved)
                .expect("listeners are members")
                .moved(place);
        }
        self.channels.remove_if_silent(place.channel)
    }
}
