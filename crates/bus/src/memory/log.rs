//! The log of one subject: a ring bounded by messages, age and bytes.

use std::{collections::VecDeque, sync::Arc, time::SystemTime};

use tokio::time::Instant;
use wire::Offset;

use crate::port::{HistoryRead, LogLimits, Message, ReadFrom};

/// What a message costs beside its payload.
const OVERHEAD: usize = 256;

pub(super) struct Log {
    limits: LogLimits,
    max_bytes: usize,
    kept: VecDeque<Kept>,
    bytes: usize,
    last: Offset,
}

struct Kept {
    at: Instant,
    message: Arc<Message>,
}

// === impl Log ===

impl Log {
    /// An empty log whose first message comes after `last`. Of more than
    /// `max_bytes` the oldest messages go, whatever `limits` say.
    pub(super) fn new(limits: LogLimits, max_bytes: usize, last: Offset) -> Self {
        Self {
            limits,
            max_bytes,
            kept: VecDeque::new(),
            bytes: 0,
            last,
        }
    }

    /// Gives `message` its place in the log and keeps it.
    pub(super) fn append(&mut self, mut message: Message, now: Instant) -> Arc<Message> {
        message.previous = self.last;
        message.offset = Offset(self.last.0 + 1);
        self.last = message.offset;
        self.bytes += charge(&message);
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
            let too_large = self.bytes > self.max_bytes && self.kept.len() > 1;
            if !too_many && !too_old && !too_large {
                break;
            }
            self.bytes -= charge(&oldest.message);
            self.kept.pop_front();
        }
    }

    /// The page that is asked for, and whether more follow.
    pub(super) fn read(&mut self, read: &HistoryRead, now: Instant) -> (Vec<Arc<Message>>, bool) {
        self.trim(now);
        let start = self.start(read.from, now);
        let (mut page, mut bytes) = (Vec::new(), 0);
        for kept in self.kept.range(start..) {
            if page.len() >= read.limit || bytes >= read.max_bytes {
                return (page, true);
            }
            bytes += kept.message.payload.len();
            page.push(Arc::clone(&kept.message));
        }
        (page, false)
    }

    fn start(&self, from: ReadFrom, now: Instant) -> usize {
        let kept = &self.kept;
        match from {
            ReadFrom::After(after) => kept.partition_point(|kept| kept.message.offset <= after),
            ReadFrom::Since(time) => match SystemTime::now().duration_since(time) {
                Ok(age) => {
                    kept.partition_point(|kept| now.saturating_duration_since(kept.at) > age)
                }
                Err(_yet_to_come) => kept.len(),
            },
        }
    }

    /// Offset of the newest message ever appended.
    pub(super) fn last(&self) -> Offset {
        self.last
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

fn charge(message: &Message) -> usize {
    message.payload.len() + OVERHEAD
}
