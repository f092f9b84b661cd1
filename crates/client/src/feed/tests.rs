//! Two interleaved views of one sequence of publications, and what comes out.

use proptest::prelude::*;
use wire::client::{GapCause as WireCause, Verdict as WireVerdict};

use super::*;

/// Their numbers, which grow.
const OLD: u32 = 1;
const NEW: u32 = 2;

/// Between two publications, in microseconds: the stamps of equal ones are too far
/// apart to be of one.
const SPACING: i64 = 300_000;

/// What kind of channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// With a log.
    Logged,
    /// With a log and a key on each publication.
    Keyed,
    /// Without a log, stamped by the publisher; all payloads are equal.
    Stamped,
    /// Without a log, stamped by each gateway as it pleases.
    Unstamped,
}

/// A move: publications 1 to `recorded` came before it, the old connection brings
/// all up to `old_to`, and the new one all after `new_from`.
#[derive(Clone, Debug)]
struct Move {
    kind: Kind,
    verdict: WireVerdict,
    recorded: u64,
    new_from: u64,
    old_to: u64,
    count: u64,
    /// Which connection brings something next.
    turns: Vec<bool>,
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Publication(u64),
    Missing(u64, u64),
    Resubscribed,
}

// === impl Kind ===

impl Kind {
    fn has_log(self) -> bool {
        matches!(self, Self::Logged | Self::Keyed)
    }

    /// Publication `nth`, at offset three times that.
    fn publication(self, line: u32, nth: u64) -> proto::Publication {
        let stamp = nth.cast_signed() * SPACING;
        let payload = match self {
            Self::Stamped => String::new(),
            _ => nth.to_string(),
        };
        let mut publication = proto::Publication {
            payload: payload.into(),
            published_at_us: stamp,
            ..proto::Publication::default()
        };
        match self {
            Self::Logged | Self::Keyed => {
                publication.offset = nth * 3;
                publication.previous = (nth - 1) * 3;
            }
            Self::Stamped => {}
            Self::Unstamped => publication.published_at_us += i64::from(line) * 700,
        }
        if self == Self::Keyed {
            publication.key = (nth % 3).to_string();
        }
        publication
    }

    fn position(self, nth: u64) -> Option<Position> {
        self.has_log().then(|| Position {
            epoch: "e".into(),
            offset: nth * 3,
        })
    }
}

// === impl Move ===

impl Move {
    /// Plays it and returns what the subscriber sees.
    fn play(&self, is_complete: bool) -> Vec<Seen> {
        let kind = self.kind;
        let mut seen = Vec::new();
        let mut out = |event| {
            seen.push(match event {
                SubscriptionEvent::Publication(publication) => {
                    Seen::Publication(nth(kind, &publication))
                }
                SubscriptionEvent::Gap(gap) => Seen::Missing(gap.from, gap.to),
                SubscriptionEvent::Resubscribed { .. } => Seen::Resubscribed,
                SubscriptionEvent::Ended(error) => panic!("{error}"),
            });
        };
        let mut feed = Feed::default();
        assert!(feed.subscribed(OLD, WireVerdict::Fresh, kind.position(0)));
        for nth in 1..=self.recorded {
            feed.publication(OLD, kind.publication(OLD, nth), &mut out);
        }
        feed.begin_overlap(OLD);
        let (mut old, mut new) = (self.recorded, self.new_from);
        let mut turns = self.turns.iter().copied();
        let (mut is_joined, mut is_left) = (false, false);
        while old < self.old_to || new < self.count {
            let is_old = turns.next().unwrap_or(old < self.old_to);
            if is_old && old < self.old_to {
                old += 1;
                feed.publication(OLD, kind.publication(OLD, old), &mut out);
            } else if !is_joined {
                is_joined = true;
                if self.verdict == WireVerdict::Recovered {
                    // It begins with what is held.
                    new = old;
                }
                let position = kind.position(new);
                assert!(!feed.subscribed(NEW, self.verdict, position));
            } else if new < self.count {
                new += 1;
                feed.publication(NEW, kind.publication(NEW, new), &mut out);
            }
            if is_joined && old == self.old_to && !is_left {
                is_left = true;
                feed.old_ended(is_complete, &mut out);
            }
        }
        seen
    }
}

/// Which publication it is.
fn nth(kind: Kind, publication: &crate::subscription::Publication) -> u64 {
    match kind {
        Kind::Logged | Kind::Keyed => publication.offset / 3,
        Kind::Stamped => publication.published_at_us.cast_unsigned() / SPACING.cast_unsigned(),
        Kind::Unstamped => {
            let text = std::str::from_utf8(&publication.payload).expect("text");
            text.parse().expect("a number")
        }
    }
}

