//! What two connections brought of one channel while both carry it, compared as
//! multisets: a publication is delivered as often as the connection that brought
//! it more often did.
//!
//! Publications are the same if key, payload and time of publishing are: the
//! publisher stamps them in microseconds. Publishers that don't leave that to the
//! gateways, whose clocks and hands differ; so two publications that are alike but
//! for the time count as the same too if they came within [`ALIKE_WITHIN`], if
//! there is no other that could be meant, and if the channel has not shown that
//! its stamps are the publisher's.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
};

use wire::client::Publication;

/// Publications of one view that the other has not brought; the oldest make room.
const MOST: usize = 1_024;

/// How far apart two gateways may stamp one publication, in microseconds. Half of
/// what is on record before the second one subscribes: of what repeats itself more
/// often than this, two are on record then, and neither could be meant.
const ALIKE_WITHIN: u64 = 250_000;

/// Through which of two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// The one that is being left.
    Old,
    /// The one that takes over.
    New,
}

/// What tells publications apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Print {
    /// Of key and payload.
    content: u64,
    /// When it was published; for channels with a log, its offset.
    at: i64,
    is_offset: bool,
}

/// How sure it is that two publications are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    Exact,
    Alike,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    seen: VecDeque<Seen>,
    /// The publisher stamps: nothing but exact pairs.
    is_stamped: bool,
    hasher: RandomState,
}

#[derive(Debug)]
struct Seen {
    view: View,
    print: Print,
    /// It was taken for an earlier one that it is like, and not delivered.
    is_spent: bool,
}

// === impl Print ===

impl Print {
    /// Whether two prints may stand for one publication.
    pub(crate) fn pair(self, other: Self) -> Option<Pair> {
        if self == other {
            return Some(Pair::Exact);
        }
        let is_alike = !self.is_offset
            && self.content == other.content
            && self.at.abs_diff(other.at) <= ALIKE_WITHIN;
        is_alike.then_some(Pair::Alike)
    }
}

// === impl Ledger ===

impl Ledger {
    pub(crate) fn print(&self, publication: &Publication, has_log: bool) -> Print {
        let content = (&publication.key, &publication.payload);
        Print {
            content: self.hasher.hash_one(content),
            at: match has_log {
                true => publication.offset.cast_signed(),
                false => publication.published_at_us,
            },
            is_offset: has_log,
        }
    }

    /// Whether the other view has brought this one.
    pub(crate) fn has_other(&self, view: View, print: Print) -> bool {
        self.find(view, print).is_some()
    }

    /// Takes note of a publication; with a pair if the other view has brought it,
    /// which is thereby settled.
    pub(crate) fn take(&mut self, view: View, print: Print) -> Option<Pair> {
        let (index, pair) = match self.find(view, print) {
            Some(found) => found,
            None => {
                self.note(view, print);
                return None;
            }
        };
        if pair == Pair::Alike {
            // Kept in case the real counterpart of this one is still to come.
            self.seen.remove(index);
            self.push(Seen {
                view,
                print,
                is_spent: true,
            });
            return Some(Pair::Alike);
        }
        let found = self.seen.remove(index).expect("just found");
        self.is_stamped = true;
        // One that was withheld by mistake leaves this one to be delivered.
        (!found.is_spent).then_some(Pair::Exact)
    }

    fn note(&mut self, view: View, print: Print) {
        self.push(Seen {
            view,
            print,
            is_spent: false,
        });
    }

    fn push(&mut self, seen: Seen) {
        if self.seen.len() == MOST {
            self.seen.pop_front();
        }
        self.seen.push_back(seen);
    }

    fn find(&self, view: View, print: Print) -> Option<(usize, Pair)> {
        let others = || {
            let all = self.seen.iter().enumerate();
            all.filter(|(_, seen)| seen.view != view)
        };
        if let Some((index, _)) = others().find(|(_, seen)| seen.print == print) {
            return Some((index, Pair::Exact));
        }
        if self.is_stamped {
            return None;
        }
        let mut alike = others()
            .filter(|(_, seen)| !seen.is_spent && seen.print.pair(print) == Some(Pair::Alike));
        match (alike.next(), alike.next()) {
            (Some((index, _)), None) => Some((index, Pair::Alike)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(ledger: &Ledger, payload: &str, at: i64) -> Print {
        let publication = Publication {
            payload: payload.to_owned().into(),
            published_at_us: at,
            ..Publication::default()
        };
        ledger.print(&publication, false)
    }

    #[test]
    fn equal_publications_count_as_often_as_they_came() {
        let mut ledger = Ledger::default();
        let same = print(&ledger, "p", 1);
        assert_eq!(ledger.take(View::Old, same), None);
        assert_eq!(ledger.take(View::Old, same), None);
        assert_eq!(ledger.take(View::New, same), Some(Pair::Exact));
        assert_eq!(ledger.take(View::New, same), Some(Pair::Exact));
        assert_eq!(ledger.take(View::New, same), None);
    }

    #[test]
    fn stamps_of_two_gateways_for_one_publication_pair() {
        let mut ledger = Ledger::default();
        let (here, there) = (print(&ledger, "p", 1_000), print(&ledger, "p", 1_700));
        assert_eq!(ledger.take(View::Old, here), None);
        assert_eq!(ledger.take(View::New, there), Some(Pair::Alike));
        let far = print(&ledger, "p", 5_000_000);
        assert_eq!(ledger.take(View::New, far), None);
    }

    #[test]
    fn what_was_taken_for_an_earlier_one_is_made_good() {
        let mut ledger = Ledger::default();
        let ticks = [0, 1, 2].map(|tick| print(&ledger, "tick", tick * 200_000));
        assert_eq!(ledger.take(View::Old, ticks[0]), None);
        // Withheld as the first one's pair, and delivered when its own comes.
        assert_eq!(ledger.take(View::New, ticks[1]), Some(Pair::Alike));
        assert_eq!(ledger.take(View::Old, ticks[1]), None);
        // From here on only exact pairs count.
        assert_eq!(ledger.take(View::New, ticks[2]), None);
        assert_eq!(ledger.take(View::Old, ticks[2]), Some(Pair::Exact));
    }

    #[test]
    fn memory_is_bounded() {
        let mut ledger = Ledger::default();
        for at in 0..5_000 {
            let print = print(&ledger, &at.to_string(), at);
            assert_eq!(ledger.take(View::Old, print), None);
        }
        assert_eq!(ledger.seen.len(), MOST);
    }
}
