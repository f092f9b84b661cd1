//! The subscriptions of one client, by channel and, on the present connection, by
//! alias.

use std::{collections::HashMap, sync::Arc};

use wire::client::{self as proto, SubscribeOptions};

use crate::{
    chain::{Chain, Fit},
    error::Error,
    in_flight::Subscribing,
    subscription::{Gap, GapCause, Queue, SubscriptionEvent},
};

/// What the connection's task knows of the subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    entries: HashMap<Arc<str>, Entry>,
    aliases: HashMap<u32, Arc<str>>,
}

#[derive(Debug)]
struct Entry {
    options: Option<SubscribeOptions>,
    queue: Arc<Queue>,
    chain: Chain,
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
            queue: subscribing.queue.clone(),
            chain: Chain::default(),
            established: false,
        };
        self.entries.insert(subscribing.channel.clone(), entry);
        true
    }

    /// The position to ask for.
    pub(crate) fn position(&self, channel: &str) -> Option<proto::Position> {
        self.entries.get(channel)?.chain.position()
    }

    /// The gateway agreed. Ignored if the subscription has been dropped since.
    pub(crate) fn subscribed(&mut self, subscribing: Subscribing, answer: proto::Subscribed) {
        let Some(entry) = self.entry_of(&subscribing) else {
            return;
        };
        let verdict = answer.verdict();
        entry.chain.subscribed(verdict, answer.position);
        let is_again = std::mem::replace(&mut entry.established, true);
        if is_again {
            let verdict = verdict.into();
            entry
                .queue
                .push(SubscriptionEvent::Resubscribed { verdict });
        }
        self.aliases.insert(answer.alias, subscribing.channel);
        if let Some(reply) = subscribing.reply {
            // Who asked may have gone; the dropped subscription is found later.
            drop(reply.send(Ok(())));
        }
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
        self.aliases.remove(&ended.alias);
        if let Some(entry) = self.entries.remove(ended.channel.as_str()) {
            end(&entry.queue, Error::of_code(ended.code()));
        }
    }

    pub(crate) fn publication(&mut self, publication: proto::Publication) {
        let Some(entry) = self.aliased(publication.alias) else {
            return;
        };
        let keyed = !publication.key.is_empty();
        match entry
            .chain
            .next(publication.offset, publication.previous, keyed)
        {
            Fit::Duplicate => return,
            Fit::Broken(from, to) => {
                let gap = Gap::withheld(from, to, GapCause::BrokenChain);
                entry.queue.push(SubscriptionEvent::Gap(gap));
            }
            Fit::InOrder => {}
        }
        let publication = SubscriptionEvent::Publication(publication.into());
        entry.queue.push(publication);
    }

    pub(crate) fn gap(&mut self, gap: proto::Gap) {
        if let Some(entry) = self.aliased(gap.alias) {
            entry.chain.reported(gap.to);
            entry.queue.push(SubscriptionEvent::Gap(gap.into()));
        }
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
        if !abandoned.is_empty() {
            let entries = &self.entries;
            self.aliases
                .retain(|_, channel| entries.contains_key(channel));
        }
        abandoned
    }

    /// The connection is gone: what to subscribe to on the next one.
    pub(crate) fn start_over(&mut self) -> Vec<Subscribing> {
        self.aliases.clear();
        let established = self.entries.iter().filter(|(_, entry)| entry.established);
        established
            .map(|(channel, entry)| Subscribing {
                channel: channel.clone(),
                options: entry.options,
                queue: entry.queue.clone(),
                reply: None,
            })
            .collect()
    }

    /// Ends all of them.
    pub(crate) fn end(&mut self, error: &Error) {
        self.aliases.clear();
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

    fn aliased(&mut self, alias: u32) -> Option<&mut Entry> {
        self.entries.get_mut(self.aliases.get(&alias)?)
    }
}

/// Says why there will be no more.
pub(crate) fn end(queue: &Queue, error: Error) {
    queue.push(SubscriptionEvent::Ended(error));
    queue.end();
}