fn publications(numbers: impl IntoIterator<Item = u64>) -> Vec<Seen> {
    numbers.into_iter().map(Seen::Publication).collect()
}

prop_compose! {
    /// One in which the connections overlap by as much as `overlap` allows.
    fn moves(overlap: bool)(
        kind in prop_oneof![
            Just(Kind::Logged), Just(Kind::Keyed), Just(Kind::Stamped), Just(Kind::Unstamped),
        ],
        verdict in prop_oneof![
            Just(WireVerdict::Fresh), Just(WireVerdict::Lost), Just(WireVerdict::Resnapshot),
        ],
        recorded in 0_u64..10,
        first in 0_u64..20,
        second in 0_u64..20,
        more in 1_u64..20,
        turns in prop::collection::vec(any::<bool>(), 0..80),
    ) -> Move {
        let (early, late) = (first.min(second), first.max(second) + u64::from(!overlap));
        let (new_from, old_to) = match overlap {
            true => (early, late),
            false => (late, early),
        };
        let (new_from, old_to) = (recorded + new_from, recorded + old_to);
        let count = new_from.max(old_to) + more;
        Move { kind, verdict, recorded, new_from, old_to, count, turns }
    }
}

proptest! {
    #[test]
    fn two_overlapping_views_give_each_publication_once_and_in_order(
        this in moves(true),
        is_complete in any::<bool>(),
    ) {
        let mut seen = this.play(is_complete);
        if !is_complete {
            // It may be said needlessly, where nobody could know.
            seen.retain(|seen| *seen != Seen::Resubscribed);
        }
        prop_assert_eq!(seen, publications(1..=this.count));
    }

    #[test]
    fn a_recovery_on_the_new_connection_brings_each_publication_once_and_in_order(
        mut this in moves(true),
    ) {
        prop_assume!(this.kind.has_log());
        this.verdict = WireVerdict::Recovered;
        let seen = this.play(false);
        prop_assert_eq!(seen, publications(1..=this.count));
    }

    #[test]
    fn what_lies_between_two_views_is_told(this in moves(false)) {
        let seen = this.play(false);
        let mut expected = publications(1..=this.old_to);
        expected.push(match this.kind.has_log() {
            true => Seen::Missing(this.old_to * 3 + 1, this.new_from * 3),
            false => Seen::Resubscribed,
        });
        expected.extend(publications(this.new_from + 1..=this.count));
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn a_recovery_needs_no_old_connection(mut this in moves(false)) {
        prop_assume!(this.kind == Kind::Logged);
        this.verdict = WireVerdict::Recovered;
        this.new_from = this.recorded;
        let seen = this.play(false);
        prop_assert_eq!(seen, publications(1..=this.count));
    }
}

/// A feed at offset 15 on its way from one connection to the other.
fn overlapping(out: &mut impl FnMut(SubscriptionEvent)) -> Feed {
    let mut feed = Feed::default();
    feed.subscribed(OLD, WireVerdict::Fresh, Kind::Logged.position(4));
    feed.begin_overlap(OLD);
    feed.publication(OLD, Kind::Logged.publication(OLD, 5), out);
    feed
}

fn gap(from: u64, to: u64) -> proto::Gap {
    proto::Gap {
        dropped: 1,
        from,
        to,
        cause: WireCause::SlowConnection.into(),
        ..proto::Gap::default()
    }
}

#[test]
fn what_one_connection_brought_is_not_missing_because_the_other_lacks_it() {
    let mut events = Vec::new();
    let mut out = |event| events.push(event);
    let mut feed = overlapping(&mut out);
    feed.subscribed(NEW, WireVerdict::Lost, Kind::Logged.position(4));
    feed.gap(NEW, gap(13, 15), &mut out);
    feed.publication(NEW, Kind::Logged.publication(NEW, 6), &mut out);
    feed.gap(OLD, gap(16, 18), &mut out);
    assert!(feed.has_met());
    assert_eq!(events.len(), 2, "{events:?}");
}

#[test]
fn a_log_that_was_made_anew_begins_anew() {
    let mut feed = overlapping(&mut drop);
    let other = Position {
        epoch: "other".into(),
        offset: 1,
    };
    assert!(feed.subscribed(NEW, WireVerdict::Lost, Some(other)));
    let mut events = Vec::new();
    feed.publication(
        NEW,
        proto::Publication {
            offset: 2,
            previous: 1,
            ..proto::Publication::default()
        },
        &mut |event| events.push(event),
    );
    assert!(matches!(&*events, [SubscriptionEvent::Publication(one)] if one.offset == 2));
}

#[test]
fn what_is_held_is_bounded() {
    let mut count = 0;
    let mut out = |_| count += 1;
    let mut feed = overlapping(&mut out);
    feed.subscribed(NEW, WireVerdict::Lost, Kind::Logged.position(10));
    let held = u64::try_from(HELD).expect("small");
    for nth in 11..11 + held + 5 {
        feed.publication(NEW, Kind::Logged.publication(NEW, nth), &mut out);
    }
    // Publication 5, the gap behind it, and all the rest: the chain holds again.
    assert_eq!(count, held + 7);
}

#[test]
fn the_old_connection_goes_on_when_the_new_one_is_lost() {
    let mut events = Vec::new();
    let mut out = |event| events.push(event);
    let mut feed = overlapping(&mut out);
    feed.subscribed(NEW, WireVerdict::Lost, Kind::Logged.position(8));
    feed.publication(NEW, Kind::Logged.publication(NEW, 9), &mut out);
    assert!(!feed.has_met());
    feed.new_ended();
    for nth in 6..=9 {
        feed.publication(OLD, Kind::Logged.publication(OLD, nth), &mut out);
    }
    assert_eq!(events.len(), 5, "{events:?}");
}

#[test]
fn a_gateway_that_stood_still_brings_nothing_from_before() {
    let mut feed = Feed::default();
    let mut brought = Vec::new();
    let mut bring = |feed: &mut Feed, line, numbers: &[u64]| {
        for nth in numbers {
            feed.publication(line, Kind::Stamped.publication(line, *nth), &mut |event| {
                brought.push(event);
            });
        }
    };
    feed.subscribed(OLD, WireVerdict::Fresh, None);
    bring(&mut feed, OLD, &[1, 2, 5]);
    feed.subscribed(NEW, WireVerdict::Fresh, None);
    bring(&mut feed, NEW, &[3, 4, 5, 6, 7]);
    let brought: Vec<_> = brought
        .iter()
        .map(|event| match event {
            SubscriptionEvent::Publication(one) => nth(Kind::Stamped, one),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(brought, [1, 2, 5, 6, 7]);
}

/// A move on a channel without a log whose publications are a second apart; gives
/// what came, and nothing for a gap.
fn moved(before: &[i64], old: &[i64], new: &[i64], after: &[i64]) -> Vec<Option<i64>> {
    let mut feed = Feed::default();
    let mut events = Vec::new();
    let mut bring = |feed: &mut Feed, line, seconds: &[i64]| {
        for at in seconds {
            let publication = proto::Publication {
                payload: at.to_string().into(),
                published_at_us: 1_000_000 * at,
                ..proto::Publication::default()
            };
            feed.publication(line, publication, &mut |event| events.push(event));
        }
    };
    feed.subscribed(OLD, WireVerdict::Fresh, None);
    bring(&mut feed, OLD, before);
    feed.begin_overlap(OLD);
    feed.subscribed(NEW, WireVerdict::Fresh, None);
    bring(&mut feed, OLD, old);
    bring(&mut feed, NEW, new);
    feed.old_ended(true, &mut |event| panic!("{event:?}"));
    feed.end_overlap();
    bring(&mut feed, NEW, after);
    let seen = |event: &SubscriptionEvent| match event {
        SubscriptionEvent::Publication(one) => Some(one.published_at_us / 1_000_000),
        SubscriptionEvent::Gap(gap) if gap.dropped == 1 => None,
        other => panic!("{other:?}"),
    };
    events.iter().map(seen).collect()
}

#[test]
fn what_the_next_gateway_brings_from_before_the_move_was_seen() {
    let seen = moved(&[1, 2, 3], &[4, 5], &[2, 3, 4, 5, 6], &[7]);
    let expected = [1, 2, 3, 4, 5, 6, 7].map(Some);
    assert_eq!(seen, expected);
}

#[test]
fn what_the_next_gateway_brings_too_late_is_told_as_missing() {
    let seen = moved(&[1], &[2, 5, 6], &[2, 3, 4, 5, 6, 7], &[]);
    let expected = [Some(1), Some(2), Some(5), Some(6), None, None, Some(7)];
    assert_eq!(seen, expected);
}

#[test]
fn what_the_next_gateway_brings_after_the_move_was_seen() {
    let seen = moved(&[1], &[2, 3, 4, 5], &[2, 3], &[4, 5, 6]);
    let expected = [1, 2, 3, 4, 5, 6].map(Some);
    assert_eq!(seen, expected);
}
