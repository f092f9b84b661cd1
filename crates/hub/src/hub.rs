//! The hub: publications go in, and come out as bytes in the outboxes of those
//! who listen.
//!
//! A turn of the shard is: take in everything that waits ([`Hub::publish`],
//! [`Hub::send`], subscriptions), [`Hub::fan_out`], write what
//! [`Hub::next_dirty`] names, handle what [`Hub::next_fact`] tells.

use std::{collections::VecDeque, mem, sync::Arc};

use thiserror::Error;
use wire::{
    Channel, Subprotocol,
    client::{Gap, GapCause},
};

use crate::{
    channel::{ChannelEntry, ChannelTable, Source},
    chunk::{Chunks, MAX_CHUNK_BYTES},
    class::Class,
    fact::{Fact, Totals},
    following::NEVER,
    member::{Member, MemberId, Members},
    outbox::Outbox,
    place::Place,
    policy::{BacklogLimits, OutboxLimits, Overflow},
    publication::EncodedPublication,
    subscription::Subscription,
    verdict::{Entrance, Start},
};

/// Who listens to what on one shard, and every connection's outbox.
///
/// The order that holds for each member and channel: nothing is delivered that
/// was published before it subscribed, publications come in the order they were
/// published, what is withheld is told in its place, and nothing comes after it
/// unsubscribed. Events sent to one member go before publications of channels that
/// they are not about; they keep their order, but those that hurry go before pages
/// of logs, pongs and what ends the connection.
#[derive(Debug)]
pub struct Hub {
    pub(crate) members: Members,
    pub(crate) channels: ChannelTable,
    /// Keys of channels whose batch may hold something. May name channels that
    /// are gone.
    waiting: Vec<u32>,
    /// Keys of channels that some get samples of. May name channels that are gone.
    pub(crate) sampled: Vec<u32>,
    /// When the next sample of any is due, in milliseconds.
    pub(crate) sample_ms: u64,
    /// Keys of channels whose logs are to be read.
    pub(crate) unread: VecDeque<u32>,
    pub(crate) next_token: u64,
    pub(crate) backlog: BacklogLimits,
    /// Bytes taken in for those who are behind since it was last looked at.
    pub(crate) kept: usize,
    /// Subscriptions that fell behind so far.
    pub(crate) fallen: u64,
    /// Gaps told to all listeners of a channel so far.
    gaps: u64,
    subscriptions: usize,
    /// Those of them that are behind.
    pub(crate) lagging: usize,
}

/// The member listens to the channel already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("already subscribed")]
pub struct AlreadySubscribed;

