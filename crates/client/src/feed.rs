//! One channel as its subscriber sees it, through one connection or, while the
//! client moves to another gateway, through two.
//!
//! The rule it keeps: what either connection brings is delivered once, in the
//! order of the old connection until the new one joins on to it. What the new one
//! brings too early is held back. Channels with a log join where the offsets meet,
//! channels without one where both have brought the same publication; the
//! [`Ledger`] says which are the same.
//!
//! A subscription that is not being moved keeps nothing for this but a pointer. The
//! record begins with `Migrate`; the new connection subscribes a moment later, so
//! that what its gateway may still bring from before is on record too.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use wire::client::{self as proto, Position};

use crate::{
    chain::{Chain, Fit},
    ledger::{Ledger, Pair, Print, View},
    subscription::{Gap, GapCause, Publication, SubscriptionEvent, Verdict},
};

/// What the new connection may bring before the old one joins on to it. Beyond,
/// it is delivered, and what the old one lags behind by is reported (with a log)
/// or comes late (without).
const HELD: usize = 4_096;
const HELD_BYTES: usize = 8 << 20;

/// For so long after a channel without a log began anew, what is older than what
/// was seen of it is let go: a gateway that stood still or was cut off brings such
/// when it goes on. It was told that something may be missing. Not for longer, as
/// clocks of publishers differ.
const STALE_WITHIN: Duration = Duration::from_secs(30);

/// While a client moves on a channel without a log, what was published by so much
/// earlier than what it has got is late: on the new gateway's way a server stood
/// still. In microseconds; clocks of publishers differ by less.
const TOGETHER_US: i64 = 100_000;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    chain: Chain,
    /// The latest time of publishing seen on a channel without a log, Unix time in
    /// microseconds.
    newest: i64,
    /// Since when it is another gateway's, and what had been seen by then.
    anew: Option<(Instant, i64)>,
    overlap: Option<Box<Overlap>>,
}

/// The channel on two connections.
#[derive(Debug, Default)]
struct Overlap {
    /// The connection that is being left.
    old: u32,
    /// It is gone: nothing is worth waiting for.
    is_old_gone: bool,
    /// The new connection is subscribed.
    is_joined: bool,
    /// Where the new connection's publications begin; zero: wherever the old one
    /// stood.
    begins_after: u64,
    /// Up to here the new connection brings a snapshot, of what is known.
    snapshot_to: u64,
    /// The latest time of publishing that had been seen when this began: what is
    /// older is on no record. As [`Feed::newest`].
    seen: i64,
    /// The same of what the old connection has brought.
    newest: i64,
    /// Without a log: both have brought the same publication.
    has_met: bool,
    /// And it was the same beyond doubt.
    is_sure: bool,
    /// From the new connection, in order.
    held: VecDeque<Held>,
    held_bytes: usize,
    ledger: Ledger,
}

#[derive(Debug)]
enum Held {
    Publication(proto::Publication, Print),
    Gap(proto::Gap),
}

// === impl Feed ===

impl Feed {
    /// The position to ask for.
    pub(crate) fn position(&self) -> Option<Position> {
        self.chain.position()
    }

    /// The gateway of `line` agreed. Whether the subscriber must hear of it, as
    /// the feed began anew there.
    pub(crate) fn subscribed(
        &mut self,
        line: u32,
        verdict: proto::Verdict,
        position: Option<Position>,
    ) -> bool {
        let epoch = position.as_ref().map_or("", |position| &position.epoch);
        let is_same_log = self.chain.epoch() == epoch;
        match &mut self.overlap {
            Some(overlap) if overlap.old != line && !overlap.is_old_gone && is_same_log => {
                overlap.join(verdict, position.unwrap_or_default().offset);
                false
            }
            _ => {
                self.overlap = None;
                self.chain.subscribed(verdict, position);
                self.anew = (self.newest != 0).then(|| (Instant::now(), self.newest));
                true
            }
        }
    }

    /// Whether the gateway says that every publication comes.
    pub(crate) fn expect_gapless(&mut self, is_gapless: bool) {
        self.chain.expect_gapless(is_gapless);
    }

    /// The client asks for less than all, or for all again.
    pub(crate) fn expect_less(&mut self, less: bool) {
        self.chain.expect_less(less);
    }

