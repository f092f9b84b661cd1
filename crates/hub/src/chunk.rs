//! Publications of one channel that leave together, as one WebSocket message
//! shared by all who listen.

use std::{rc::Rc, sync::Arc};

use wire::{
    Subprotocol,
    client::{Gap, GapCause},
};

use crate::{
    frame::{Frame, FrameBuilder},
    gap,
    policy::{DeliveryPolicy, Overflow},
    pressure::{Scale, Weight},
    publication::EncodedPublication,
};

/// Payload that a chunk may have, in bytes of protobuf; a single larger
/// publication makes a chunk of its own. Bounds what a client gets in one
/// message, and the memory that one slow member can keep from being freed.
pub(crate) const MAX_CHUNK_BYTES: usize = 16 * 1024;

/// What waits in a channel for the end of the turn. Bounded by
/// [`MAX_CHUNK_BYTES`]: the channel fans out before it would hold more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    entries: Vec<Entry>,
    bytes: usize,
    /// Offset of the publication before the first one.
    after: u64,
}

/// A batch encoded for one subprotocol, ready to be written.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// What its receivers are told if it is let go.
    withheld: Gap,
    after: u64,
    publications: u32,
    policy: DeliveryPolicy,
    frame: Frame,
    _weight: Weight,
}

/// The chunks of one batch, made as members of either subprotocol are met.
pub(crate) struct Chunks {
    batch: Batch,
    alias: u32,
    policy: DeliveryPolicy,
    scale: Scale,
    by_subprotocol: [Option<Rc<Chunk>>; Subprotocol::ALL.len()],
}

#[derive(Clone, Debug)]
enum Entry {
    Publication(Arc<EncodedPublication>),
    /// Publications that were lost before the hub saw them.
    Lost(Gap),
}

/// What a gap is charged within a batch; about its encoded length.
const GAP_BYTES: usize = 32;

// === impl Batch ===

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether `publication` can be in the same chunk as what is here already,
    /// if that shall have no more than `bytes`.
    pub(crate) fn has_room(&self, publication: &EncodedPublication, bytes: usize) -> bool {
        self.is_empty() || self.bytes + publication.encoded_len() <= bytes
    }

    /// Adds a publication; `after` is the offset of the one before it.
    pub(crate) fn push(&mut self, publication: Arc<EncodedPublication>, after: u64) {
        if self.is_empty() {
            self.after = after;
        }
        self.bytes += publication.encoded_len();
        self.entries.push(Entry::Publication(publication));
    }

    pub(crate) fn push_gap(&mut self, gap: Gap) {
        match self.entries.last_mut() {
            Some(Entry::Lost(last)) => gap::absorb(last, &gap),
            _ => {
                self.bytes += GAP_BYTES;
                self.entries.push(Entry::Lost(gap));
            }
        }
    }

    /// Tells `gap` before everything else.
    pub(crate) fn put_gap_first(&mut self, gap: Gap) {
        self.bytes += GAP_BYTES;
        self.entries.insert(0, Entry::Lost(gap));
    }

    /// The publications.
    pub(crate) fn publications(&self) -> impl Iterator<Item = &Arc<EncodedPublication>> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Publication(publication) => Some(publication),
            Entry::Lost(_) => None,
        })
    }

    /// The gaps.
    pub(crate) fn gaps(&self) -> impl Iterator<Item = &Gap> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Publication(_) => None,
            Entry::Lost(gap) => Some(gap),
        })
    }

    fn frame(&self, subprotocol: Subprotocol) -> Frame {
        let length = |entry: &Entry| match entry {
            Entry::Publication(publication) => publication.encoded(subprotocol).len(),
            Entry::Lost(_) => GAP_BYTES,
        };
        let separators = self.entries.len() * subprotocol.separator().len();
        let capacity = self.entries.iter().map(length).sum::<usize>() + separators;
        let mut builder = FrameBuilder::new(subprotocol, capacity);
        for entry in &self.entries {
            match entry {
                Entry::Publication(publication) => {
                    builder.encoded(publication.encoded(subprotocol))
                }
                Entry::Lost(gap) => builder.event(&gap::event(*gap)),
            }
        }
        builder.finish()
    }

    /// Everything in here as one gap.
    fn withheld(&self, alias: u32) -> Gap {
        let cause = GapCause::SlowConnection.into();
        let mut whole = Gap {
            alias,
            cause,
            ..Default::default()
        };
        for entry in &self.entries {
            match entry {
                Entry::Publication(publication) => {
                    let (from, to) = (publication.offset(), publication.offset());
                    gap::absorb(
                        &mut whole,
                        &Gap {
                            dropped: 1,
                            from,
                            to,
                            ..Default::default()
                        },
                    );
                }
                Entry::Lost(gap) => gap::absorb(&mut whole, gap),
            }
        }
        whole
    }
}

// === impl Chunk ===

impl Chunk {
    pub(crate) fn frame(&self) -> &[u8] {
        &self.frame
    }

    pub(crate) fn policy(&self) -> DeliveryPolicy {
        self.policy
    }

    pub(crate) fn publications(&self) -> u32 {
        self.publications
    }

    /// Whether the channel's log can give it again.
    pub(crate) fn can_come_again(&self) -> bool {
        self.policy.overflow == Overflow::CatchUp && self.publications > 0
    }

    /// Offset of the publication before the first one.
    pub(crate) fn after(&self) -> u64 {
        self.after
    }

    pub(crate) fn alias(&self) -> u32 {
        self.withheld.alias
    }

    pub(crate) fn withheld(&self) -> &Gap {
        &self.withheld
    }
}

// === impl Chunks ===

impl Chunks {
    pub(crate) fn new(batch: Batch, alias: u32, policy: DeliveryPolicy, scale: &Scale) -> Self {
        Self {
            batch,
            alias,
            policy,
            scale: scale.clone(),
            by_subprotocol: [const { None }; Subprotocol::ALL.len()],
        }
    }

    pub(crate) fn of(&mut self, subprotocol: Subprotocol) -> &Rc<Chunk> {
        let Self {
            batch,
            alias,
            policy,
            scale,
            by_subprotocol,
        } = self;
        by_subprotocol[subprotocol as usize].get_or_insert_with(|| {
            let frame = batch.frame(subprotocol);
            Rc::new(Chunk {
                withheld: batch.withheld(*alias),
                after: batch.after,
                publications: batch.publications().count() as u32,
                policy: *policy,
                _weight: scale.weigh(frame.len()),
                frame,
            })
        })
    }
}
