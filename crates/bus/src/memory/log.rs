//! The log of one subject: a ring bounded by messages and age.

use std::{collections::VecDeque, sync::Arc};

use tokio::time::Instant;
use wire::Offset;

use crate::port::{LogLimits, Message};

pub(super) struct Log {
    limits: LogLimits,
    kept: VecDeque<Kept>,
    last: Offset,
}

struct Kept {
    at: Instant,
    message: Arc<Message>,
}

// === impl Log ===

impl Log {
    /// An empty log whose first message comes after `last`.
    pub(super) fn new(limits: LogLimits, last: Offset) -> Self {
        Self {
            limits,
            kept: VecDeque::new(),
            last,
        }
    }

    /// Gives `message` its place in the log and keeps it.
    pub(super) fn append(&mut self, mut message: Message, now: Instant) -> Arc<Message> {
        message.previous = self.last;
        message.offset = Offset(self.last.0 + 1);
        self.last = message.offset;
        let message = Arc::new(message);
        self.kept.push_back(Kept {
            at: now,
            message: Arc::clone(&message),
        });
        self.trim(now);
        message
    }

    pub(super) fn set_limits(&mut self, limits: LogLimits, now: Instant) {
        self.limits = limits;
        self.trim(now);
    }

    /// Lets go of what is over the limits.
    pub(super) fn trim(&mut self, now: Instant) {
        while let Some(oldest) = self.kept.front() {
            let too_many = self.kept.len() > self.limits.messages;
            let too_old = now.saturating_duration_since(oldest.at) > self.limits.age;
            if !too_many && !too_old {
                break;
            }
            self.kept.pop_front();
        }
    }

    /// Up to `limit` messages after an offset, and whether more follow.
    pub(super) fn read(
        &mut self,
        after: Offset,
        limit: usize,
        now: Instant,
    ) -> (Vec<Arc<Message>>, bool) {
        self.trim(now);
        let start = self
            .kept
            .partition_point(|kept| kept.message.offset <= after);
        let end = self.kept.len().min(start.saturating_add(limit));
        let page = self
            .kept
            .range(start..end)
            .map(|kept| Arc::clone(&kept.message))
            .collect();
        (page, end < self.kept.len())
    }

    /// Offset of the newest message ever appended.
    pub(super) fn last(&self) -> Offset {
        self.last
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}
