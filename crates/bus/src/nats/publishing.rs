//! Messages to subjects without a log: out, in order, and numbered.

use std::{hash::BuildHasher, sync::Arc};

use bytes::Bytes;
use foldhash::quality::FixedState;
use tokio::time::{MissedTickBehavior, interval};

use super::{
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
    origins: Origins,
    gate: Gate,
}

// === impl Publishers ===

impl Publishers {
    /// By these connections, at least one, while the gate is open.
    pub(super) fn new(links: Vec<Arc<Link>>, gate: Gate) -> Self {
        Self {
            links,
            origins: Origins::new(),
            gate,
        }
    }

    pub(super) fn links(&self) -> &[Arc<Link>] {
        &self.links
    }

    /// Done when the client library has it.
    pub(super) fn publish(&self, outgoing: Outgoing, done: Done<Published>) {
        if !self.gate.is_open() {
            return done(Err(BusError::Unavailable));
        }
        let link = self.link(&outgoing.subject);
        let done: Done<()> = Box::new(move |outcome| {
            done(outcome.map(|()| Published {
                offset: wire::Offset::NONE,
                duplicate: false,
            }));
        });
        let subject = outgoing.subject.clone();
        self.origins.number(&subject, |origin| {
            let headers = headers::of_outgoing(&outgoing, &outgoing.message_id, origin);
            link.lane.offer(Outbound {
                subject: subject.as_str().into(),
                reply: None,
                headers: Some(headers),
                payload: outgoing.payload,
                done: Some(done),
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
                self.gate.is_open() && self.link(subject).lane.offer(word).is_taken()
            });
        }
    }

    fn link(&self, subject: &Subject) -> &Link {
        let hash = FixedState::default().hash_one(subject.as_str());
        let index = hash % self.links.len() as u64;
        &self.links[usize::try_from(index).expect("below a length")]
    }
}
