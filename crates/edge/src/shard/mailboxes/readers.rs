//! How far connections have read their users' mailboxes, and who reads next; no
//! I/O.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use foldhash::HashMap;

use crate::shard::ConnectionKey;

/// Before reads go on after one that failed.
const PAUSE: Duration = Duration::from_millis(500);

/// Room for connections that wait which is kept when none does.
const KEPT: usize = 64;

/// The readers of one shard.
#[derive(Default)]
pub(crate) struct Readers {
    /// By slot. Whoever is not in it is idle, at the mailbox's beginning.
    pub(super) readers: HashMap<u32, Reader>,
    pub(super) waiting: VecDeque<ConnectionKey>,
    pub(super) under_way: usize,
    pub(super) stalled: usize,
    /// No read begins before; a read has failed.
    pub(super) pause_until: Option<Instant>,
}

/// How far one connection has read.
#[derive(Default)]
pub(super) struct Reader {
    /// Offset of the last message given to it, or that it said it had.
    pub(super) cursor: u64,
    /// The newest offset that the log is known to have had.
    pub(super) known: u64,
    /// What the client has confirmed.
    pub(super) confirmed: u64,
    /// How much of that was passed on.
    pub(super) noted: u64,
    pub(super) stage: Stage,
    /// Nobody knows where to begin: the user's cursor says, if there is anything.
    /// Once the mailbox was found empty, that is its beginning, whatever others of
    /// the user have confirmed since.
    pub(super) is_new: bool,
    /// The cursor is what the client says, which may be of another log.
    pub(super) is_claimed: bool,
    /// A word may have been lost, so a break in the log may hide messages.
    pub(super) in_doubt: bool,
}

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Idle,
    Waiting,
    Reading {
        /// A word came meanwhile.
        again: bool,
    },
    Stalled,
}

/// What a page left to do.
pub(super) enum Next {
    Rest,
    ReadOn,
    WaitForRoom,
}

// === impl Readers ===

impl Readers {
    /// The connection is gone.
    pub(crate) fn remove(&mut self, slot: u32) {
        if let Some(reader) = self.readers.remove(&slot) {
            self.stalled -= usize::from(reader.stage == Stage::Stalled);
        }
    }

    /// Has the mailbox read, now or after what is under way.
    pub(super) fn queue(&mut self, key: ConnectionKey) {
        if let Some(reader) = self.readers.get_mut(&key.slot) {
            match &mut reader.stage {
                Stage::Waiting => return,
                // There is no room for more now.
                Stage::Stalled => return,
                Stage::Reading { again } => return *again = true,
                idle @ Stage::Idle => *idle = Stage::Waiting,
            }
        }
        self.waiting.push_back(key);
    }

    /// Whether the connection was stalled, and waits to read on now.
    pub(super) fn wake(&mut self, key: ConnectionKey) -> bool {
        match self.readers.get_mut(&key.slot) {
            Some(reader) if reader.stage == Stage::Stalled => {
                reader.stage = Stage::Waiting;
                self.stalled -= 1;
                self.waiting.push_back(key);
                true
            }
            _ => false,
        }
    }

    pub(super) fn may_read(&self, most: usize) -> bool {
        self.under_way < most && self.pause_until.is_none()
    }

    /// A read begins; gives the offset after which.
    pub(super) fn begin(&mut self, key: ConnectionKey, is_new: bool) -> u64 {
        self.under_way += 1;
        let new = || Reader {
            is_new,
            ..Reader::default()
        };
        let reader = self.readers.entry(key.slot).or_insert_with(new);
        reader.stage = Stage::Reading { again: false };
        reader.cursor
    }

    /// A read is done.
    pub(super) fn settle(&mut self, key: ConnectionKey, next: Next) {
        let Some(reader) = self.readers.get_mut(&key.slot) else {
            return;
        };
        let again = reader.stage == Stage::Reading { again: true };
        match next {
            Next::WaitForRoom => {
                reader.stage = Stage::Stalled;
                self.stalled += 1;
            }
            Next::Rest if !again => {
                reader.stage = Stage::Idle;
                if reader.cursor == 0 {
                    self.readers.remove(&key.slot);
                }
            }
            Next::Rest | Next::ReadOn => {
                reader.stage = Stage::Waiting;
                self.waiting.push_back(key);
            }
        }
    }

    /// A read has failed: it waits again, and all do for a while.
    pub(super) fn fail(&mut self, key: ConnectionKey, now: Instant) {
        self.pause_until = Some(now + PAUSE);
        self.settle(key, Next::ReadOn);
    }

    pub(super) fn forget_waiting(&mut self) {
        for key in self.waiting.drain(..) {
            if let Some(reader) = self.readers.get_mut(&key.slot) {
                reader.stage = Stage::Idle;
            }
        }
    }

    /// A crowd that came at once must not cost memory for ever.
    pub(super) fn give_back_memory(&mut self) {
        if self.waiting.is_empty() && self.waiting.capacity() > KEPT {
            self.waiting = VecDeque::new();
        }
    }
}
