//! Messages to subjects without a log: out, in order, and numbered.

use std::{hash::BuildHasher, sync::Arc};

use bytes::Bytes;
use foldhash::quality::FixedState;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    confirming::Confirming,
    headers,
    lane::Outbound,
    line::Gate,
    link::Link,
    origins::{Origins, SWEEP},
};
use crate::{
    port::{BusError, Done, Outgoing, Published},
    subject::Subject,
};

/// The connections for these messages; each subject is always on the same one, so
/// that order holds.
pub(super) struct Publishers {
    links: Vec<Arc<Link>>,
    /// One for each connection.
    confirming: Vec<Arc<Confirming>>,
    origins: Origins,
    gate: Gate,
}

// === impl Publishers ===

impl Publishers {
    /// By these connections, at least one, while the gate is open.
    pub(super) fn new(links: Vec<Arc<Link>>, gate: Gate) -> Self {
        let confirming = links.iter().map(|link| Confirming::new(link.inbox.clone()));
        Self {
            confirming: confirming.collect(),
            links,
            origins: Origins::new(),
            gate,
        }
    }

    pub(super) fn links(&self) -> &[Arc<Link>] {
        &self.links
    }

    /// Done when the server has it; [`BusError::DeadlineExceeded`] if it can't be
    /// known whether it has.
    pub(super) fn publish(&self, outgoing: Outgoing, done: Done<Published>) {
        if !self.gate.is_open() {
            return done(Err(BusError::Unavailable));
        }
        let index = self.index(&outgoing.subject);
        let (link, confirming) = (&self.links[index], self.confirming[index].clone());
        if confirming.is_full() {
            return done(Err(BusError::Overloaded));
        }
        let done: Done<()> = Box::new(move |outcome| {
            done(outcome.map(|()| Published {
                offset: wire::Offset::NONE,
                duplicate: false,
            }));
        });
        let sent: Done<()> = Box::new(move |outcome| match outcome {
            Ok(()) => confirming.add(done),
            Err(_) => done(outcome),
        });
        let subject = outgoing.subject.clone();
        self.origins.number(&subject, |origin| {
            let headers = headers::of_outgoing(&outgoing, &outgoing.message_id, origin);
            link.lane.offer(Outbound {
                subject: subject.as_str().into(),
                reply: None,
                headers: Some(headers),
                payload: outgoing.payload,
                done: Some(sent),
            })
        });
    }

    /// Tells receivers how far quiet subjects are. Never ends.
    pub(super) async fn run(&self) {
        let mut sweeps = interval(SWEEP);
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            sweeps.tick().await;
            self.origins.sweep(|subject, origin| {
                let word = Outbound {
                    subject: subject.as_str().into(),
                    reply: None,
                    headers: Some(headers::of_reached(origin)),
                    payload: Bytes::new(),
                    done: None,
                };
                self.gate.is_open() && self.links[self.index(subject)].lane.offer(word).is_taken()
            });
        }
    }

    /// Which connection is the subject's.
    fn index(&self, subject: &Subject) -> usize {
        let hash = FixedState::default().hash_one(subject.as_str());
        let index = hash % self.links.len() as u64;
        usize::try_from(index).expect("below a length")
    }
}
