//! Publications of one channel that follow each other without a gap: the last
//! ones that passed, or a page of the log.

use std::{collections::VecDeque, sync::Arc};

use crate::{chunk::Batch, explain::Lot, publication::EncodedPublication};

/// An unbroken part of a channel. Whoever has everything up to its beginning can
/// be given all of it.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Nothing is missing between this offset and the first publication.
    after: u64,
    publications: VecDeque<Arc<EncodedPublication>>,
    bytes: usize,
}

// === impl Run ===

impl Run {
    /// An empty run behind `after`.
    pub(crate) fn behind(after: u64) -> Self {
        Self {
            after,
            ..Self::default()
        }
    }

    /// Where it ends: the offset of the last publication.
    pub(crate) fn end(&self) -> u64 {
        self.publications
            .back()
            .map_or(self.after, |last| last.offset())
    }

    /// What it takes from the budget.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it holds what comes next for who has everything up to `cursor`.
    pub(crate) fn continues(&self, cursor: u64) -> bool {
        self.after <= cursor && cursor < self.end()
    }

    /// What of it comes behind `cursor`.
    pub(crate) fn lot_behind(&self, cursor: u64) -> Lot {
        let first = self
            .publications
            .partition_point(|publication| publication.offset() <= cursor);
        let behind = self.publications.range(first..);
        behind.fold(Lot::default(), |lot, publication| Lot {
            publications: lot.publications + 1,
            bytes: lot.bytes + publication.encoded_len() as u64,
        })
    }

    /// Adds the next publication; if it does not follow the last one, the run
    /// begins anew with it.
    pub(crate) fn push(&mut self, publication: &Arc<EncodedPublication>) {
        if publication.previous() > self.end() {
            *self = Self::behind(publication.previous());
        }
        self.bytes += publication.encoded_len();
        self.publications.push_back(publication.clone());
    }

    /// Forgets the oldest ones beyond these limits.
    pub(crate) fn trim(&mut self, publications: usize, bytes: usize) {
        while self.publications.len() > publications || self.bytes > bytes {
            let Some(oldest) = self.publications.pop_front() else {
                return;
            };
            self.after = oldest.offset();
            self.bytes -= oldest.encoded_len();
        }
    }

    /// Forgets all of them; what comes next still follows.
    pub(crate) fn clear(&mut self) {
        *self = Self::behind(self.end());
    }

    /// What comes next behind `cursor`, about `bytes` of it, and the offset of
    /// the last one. One publication at least.
    pub(crate) fn batch(&self, cursor: u64, bytes: usize) -> (Batch, u64) {
        let first = self
            .publications
            .partition_point(|publication| publication.offset() <= cursor);
        let (mut batch, mut end) = (Batch::default(), cursor);
        for publication in self.publications.range(first..) {
            if !batch.has_room(publication, bytes) {
                break;
            }
            batch.push(publication.clone(), cursor);
            end = publication.offset();
        }
        (batch, end)
    }
}
