//! The subscriptions of one client, by channel.

use std::{collections::HashMap, sync::Arc};

use wire::client::{self as proto, SubscribeOptions};

use crate::{
    error::Error,
    feed::Feed,
    in_flight::{Setting, Subscribing},
    presence::Tracked,
    subscription::{Queue, SubscriptionEvent},
};

/// What the connection's task knows of the subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    entries: HashMap<Arc<str>, Entry>,
}

/// A subscription that has been agreed to on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreed {
    /// Its feed begins here.
    Anew,
    /// Its feed goes on, by two connections for a while.
    AsWell,
}

#[derive(Debug)]
struct Entry {
    options: Option<SubscribeOptions>,
    /// They were changed since it was last subscribed.
    changed: bool,
    queue: Arc<Queue>,
    presence: Arc<Tracked>,
    feed: Feed,
    /// The gateway has said yes once: from now on it is made again on every
    /// connection, and its queue learns of it.
    established: bool,
}

// === impl Subscriptions ===

impl Subscriptions {
    /// Makes room for a new subscription, unless the channel has one.
    pub(crate) fn insert(&mut self, subscribing: &Subscribing) -> bool {
        if self.entries.contains_key(&subscribing.channel) {
            return false;
        }
        let entry = Entry {
            options: subscribing.options,
            changed: false,
            queue: subscribing.queue.clone(),
            presence: subscribing.presence.clone(),
            feed: Feed::default(),
            established: false,
        };
        self.entries.insert(subscribing.channel.clone(), entry);
        true
    }

    /// Takes other options; `false`: there is no such subscription.
    pub(crate) fn set(&mut self, setting: &Setting) -> bool {
        let Some(entry) = self.entries.get_mut(&setting.channel) else {
            return false;
        };
        // Its state was given when it began.
        let latest = entry.options.is_some_and(|options| options.latest);
        let options = SubscribeOptions {
            latest,
            ..setting.options.unwrap_or_default()
        };
        entry.options = Some(options);
        entry.changed = true;
        let asks_less = options.conflate || options.max_per_second != 0;
        entry.feed.expect_less(asks_less);
        true
    }

    /// The options that were changed while a second connection had been asked for
    /// the earlier ones.
    pub(crate) fn take_changes(&mut self) -> Vec<Setting> {
        let settings = self.entries.iter_mut().filter_map(|(channel, entry)| {
            std::mem::take(&mut entry.changed).then(|| Setting {
                channel: channel.clone(),
                options: entry.options,
                reply: None,
            })
        });
        settings.collect()
    }

    pub(crate) fn has(&self, channel: &str) -> bool {
        self.entries.contains_key(channel)
    }

    /// The position to ask for.
    pub(crate) fn position(&self, channel: &str) -> Option<proto::Position> {
        self.entries.get(channel)?.feed.position()
    }

    /// The options to ask for: whoever has a subscription on one connection needs
    /// no snapshot when it begins on another.
    pub(crate) fn options(&self, subscribing: &Subscribing) -> Option<SubscribeOptions> {
        let entry = self.entries.get(&subscribing.channel);
        let has_state = entry.is_some_and(|entry| entry.feed.overlaps());
        let wanted = entry.map_or(subscribing.options, |entry| entry.options);
        let options = wanted.map(|options| SubscribeOptions {
            latest: options.latest && !has_state,
            ..options
        });
        options.filter(|options| *options != SubscribeOptions::default())
    }

    /// The gateway agreed on connection `line`. `None` if the subscription has
    /// been dropped since.
    pub(crate) fn subscribed(
        &mut self,
        line: u32,
        subscribing: Subscribing,
        answer: proto::Subscribed,
    ) -> Option<Agreed> {
        let entry = self.entry_of(&subscribing)?;
        let verdict = answer.verdict();
        entry.feed.expect_gapless(!answer.conflates);
        if !entry.feed.subscribed(line, verdict, answer.position) {
            return Some(Agreed::AsWell);
        }
        let is_again = std::mem::replace(&mut entry.established, true);
        // Lost at first: the state that was asked for can't be had.
        if is_again || verdict == proto::Verdict::Lost {
            let verdict = verdict.into();
            entry
                .queue
                .push(SubscriptionEvent::Resubscribed { verdict });
        }
        if let Some(reply) = subscribing.reply {
            // Who asked may have gone; the dropped subscription is found later.
            drop(reply.send(Ok(())));
        }
        Some(Agreed::Anew)
    }

