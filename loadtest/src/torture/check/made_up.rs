//! Made-up histories: one channel, one publisher that publishes once a second,
//! and one subscriber. Offset `n` is the publisher's `n`th, begun at second `n`.

use std::time::Duration;

use client::{Gap, GapCause, Verdict};

use crate::torture::record::{
    Attempt, ChannelInfo, Keeps, PublicationId, Published, Records, Seen, Subscribed, What,
};

/// See the module.
#[derive(Debug)]
pub(super) struct MadeUp {
    records: Records,
    /// Seconds that have passed beside one for each event.
    now: u64,
}

fn second(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// The `n`th publication.
fn nth(number: u64) -> PublicationId {
    PublicationId {
        publisher: 0,
        sequence: number as u32 - 1,
    }
}

// === impl MadeUp ===

impl MadeUp {
    pub(super) fn with_log(limit: usize) -> Self {
        Self::new(Keeps::Log(limit))
    }

    pub(super) fn without_log() -> Self {
        Self::new(Keeps::Nothing)
    }

    fn new(keeps: Keeps) -> Self {
        let channel = ChannelInfo {
            name: "test.c0".to_owned(),
            keeps,
        };
        let published = Published {
            channel: 0,
            attempts: Vec::new(),
        };
        let subscribed = Subscribed {
            client: 0,
            channel: 0,
            since: Duration::ZERO,
            seen: Vec::new(),
            is_complete: true,
        };
        Self {
            records: Records {
                channels: vec![channel],
                publishers: vec![published],
                subscriptions: vec![subscribed],
                logs: vec![Default::default()],
                ..Records::default()
            },
            now: 0,
        }
    }

    pub(super) fn records(&self) -> Records {
        let mut records = self.records.clone();
        let Keeps::Log(limit) = records.channels[0].keeps else {
            records.logs[0].clear();
            return records;
        };
        while records.logs[0].len() > limit {
            records.logs[0].pop_first();
        }
        records
    }

    /// So many more, acknowledged.
    pub(super) fn published(mut self, count: u64) -> Self {
        for _ in 0..count {
            let offset = self.publish();
            let acknowledged = Some((second(offset), offset));
            let attempts = &mut self.records.publishers[0].attempts;
            attempts.last_mut().expect("just begun").acknowledged = acknowledged;
        }
        self
    }

    /// One more, stored but not acknowledged.
    pub(super) fn unacknowledged(mut self) -> Self {
        self.publish();
        self
    }

    pub(super) fn subscribed_at(mut self, at: u64) -> Self {
        self.records.subscriptions[0].since = second(at);
        self
    }

    /// The subscriber gets the publications of these offsets.
    pub(super) fn sees(mut self, offsets: &[u64]) -> Self {
        for offset in offsets {
            let keeps = self.records.channels[0].keeps;
            let at = if keeps == Keeps::Nothing { 0 } else { *offset };
            self = self.saw(What::Publication(at, Some(nth(*offset))));
        }
        self
    }

    /// It gets the `n`th at another offset.
    pub(super) fn sees_at(self, offset: u64, number: u64) -> Self {
        self.saw(What::Publication(offset, Some(nth(number))))
    }

    pub(super) fn sees_nonsense(self, offset: u64) -> Self {
        self.saw(What::Publication(offset, None))
    }

    pub(super) fn gap(self, from: u64, to: u64) -> Self {
        self.saw(What::Gap(Gap {
            dropped: 0,
            conflated: 0,
            from,
            to,
            cause: GapCause::Bus,
        }))
    }

    pub(super) fn resubscribed(self, verdict: Verdict) -> Self {
        self.saw(What::Resubscribed(verdict))
    }

    pub(super) fn ended(self) -> Self {
        self.saw(What::Ended("refused".to_owned()))
    }

    /// The log loses an entry.
    pub(super) fn forgets(mut self, offset: u64) -> Self {
        self.records.logs[0].remove(&offset);
        self
    }

    /// The log holds the `n`th at another offset too.
    pub(super) fn stored_again(mut self, number: u64, offset: u64) -> Self {
        self.records.logs[0].insert(offset, nth(number));
        self
    }

    fn publish(&mut self) -> u64 {
        let attempts = &mut self.records.publishers[0].attempts;
        let offset = attempts.len() as u64 + 1;
        attempts.push(Attempt {
            started: second(offset),
            acknowledged: None,
        });
        self.records.logs[0].insert(offset, nth(offset));
        offset
    }

    /// Events come long after all was published.
    /// The subscriber gets what follows so many seconds later.
    pub(super) fn later(mut self, seconds: u64) -> Self {
        self.now += seconds;
        self
    }

    fn saw(mut self, what: What) -> Self {
        let seen = &mut self.records.subscriptions[0].seen;
        let at = second(1_000 + self.now + seen.len() as u64);
        seen.push(Seen { at, what });
        self
    }
}
