//! A client that checks every byte it is written against what was published.

use std::collections::BTreeMap;

use hub::Place;
use wire::{
    Subprotocol,
    client::{Gap, Publication, Subscribed, Verdict, server_event::Event},
};

use super::log::Log;
use crate::support::decode;

/// One connection's reader.
#[derive(Debug, Default)]
pub(crate) struct Client {
    tail: Vec<u8>,
    /// By alias.
    pub(crate) subscriptions: BTreeMap<u32, Held>,
}

/// What a client holds of a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) place: Place,
    /// What follows may be behind a gap, which ended here.
    gap: Option<Ended>,
}

/// Where a gap ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ended {
    At(u64),
    Somewhere,
}

/// The rules of one channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Nothing is withheld that the log can give.
    pub(crate) lossless: bool,
    /// A publication of this size fits into no outbox.
    pub(crate) too_large: usize,
}

// === impl Client ===

impl Client {
    pub(crate) fn read(&mut self, bytes: &[u8], logs: &[Log], rules: impl Fn(u32) -> Rules) {
        self.tail.extend_from_slice(bytes);
        let (messages, rest) = decode(&self.tail, Subprotocol::Protobuf);
        self.tail.drain(..self.tail.len() - rest);
        for event in messages.into_iter().flatten() {
            match event {
                Event::Subscribed(subscribed) => self.subscribed(&subscribed),
                Event::Unsubscribed(unsubscribed) => {
                    let held = self.subscriptions.remove(&unsubscribed.alias);
                    assert!(held.is_some(), "it was subscribed");
                }
                Event::Publication(publication) => {
                    let log = &logs[publication.alias as usize];
                    let held = self.subscriptions.get_mut(&publication.alias);
                    held.expect("only to subscribers").take(&publication, log);
                }
                Event::Gap(gap) => {
                    let log = &logs[gap.alias as usize];
                    let held = self.subscriptions.get_mut(&gap.alias);
                    held.expect("only to subscribers")
                        .miss(&gap, log, rules(gap.alias));
                }
                Event::Pong(_) => {}
                other => panic!("nobody sent {other:?}"),
            }
        }
    }

    fn subscribed(&mut self, subscribed: &Subscribed) {
        let position = subscribed.position.as_ref().expect("it keeps a log");
        let place = Place {
            life: position.epoch.parse().expect("a number"),
            offset: position.offset,
        };
        let earlier = self
            .subscriptions
            .insert(subscribed.alias, Held { place, gap: None });
        assert!(earlier.is_none(), "it was not subscribed");
        assert_ne!(subscribed.verdict(), Verdict::Unspecified);
    }
}

// === impl Held ===

impl Held {
    /// Whether it has everything, or knows that it has not.
    pub(crate) fn is_at_the_end(&self, log: &Log, lossless: bool) -> bool {
        let newest = log.published.last().expect("something was published");
        self.place == newest.place || !lossless && self.gap.is_some()
    }

    /// No loss without a gap, no duplicate, no reordering: what comes is what
    /// follows.
    fn take(&mut self, publication: &Publication, log: &Log) {
        let life = u32::from_be_bytes(publication.payload[..4].try_into().expect("four bytes"));
        let place = Place {
            life,
            offset: publication.offset,
        };
        let follows = match self.gap {
            None => log.successor(self.place),
            Some(Ended::At(to)) if life == self.place.life => log.successor(Place {
                offset: to,
                ..self.place
            }),
            // Anything newer.
            Some(_) if place > self.place => log.published.iter().find(|it| it.place == place),
            Some(_) => None,
        };
        let follows = follows.map(|entry| entry.place);
        assert_eq!(follows, Some(place), "behind {self:?} on {}", log.alias);
        *self = Self { place, gap: None };
    }

    /// A gap is told only where something is missing.
    fn miss(&mut self, gap: &Gap, log: &Log, rules: Rules) {
        if log.life > self.place.life || self.gap == Some(Ended::Somewhere) {
            // It can't know of which life the gap is, and what follows.
            self.gap = Some(Ended::Somewhere);
            return;
        }
        let from = Place {
            offset: match self.gap {
                Some(Ended::At(to)) => to,
                _ => self.place.offset,
            },
            ..self.place
        };
        assert!(
            gap.to == 0 || gap.to > from.offset,
            "{gap:?} behind {self:?}"
        );
        assert!(
            gap.from == 0 || gap.from > from.offset,
            "{gap:?} behind {self:?}"
        );
        if rules.lossless {
            let trimmed = log.may_miss(from);
            // Of an offset that never was nobody knows what is behind it.
            let invented = !log.has_had(from);
            let mut within = log.published.iter().filter(|it| it.place > from);
            let first = within.next().map_or(0, |it| it.bytes);
            assert!(
                trimmed || invented || first >= rules.too_large,
                "{gap:?} behind {self:?}: the log has it"
            );
        }
        self.gap = match gap.to {
            to if rules.lossless && to > 0 => Some(Ended::At(to)),
            _ => Some(Ended::Somewhere),
        };
    }
}