    /// The gateway refused. What was granted before and may be again is returned,
    /// to be asked for later; anything else ends.
    pub(crate) fn refused(&mut self, asked: Subscribing, error: Error) -> Option<Subscribing> {
        let entry = self.entry_of(&asked)?;
        if entry.established && error.retryable() {
            return Some(asked);
        }
        self.entries.remove(&asked.channel);
        asked.fail(error);
        None
    }

    /// The gateway ended it unasked.
    pub(crate) fn unsubscribed(&mut self, ended: &proto::Unsubscribed) {
        if let Some(entry) = self.entries.remove(ended.channel.as_str()) {
            end(&entry.queue, Error::of_code(ended.code()));
        }
    }

    pub(crate) fn publication(
        &mut self,
        line: u32,
        channel: &str,
        publication: proto::Publication,
    ) {
        if let Some(Entry { feed, queue, .. }) = self.entries.get_mut(channel) {
            feed.publication(line, publication, &mut |event| queue.push(event));
        }
    }

    pub(crate) fn presence(&self, line: u32, channel: &str, change: proto::PresenceChange) {
        if let Some(entry) = self.entries.get(channel) {
            entry.presence.change(line, change);
        }
    }

    pub(crate) fn gap(&mut self, line: u32, channel: &str, gap: proto::Gap) {
        if let Some(Entry { feed, queue, .. }) = self.entries.get_mut(channel) {
            feed.gap(line, gap, &mut |event| queue.push(event));
        }
    }

    /// Puts one feed on record, because its connection is going to be left.
    pub(crate) fn begin_overlap(&mut self, old: u32, channel: &str) {
        if let Some(entry) = self.entries.get_mut(channel) {
            entry.feed.begin_overlap(old);
        }
    }

    /// Whether the old connection has nothing to bring that the new one lacks, as
    /// far as offsets tell.
    pub(crate) fn have_met(&self) -> bool {
        self.entries.values().all(|entry| entry.feed.has_met())
    }

    /// See [`Feed::old_ended`].
    pub(crate) fn old_ended(&mut self, is_complete: bool) {
        for Entry { feed, queue, .. } in self.entries.values_mut() {
            if feed.overlaps() {
                feed.old_ended(is_complete, &mut |event| queue.push(event));
            }
        }
    }

    /// See [`Feed::new_ended`].
    pub(crate) fn new_ended(&mut self) {
        self.feeds().for_each(Feed::new_ended);
    }

    /// See [`Feed::end_overlap`].
    pub(crate) fn end_overlap(&mut self) {
        self.feeds().for_each(Feed::end_overlap);
    }

    /// Forgets the subscriptions that were dropped and returns their channels.
    pub(crate) fn take_abandoned(&mut self) -> Vec<Arc<str>> {
        let mut abandoned = Vec::new();
        self.entries.retain(|channel, entry| {
            let is_abandoned = entry.queue.is_abandoned();
            if is_abandoned {
                abandoned.push(channel.clone());
            }
            !is_abandoned
        });
        abandoned
    }

    /// What to subscribe to on another connection.
    pub(crate) fn again(&self) -> Vec<Subscribing> {
        let established = self.entries.iter().filter(|(_, entry)| entry.established);
        established
            .map(|(channel, entry)| entry.again(channel))
            .collect()
    }

    /// The same for one channel.
    pub(crate) fn again_to(&self, channel: &Arc<str>) -> Option<Subscribing> {
        self.entries.get(channel).map(|entry| entry.again(channel))
    }

    /// Ends all of them.
    pub(crate) fn end(&mut self, error: &Error) {
        for (_, entry) in self.entries.drain() {
            end(&entry.queue, error.clone());
        }
    }

    /// Its entry, and not that of a later subscription to the same channel.
    fn entry_of(&mut self, subscribing: &Subscribing) -> Option<&mut Entry> {
        self.entries
            .get_mut(&subscribing.channel)
            .filter(|entry| Arc::ptr_eq(&entry.queue, &subscribing.queue))
    }

    fn feeds(&mut self) -> impl Iterator<Item = &mut Feed> {
        self.entries.values_mut().map(|entry| &mut entry.feed)
    }
}

// === impl Entry ===

impl Entry {
    fn again(&self, channel: &Arc<str>) -> Subscribing {
        Subscribing {
            channel: channel.clone(),
            options: self.options,
            queue: self.queue.clone(),
            presence: self.presence.clone(),
            reply: None,
        }
    }
}

/// Says why there will be no more.
pub(crate) fn end(queue: &Queue, error: Error) {
    queue.push(SubscriptionEvent::Ended(error));
    queue.end();
}
