//! Rooms that wait for their turn, each once.

use std::collections::VecDeque;

use foldhash::HashSet;
use wire::Channel;

/// First come, first served.
#[derive(Debug, Default)]
pub(crate) struct Line {
    queue: VecDeque<Channel>,
    waiting: HashSet<Channel>,
}

// === impl Line ===

impl Line {
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Puts a room at the end, unless it waits already.
    pub(crate) fn push(&mut self, channel: &Channel) {
        if self.waiting.insert(channel.clone()) {
            self.queue.push_back(channel.clone());
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Channel> {
        let channel = self.queue.pop_front()?;
        self.waiting.remove(&channel);
        Some(channel)
    }
}