    /// The client will leave the connection `old`.
    pub(crate) fn begin_overlap(&mut self, old: u32) {
        let overlap = Overlap {
            old,
            seen: self.newest,
            newest: self.newest,
            ..Overlap::default()
        };
        self.overlap = Some(Box::new(overlap));
    }

    /// Whether the feed is on record for a move.
    pub(crate) fn overlaps(&self) -> bool {
        self.overlap.is_some()
    }

    /// Whether the old connection has brought everything from before the new
    /// one's time, as far as offsets tell.
    pub(crate) fn has_met(&self) -> bool {
        self.overlap
            .as_ref()
            .is_none_or(|overlap| overlap.is_joined && overlap.begins_after <= self.chain.held())
    }

    pub(crate) fn publication(
        &mut self,
        line: u32,
        publication: proto::Publication,
        out: &mut impl FnMut(SubscriptionEvent),
    ) {
        if publication.offset == 0 && self.is_stale(publication.published_at_us) {
            return;
        }
        let chain = &mut self.chain;
        match &mut self.overlap {
            None => pass(chain, publication, out),
            Some(overlap) => {
                let print = overlap.ledger.print(&publication, chain.has_log());
                match overlap.old == line {
                    true => {
                        overlap.look_for(print);
                        overlap.newest = overlap.newest.max(publication.published_at_us);
                        overlap.deliver(chain, View::Old, publication, print, out);
                    }
                    // The old connection has brought it, or told of it.
                    false if overlap.is_from_before(&publication) => {}
                    false => overlap.hold(publication, print),
                }
                overlap.release(chain, out);
            }
        }
    }

    /// Whether a publication without an offset is older than what was seen before
    /// the channel began anew.
    fn is_stale(&mut self, at: i64) -> bool {
        self.newest = self.newest.max(at);
        let Some((since, seen)) = self.anew else {
            return false;
        };
        if since.elapsed() > STALE_WITHIN {
            self.anew = None;
            return false;
        }
        at <= seen
    }

    pub(crate) fn gap(
        &mut self,
        line: u32,
        gap: proto::Gap,
        out: &mut impl FnMut(SubscriptionEvent),
    ) {
        let chain = &mut self.chain;
        match &mut self.overlap {
            None => report(chain, gap, out),
            Some(overlap) => {
                match overlap.old == line {
                    true => report_news(chain, gap, out),
                    false => overlap.held.push_back(Held::Gap(gap)),
                }
                overlap.release(chain, out);
            }
        }
    }

    /// The old connection is gone; `is_complete` if it had brought all that was on
    /// its way. What may be missing is told.
    pub(crate) fn old_ended(&mut self, is_complete: bool, out: &mut impl FnMut(SubscriptionEvent)) {
        let Some(overlap) = self.overlap.as_mut().filter(|overlap| overlap.is_joined) else {
            // The subscriber learns when it is subscribed again.
            self.overlap = None;
            return;
        };
        let chain = &mut self.chain;
        if !chain.has_log() && !overlap.is_sure && !is_complete {
            let verdict = Verdict::Fresh;
            out(SubscriptionEvent::Resubscribed { verdict });
            self.anew = (overlap.newest != 0).then(|| (Instant::now(), overlap.newest));
        }
        overlap.is_old_gone = true;
        overlap.release(chain, out);
        if let Some((from, to)) = chain.skip_to(overlap.begins_after) {
            let gap = Gap::withheld(from, to, GapCause::BrokenChain);
            out(SubscriptionEvent::Gap(gap));
        }
    }

    /// The new connection is gone, and the old one goes on.
    pub(crate) fn new_ended(&mut self) {
        if let Some(overlap) = &mut self.overlap {
            overlap.is_joined = false;
            overlap.has_met = false;
            overlap.is_sure = false;
            overlap.held.clear();
            overlap.held_bytes = 0;
        }
    }

    /// Ends the record of a move that is over. The new gateway may have stood still
    /// meanwhile, and bring only now what the old one brought.
    pub(crate) fn end_overlap(&mut self) {
        if let Some(overlap) = self.overlap.take()
            && overlap.newest != 0
        {
            self.anew = Some((Instant::now(), overlap.newest));
        }
    }
}

// === impl Overlap ===