/// The member does not listen to the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not subscribed")]
pub struct NotSubscribed;

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
        Self::keeping(limits, BacklogLimits::default())
    }

    /// The same, which keeps so much of the channels' logs.
    pub fn keeping(limits: OutboxLimits, backlog: BacklogLimits) -> Self {
        Self {
            backlog,
            members: Members::new(limits),
            channels: ChannelTable::new(),
            waiting: Vec::new(),
            sampled: Vec::new(),
            sample_ms: NEVER,
            unread: VecDeque::new(),
            next_token: 0,
            kept: 0,
            fallen: 0,
            gaps: 0,
            subscriptions: 0,
            lagging: 0,
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
        let places = member.silence();
        let places = places.into_iter();
        places.filter_map(|place| self.detach(place)).collect()
    }

    /// Lets `member` have the channel's publications from `start` on. `source`
    /// counts with the first subscription to the channel.
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
        source: Source,
        start: Start,
    ) -> Result<Entrance, AlreadySubscribed> {
        let key = match self.channels.by_name(channel) {
            Some(key) if self.member(member).find(key).is_some() => return Err(AlreadySubscribed),
            Some(key) => {
                // What waits was published before, and is for the others.
                self.flush(key);
                key
            }
            None => self.channels.insert(channel, source),
        };
        self.subscriptions += 1;
        Ok(self.enter(key, member, start, source.policy.class))
    }

    /// Ends a subscription; `None` if there was none. If it is live, what was
    /// published before is in the member's outbox when this returns. Nothing
    /// comes after.
    pub fn unsubscribe(&mut self, member: MemberId, channel: &Channel) -> Option<Left> {
        let key = self.channels.by_name(channel)?;
        self.flush(key);
        let alias = self.channels.get(key)?.alias;
        let last = self.end(member, key)?;
        Some(Left { alias, last })
    }

    /// Whether `member` listens to `channel`.
    pub fn is_subscribed(&self, member: MemberId, channel: &Channel) -> bool {
        let key = self.channels.by_name(channel);
        let member = self.members.get(member);
        key.is_some_and(|key| member.is_some_and(|member| member.find(key).is_some()))
    }

    /// What `member` speaks, if there is such a member.
    pub fn subprotocol(&self, member: MemberId) -> Option<Subprotocol> {
        self.members.get(member).map(|member| member.subprotocol)
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
        entry.map_or(0, ChannelEntry::count)
    }

    /// Takes in a publication, to be fanned out with others of its channel at
    /// the end of the turn. Nothing happens if nobody listens, or if it has been
    /// here already. Where others are missing before it, those who listen are
    /// told, or continue from the log.
    pub fn publish(&mut self, publication: &Arc<EncodedPublication>) {
        let Some(key) = self.channels.by_alias(publication.alias()) else {
            return;
        };
        if !self.let_pass(key, publication) {
            return;
        }
        if self
            .channels
            .get(key)
            .is_some_and(|entry| !entry.batch.has_room(publication, MAX_CHUNK_BYTES))
        {
            self.flush(key);
        }
        let after = self.keep(key, publication);
        let Some(entry) = self.channels.get_mut(key) else {
            return;
        };
        if !entry.is_heard() {
            return;
        }
        if entry.batch.is_empty() {
            self.waiting.push(key);
        }
        entry.batch.push(publication.clone(), after);
    }

    /// Takes in that the gateway lost `dropped` publications of a channel after
    /// those published so far: those up to `to`, or nobody knows which. Every
    /// listener gets a `Gap` in their place, whose range is zero: the next
    /// publication's `previous` tells where it ends. If the channel is caught up
    /// with, they continue from the log instead.
    pub fn gap(&mut self, alias: u32, dropped: u64, cause: GapCause, to: Option<Place>) {
        let Some(key) = self.channels.by_alias(alias) else {
            return;
        };
        let Some(here) = self.channels.log_mut(key).map(|log| log.place()) else {
            return self.push_gap(key, dropped, cause);
        };
        match to {
            Some(to) if to <= here => {}
            Some(to) if to.life != here.life => self.begin_anew(key, to),
            _ => {
                self.lose(key, dropped, cause);
                self.tear(key, to);
            }
        }
    }

    /// Lets the listeners know that publications are missing.
    pub(crate) fn lose(&mut self, key: u32, dropped: u64, cause: GapCause) {
        let overflow = self.channels.get(key).map(|entry| entry.policy.overflow);
        match overflow {
            Some(Overflow::CatchUp) => {
                self.fall_all(key);
                self.tell_followers(key, dropped, cause);
            }
            _ => self.push_gap(key, dropped, cause),
        }
    }

    pub(crate) fn push_gap(&mut self, key: u32, dropped: u64, cause: GapCause) {
        let Some(entry) = self.channels.get_mut(key) else {
            return;
        };
        if entry.batch.is_empty() {
            self.waiting.push(key);
        }
        let gap = Gap {
            alias: entry.alias,
            dropped,
            cause: cause.into(),
            ..Default::default()
        };
        entry.batch.push_gap(gap);
        self.gaps += 1;
    }

    /// Appends what waits in each channel to the outboxes of its listeners.
    pub fn fan_out(&mut self) {
        let mut waiting = mem::take(&mut self.waiting);
        for key in waiting.drain(..) {
            self.flush(key);
        }
        self.waiting = waiting;
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

    /// Notes that the kernel takes no more of the member's outbox for now: until it
    /// is empty, the member does not keep up. Whether it did until now.
    pub fn stalled(&mut self, member: MemberId) -> bool {
        self.members.stalled(member)
    }

    /// Whether the kernel took all that the member was to be written, or its outbox
    /// has been empty since.
    pub fn keeps_up(&self, member: MemberId) -> bool {
        self.members.keeps_up(member)
    }

    /// Whether somebody who is behind has room for more.
    pub fn is_anybody_hungry(&self) -> bool {
        self.members.anybody_hungry()
    }

    /// The next thing that happened to a member.
    pub fn next_fact(&mut self) -> Option<Fact> {
        self.members.next_fact()
    }

    /// What the hub holds, and what it has done so far. Costs nothing.
    pub fn totals(&self) -> Totals {
        let ledger = self.members.ledger();
        let all = ledger.all();
        Totals {
            members: self.members.len(),
            channels: self.channels.len(),
            subscriptions: self.subscriptions,
            lagging: self.lagging,
            fallen: self.fallen,
            gaps: self.gaps,
            queued_bytes: ledger.bytes,
            queued_items: ledger.items,
            delivered: all.delivered,
            dropped: all.dropped,
            conflated: all.conflated,
            classes: ledger.classes,
            written: ledger.written,
            overflowed: ledger.overflowed,
        }
    }

    fn member(&self, member: MemberId) -> &Member {
        self.members
            .get(member)
            .expect("the caller knows who joined and did not leave")
    }

    /// Fans out what waits in one channel.
    pub(crate) fn flush(&mut self, key: u32) {
        let Some(entry) = self.channels.get_mut(key) else {
            return;
        };
        let batch = mem::take(&mut entry.batch);
        if batch.is_empty() {
            return;
        }
        if entry.following.is_some() {
            self.pass(key, &batch);
        }
        let Some(entry) = self.channels.get(key).filter(|it| !it.listeners.is_empty()) else {
            return;
        };
        let mut chunks = Chunks::new(batch, entry.alias, entry.policy, self.members.scale());
        for &listener in &entry.listeners {
            self.members.append(listener, &mut chunks);
        }
        self.settle();
    }

    /// Gives a member what comes from now on, as its class says.
    pub(crate) fn listen(&mut self, key: u32, member: MemberId, class: Class) {
        let place = if self.is_follower(key, class) {
            self.note_sampled(key, class);
            self.channels.add_follower(key, member, class)
        } else {
            self.channels.add_listener(key, member)
        };
        let member = self.members.get_mut(member);
        member.expect("only members subscribe").enlist(place);
    }

    /// Ends a subscription; whether it was the channel's last, or nothing if
    /// there was none.
    pub(crate) fn end(&mut self, member: MemberId, key: u32) -> Option<bool> {
        let place = self.members.get_mut(member)?.delist(key)?;
        Some(self.detach(place).is_some())
    }

    /// Takes a subscription out of its channel; returns the channel if it was the
    /// last.
    fn detach(&mut self, place: Subscription) -> Option<Channel> {
        self.subscriptions -= 1;
        self.unlist(place);
        let silent = self.channels.remove_if_silent(place.channel);
        if silent.is_some() {
            self.unread.retain(|&key| key != place.channel);
        }
        silent
    }

    /// Takes a member out of the list it is in.
    pub(crate) fn unlist(&mut self, place: Subscription) {
        self.lagging -= usize::from(place.is_behind());
        if let Some((moved, place)) = self.channels.remove(place) {
            let moved = self.members.get_mut(moved);
            moved.expect("who subscribes is a member").enlist(place);
        }
    }
}
