//! The newest publication of each key of a channel, in the order they came: what
//! those are given who don't get all of them.
//!
//! However many are slow, and for however long, a channel keeps one publication
//! of each key, and each of them a number.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};

use crate::{chunk::Batch, policy::BacklogLimits, publication::EncodedPublication};

/// Counts the publications of a channel: each has the next version.
pub(crate) type Version = u64;

/// Superseded ones are kept until they are more than the others, and so many.
const SLACK: usize = 64;

/// Bounded by [`BacklogLimits::keys`] and [`BacklogLimits::keys_bytes`].
#[derive(Debug)]
pub(crate) struct Newest {
    /// By version; those that were superseded have left their place.
    order: Vec<(Version, Option<Arc<EncodedPublication>>)>,
    by_key: HashMap<Box<str>, Version>,
    bytes: usize,
    /// Publications let go because there were too many keys.
    evicted: u64,
}

/// What follows a version.
pub(crate) struct Portion {
    pub(crate) batch: Batch,
    /// Where it ends.
    pub(crate) end: Version,
    /// Publications that it does not have, up to there.
    pub(crate) withheld: u64,
}

// === impl Newest ===

impl Newest {
    pub(crate) fn new() -> Self {
        Self {
            order: Vec::new(),
            by_key: HashMap::new(),
            bytes: 0,
            evicted: 0,
        }
    }

    /// Publications let go so far because there were too many keys.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Forgets all of them: nobody waits for any.
    pub(crate) fn clear(&mut self) {
        if !self.order.is_empty() {
            *self = Self {
                evicted: self.evicted,
                ..Self::new()
            };
        }
    }

    /// Takes in the next publication, in place of the one with the same key.
    pub(crate) fn put(
        &mut self,
        version: Version,
        publication: &Arc<EncodedPublication>,
        limits: &BacklogLimits,
    ) {
        let key = publication.key();
        match self.by_key.get_mut(key) {
            Some(newest) => {
                let superseded = std::mem::replace(newest, version);
                self.take(superseded);
            }
            None => {
                self.by_key.insert(key.into(), version);
            }
        }
        self.bytes += publication.encoded_len();
        self.order.push((version, Some(publication.clone())));
        while self.by_key.len() > limits.keys.max(1) || self.bytes > limits.keys_bytes {
            if !self.evict_oldest() {
                break;
            }
        }
        if self.order.len() > 2 * self.by_key.len() + SLACK {
            self.order.retain(|(_, publication)| publication.is_some());
        }
    }

    /// What comes next behind `cursor`, about `bytes` of it and one publication
    /// at least; `head` is the newest publication's version.
    pub(crate) fn next(&self, cursor: Version, head: Version, bytes: usize) -> Portion {
        let first = self
            .order
            .partition_point(|(version, _)| *version <= cursor);
        let (mut batch, mut end, mut given) = (Batch::default(), cursor, 0);
        for (version, publication) in &self.order[first..] {
            let Some(publication) = publication else {
                continue;
            };
            if !batch.has_room(publication, bytes) {
                let withheld = end - cursor - given;
                return Portion {
                    batch,
                    end,
                    withheld,
                };
            }
            batch.push(publication.clone(), 0);
            end = *version;
            given += 1;
        }
        Portion {
            batch,
            end: head,
            withheld: head - cursor - given,
        }
    }

    /// Bytes of what comes behind `cursor`.
    pub(crate) fn bytes_behind(&self, cursor: Version) -> u64 {
        let first = self
            .order
            .partition_point(|(version, _)| *version <= cursor);
        let kept = self.order[first..].iter();
        let kept = kept.filter_map(|(_, publication)| publication.as_ref());
        kept.map(|publication| publication.encoded_len() as u64)
            .sum()
    }

    fn take(&mut self, version: Version) -> Option<Arc<EncodedPublication>> {
        let index = self.order.partition_point(|(each, _)| *each < version);
        let (found, publication) = self.order.get_mut(index)?;
        let publication = publication.take_if(|_| *found == version)?;
        self.bytes -= publication.encoded_len();
        Some(publication)
    }

    /// `false`: there is but one, the newest.
    fn evict_oldest(&mut self) -> bool {
        if self.by_key.len() < 2 {
            return false;
        }
        let oldest = self.order.iter().find(|(_, each)| each.is_some());
        let Some(&(version, _)) = oldest else {
            return false;
        };
        if let Some(publication) = self.take(version) {
            self.by_key.remove(publication.key());
            self.evicted += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use wire::client::Publication;

    use super::*;

    const LIMITS: BacklogLimits = BacklogLimits {
        keys: 3,
        keys_bytes: 10_000,
        ..BacklogLimits::DEFAULT
    };

    fn of_key(key: &str) -> Arc<EncodedPublication> {
        Arc::new(EncodedPublication::new(&Publication {
            alias: 1,
            key: key.to_owned(),
            ..Publication::default()
        }))
    }

    fn holding(keys: &str) -> (Newest, Version) {
        let mut newest = Newest::new();
        let mut head = 0;
        for key in keys.chars() {
            head += 1;
            newest.put(head, &of_key(&key.to_string()), &LIMITS);
        }
        (newest, head)
    }

    fn next(newest: &Newest, cursor: Version, head: Version, bytes: usize) -> (usize, u64, u64) {
        let portion = newest.next(cursor, head, bytes);
        (
            portion.batch.publications().count(),
            portion.end,
            portion.withheld,
        )
    }

    #[test]
    fn of_each_key_the_newest_comes_and_the_others_are_counted() {
        let (newest, head) = holding("abaca");
        assert_eq!(next(&newest, 0, head, 1000), (3, 5, 2));
        assert_eq!(next(&newest, 1, head, 1000), (3, 5, 1));
        assert_eq!(next(&newest, 4, head, 1000), (1, 5, 0));
        assert_eq!(next(&newest, 5, head, 1000), (0, 5, 0));
    }

    #[test]
    fn what_does_not_fit_comes_with_the_next_portion() {
        let (newest, head) = holding("abac");
        assert_eq!(next(&newest, 0, head, 1), (1, 2, 1));
        assert_eq!(next(&newest, 2, head, 1), (1, 3, 0));
        assert_eq!(next(&newest, 3, head, 1), (1, 4, 0));
    }

    #[test]
    fn with_too_many_keys_the_oldest_goes_and_is_counted() {
        let (newest, head) = holding("abcad");
        assert_eq!(newest.evicted(), 1);
        assert_eq!(next(&newest, 0, head, 1000), (3, 5, 2));
    }

    #[test]
    fn it_holds_no_more_than_the_keys_however_much_flows() {
        let (mut newest, mut head) = holding("ab");
        for _ in 0..10_000 {
            head += 1;
            newest.put(head, &of_key("a"), &LIMITS);
        }
        assert!(newest.order.len() <= 2 * 2 + SLACK);
        assert_eq!(next(&newest, 0, head, 1000), (2, head, head - 2));
        newest.clear();
        assert_eq!((newest.bytes, newest.order.len()), (0, 0));
    }
}