impl Overlap {
    fn join(&mut self, verdict: proto::Verdict, offset: u64) {
        self.is_joined = true;
        self.begins_after = match verdict {
            proto::Verdict::Recovered => 0,
            _ => offset,
        };
        self.snapshot_to = self.begins_after;
    }

    /// Whether the old connection brings what the new one has brought.
    fn look_for(&mut self, print: Print) {
        let mut held = self.held.iter();
        self.has_met |= held.any(|held| match held {
            Held::Publication(_, held) => held.pair(print).is_some(),
            Held::Gap(_) => false,
        });
    }

    /// Whether the new connection's gateway brings what was published before the
    /// record began.
    fn is_from_before(&self, publication: &proto::Publication) -> bool {
        let at = publication.published_at_us;
        publication.offset == 0 && at != 0 && at <= self.seen && !self.is_old_gone
    }

    /// Whether it comes behind what was published long after it.
    fn is_late(&self, publication: &proto::Publication) -> bool {
        let at = publication.published_at_us;
        publication.offset == 0 && at != 0 && at.saturating_add(TOGETHER_US) < self.newest
    }

    fn hold(&mut self, publication: proto::Publication, print: Print) {
        self.has_met = self.has_met || self.ledger.has_other(View::New, print);
        self.held_bytes += publication.payload.len();
        self.held.push_back(Held::Publication(publication, print));
    }

    /// Delivers what need not be held any longer.
    fn release(&mut self, chain: &mut Chain, out: &mut impl FnMut(SubscriptionEvent)) {
        while self
            .held
            .front()
            .is_some_and(|held| self.may_go(chain, held))
        {
            match self.held.pop_front() {
                Some(Held::Publication(publication, print)) => {
                    self.held_bytes -= publication.payload.len();
                    self.deliver(chain, View::New, publication, print, out);
                }
                Some(Held::Gap(gap)) => report_news(chain, gap, out),
                None => {}
            }
        }
    }

    fn may_go(&self, chain: &Chain, held: &Held) -> bool {
        if self.is_old_gone || self.held.len() > HELD || self.held_bytes > HELD_BYTES {
            return true;
        }
        match held {
            _ if !chain.has_log() => self.has_met,
            Held::Publication(publication, _) => publication.previous <= chain.held(),
            Held::Gap(gap) => gap.from <= chain.held() + 1,
        }
    }

    fn deliver(
        &mut self,
        chain: &mut Chain,
        view: View,
        publication: proto::Publication,
        print: Print,
        out: &mut impl FnMut(SubscriptionEvent),
    ) {
        let has_log = chain.has_log();
        if view == View::New && has_log && publication.offset <= self.snapshot_to {
            return;
        }
        // Without a key the chain itself knows what was delivered.
        let needs_ledger = !has_log || !publication.key.is_empty();
        if needs_ledger && let Some(pair) = self.ledger.take(view, print) {
            self.is_sure |= pair == Pair::Exact;
            return;
        }
        if view == View::New && self.is_late(&publication) {
            return out(SubscriptionEvent::Gap(Gap::late()));
        }
        pass(chain, publication, out);
    }
}

/// Delivers the next publication, with a report of what should have come before.
fn pass(
    chain: &mut Chain,
    publication: proto::Publication,
    out: &mut impl FnMut(SubscriptionEvent),
) {
    let keyed = !publication.key.is_empty();
    let fit = chain.next(publication.offset, publication.previous, keyed);
    match fit {
        Fit::Duplicate => return,
        Fit::Broken(from, to) => {
            let gap = Gap::withheld(from, to, GapCause::BrokenChain);
            out(SubscriptionEvent::Gap(gap));
        }
        Fit::InOrder | Fit::Snapshot => {}
    }
    out(SubscriptionEvent::Publication(Publication {
        is_snapshot: fit == Fit::Snapshot,
        ..publication.into()
    }));
}

fn report(chain: &mut Chain, gap: proto::Gap, out: &mut impl FnMut(SubscriptionEvent)) {
    chain.reported(gap.to);
    out(SubscriptionEvent::Gap(gap.into()));
}

/// The same, unless the other connection brought what is missing here.
fn report_news(chain: &mut Chain, gap: proto::Gap, out: &mut impl FnMut(SubscriptionEvent)) {
    if gap.to == 0 || gap.to > chain.held() {
        report(chain, gap, out);
    }
}

#[cfg(test)]
mod tests;
