//! One batch of a PublishStream on its way: a countdown that the bus's
//! callbacks share, so that a publication costs no allocation but its callback.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bus::{BusError, Published};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use wire::control::{PublishStreamFailure, PublishStreamResponse};

use crate::status::Refusal;

/// A batch that the stream took and has not answered.
pub(crate) struct Batch {
    pub(crate) size: usize,
    /// What the batch holds in memory, about.
    pub(crate) bytes: usize,
    sequence: u64,
    /// Publications without an outcome, and one more while they are issued.
    outstanding: AtomicUsize,
    // A lock: callbacks come from any thread. Taken only for failures, which are
    // rare, and by the stream when the countdown is over.
    failures: Mutex<Vec<PublishStreamFailure>>,
    progress: Arc<AtomicWaker>,
}

// === impl Batch ===

impl Batch {
    /// A batch whose publications are about to be issued.
    pub(crate) fn new(
        sequence: u64,
        size: usize,
        bytes: usize,
        progress: Arc<AtomicWaker>,
    ) -> Arc<Self> {
        Arc::new(Self {
            size,
            bytes,
            sequence,
            outstanding: AtomicUsize::new(size + 1),
            failures: Mutex::default(),
            progress,
        })
    }

    /// All publications are issued; called once by the stream, which looks at
    /// the countdown itself afterwards and need not be woken.
    pub(crate) fn issued(&self) {
        self.outstanding.fetch_sub(1, Ordering::AcqRel);
    }

    /// What the bus said of one publication.
    pub(crate) fn settle(&self, index: u32, outcome: Result<Published, BusError>) {
        if let Err(error) = outcome {
            self.refuse(index, error.into());
        } else {
            self.count_down();
        }
    }

    /// The publication never reached the bus, or the bus refused it.
    pub(crate) fn refuse(&self, index: u32, refusal: Refusal) {
        let error = Some(refusal.into());
        self.failures
            .lock()
            .push(PublishStreamFailure { index, error });
        self.count_down();
    }

    /// The answer, once every publication has an outcome. To be taken once.
    pub(crate) fn answer(&self) -> Option<PublishStreamResponse> {
        if self.outstanding.load(Ordering::Acquire) > 0 {
            return None;
        }
        let mut failures = mem::take(&mut *self.failures.lock());
        failures.sort_unstable_by_key(|failure| failure.index);
        Some(PublishStreamResponse {
            sequence: self.sequence,
            published: index_of(self.size - failures.len()),
            failures,
        })
    }

    fn count_down(&self) {
        if self.outstanding.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.progress.wake();
        }
    }
}

/// A position or a count within a batch, as messages carry it.
pub(crate) fn index_of(position: usize) -> u32 {
    u32::try_from(position).expect("batches are shorter than MAX_BATCH")
}
