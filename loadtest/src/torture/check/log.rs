//! Channels with a log: every subscriber gets the log, from where it subscribed,
//! each publication once and in order; only what the log no longer held may be
//! missing, and then that is told in its place.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    time::Duration,
};

use client::{Gap, GapCause, Verdict};

use super::{Findings, Rule};
use crate::torture::record::{PublicationId, Records, Subscribed, What};

/// What is known of the log of one channel.
struct Truth<'a> {
    records: &'a Records,
    channel: usize,
    /// Publications that the log keeps.
    limit: usize,
    entries: BTreeMap<u64, PublicationId>,
    /// When publications were begun, sorted: how far the log had come.
    begun: Vec<Duration>,
}

/// A subscription on its walk along the log.
struct Walk<'a> {
    truth: &'a Truth<'a>,
    subscribed: &'a Subscribed,
    /// The offset delivered last.
    last: Option<u64>,
    /// What was told since.
    told: Vec<Told>,
    /// A snapshot may repeat what was delivered.
    may_repeat: bool,
}

/// A loss that was told.
#[derive(Clone, Copy, Debug)]
struct Told {
    at: Duration,
    /// First and last offset; zero: not known.
    from: u64,
    to: u64,
    /// The reader of this program was too slow itself.
    is_own: bool,
}

/// Checks one channel.
pub(super) fn check(records: &Records, channel: usize, limit: usize, findings: &mut Findings) {
    let truth = Truth::new(records, channel, limit, findings);
    for subscribed in &records.subscriptions {
        if subscribed.channel == channel {
            Walk::new(&truth, subscribed).run(findings);
        }
    }
}

// === impl Truth ===

impl<'a> Truth<'a> {
    fn new(records: &'a Records, channel: usize, limit: usize, findings: &mut Findings) -> Self {
        let mut truth = Self {
            records,
            channel,
            limit,
            entries: records.logs.get(channel).cloned().unwrap_or_default(),
            begun: Vec::new(),
        };
        truth.begun = truth.publications().map(|(_, begun, _)| begun).collect();
        truth.begun.sort_unstable();
        truth.learn_from_publishers(findings);
        truth.learn_from_subscribers(findings);
        truth.check_once(findings);
        truth
    }

    /// Id, begin and acknowledgement of all publications to the channel.
    fn publications(
        &self,
    ) -> impl Iterator<Item = (PublicationId, Duration, Option<(Duration, u64)>)> + use<'a> {
        let channel = self.channel;
        let publishers = self.records.publishers.iter().enumerate();
        let own = publishers.filter(move |(_, published)| published.channel == channel);
        own.flat_map(|(publisher, published)| {
            let attempts = published.attempts.iter().enumerate();
            attempts.map(move |(sequence, attempt)| {
                let id = PublicationId {
                    publisher: publisher as u32,
                    sequence: sequence as u32,
                };
                (id, attempt.started, attempt.acknowledged)
            })
        })
    }

    /// What was acknowledged is in the log, unless that let go of it.
    fn learn_from_publishers(&mut self, findings: &mut Findings) {
        let oldest = self.entries.keys().next().copied();
        let is_trimmed = self.entries.len() >= self.limit;
        for (id, _, acknowledged) in self.publications() {
            let Some((_, offset)) = acknowledged else {
                continue;
            };
            let name = self.name();
            let left = is_trimmed && oldest.is_some_and(|oldest| offset < oldest);
            match self.entries.get(&offset) {
                Some(stored) if *stored != id => findings.violate(
                    Rule::Disagreement,
                    format_args!("{name}: {id} was acknowledged as {offset}, which is {stored}"),
                ),
                None if !left => findings.violate(
                    Rule::LogLost,
                    format_args!("{name}: {id}, acknowledged as {offset}"),
                ),
                _ => {}
            }
            self.entries.entry(offset).or_insert(id);
        }
    }

    /// All subscribers got the same.
    fn learn_from_subscribers(&mut self, findings: &mut Findings) {
        let kept_from = self.records.logs.get(self.channel);
        let kept_from = kept_from.and_then(|log| log.keys().next().copied());
        for subscribed in &self.records.subscriptions {
            if subscribed.channel != self.channel {
                continue;
            }
            for seen in &subscribed.seen {
                let What::Publication(offset, Some(id)) = seen.what else {
                    continue;
                };
                let (name, client) = (self.name(), subscribed.client);
                match self.entries.get(&offset) {
                    Some(stored) if *stored != id => findings.violate(
                        Rule::Disagreement,
                        format_args!(
                            "{name}: client {client} got {id} at {offset}, which is {stored}"
                        ),
                    ),
                    None if kept_from.is_some_and(|oldest| offset >= oldest) => findings.violate(
                        Rule::Phantom,
                        format_args!(
                            "{name}: client {client} got {id} at {offset}, which is not in the log"
                        ),
                    ),
                    Some(_) => {}
                    None => {
                        self.entries.insert(offset, id);
                    }
                }
            }
        }
    }

    fn check_once(&self, findings: &mut Findings) {
        let mut offsets = HashMap::new();
        for (offset, id) in &self.entries {
            if let Some(first) = offsets.insert(*id, *offset) {
                findings.violate(
                    Rule::StoredTwice,
                    format_args!("{}: {id} at {first} and at {offset}", self.name()),
                );
            }
            let attempt = self.records.attempt(*id);
            if attempt.is_none_or(|attempt| attempt.acknowledged.is_none()) {
                findings.unacknowledged += 1;
            }
        }
    }

    fn name(&self) -> &'a str {
        &self.records.channels[self.channel].name
    }

    /// Whether the log still held `offset` at `at`, for sure.
    fn held(&self, offset: u64, at: Duration) -> bool {
        let until = self.entries.range(..=offset).count();
        let stored = self.begun.partition_point(|begun| *begun <= at);
        stored < until + self.limit
    }
}

// === impl Walk ===

impl<'a> Walk<'a> {
    fn new(truth: &'a Truth<'a>, subscribed: &'a Subscribed) -> Self {
        Self {
            truth,
            subscribed,
            last: None,
            told: Vec::new(),
            may_repeat: false,
        }
    }

    fn run(mut self, findings: &mut Findings) {
        for seen in &self.subscribed.seen {
            match &seen.what {
                What::Publication(offset, Some(_)) => self.deliver(*offset, seen.at, findings),
                What::Publication(offset, None) => {
                    let place = self.place(*offset, seen.at);
                    findings.violate(Rule::Phantom, format_args!("{place}: foreign payload"));
                }
                What::Gap(gap) => self.told.push(Told::of_gap(gap, seen.at)),
                What::Resubscribed(Verdict::Recovered) => {}
                What::Resubscribed(verdict) => {
                    self.may_repeat |= *verdict == Verdict::Resnapshot;
                    self.told.push(Told::anything(seen.at));
                }
                What::Ended(why) => {
                    let place = self.place(self.last.unwrap_or_default(), seen.at);
                    findings.violate(Rule::Ended, format_args!("{place}: {why}"));
                    return;
                }
            }
        }
        if self.subscribed.is_complete {
            self.miss_until(Bound::Unbounded, None, findings);
        }
    }

    fn deliver(&mut self, offset: u64, at: Duration, findings: &mut Findings) {
        findings.deliveries += 1;
        match self.last {
            Some(last) if offset <= last && self.may_repeat => {
                self.told.clear();
                return;
            }
            Some(last) if offset == last => {
                let place = self.place(offset, at);
                return findings.violate(Rule::Duplicate, place);
            }
            Some(last) if offset < last => {
                let place = self.place(offset, at);
                let before = self.was_delivered(offset, at);
                let rule = if before {
                    Rule::Duplicate
                } else {
                    Rule::Reordered
                };
                return findings.violate(rule, format_args!("{place}, after {last}"));
            }
            _ => {}
        }
        self.miss_until(Bound::Excluded(offset), Some(at), findings);
        self.last = Some(offset);
        self.told.clear();
        self.may_repeat = false;
    }

    /// What lies between the last delivery and `end` was missed: was it told, and
    /// had it to be? What breaks the same promise is told together.
    fn miss_until(&self, end: Bound<u64>, at: Option<Duration>, findings: &mut Findings) {
        let start = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut broken = BTreeMap::<Rule, Vec<u64>>::new();
        for (&offset, &id) in self.truth.entries.range((start, end)) {
            let attempt = self.truth.records.attempt(id);
            let is_due = attempt.is_some_and(|attempt| attempt.started > self.subscribed.since);
            if self.last.is_none() && !is_due {
                continue;
            }
            match self.told.iter().find(|told| told.covers(offset)) {
                None => broken.entry(Rule::UntoldLoss).or_default().push(offset),
                Some(told) if !told.is_own && self.truth.held(offset, told.at) => {
                    broken.entry(Rule::AvoidableLoss).or_default().push(offset);
                }
                Some(_) => findings.told += 1,
            }
        }
        for (rule, offsets) in broken {
            let place = self.place(offsets[0], at.unwrap_or_default());
            let (count, to) = (offsets.len(), offsets[offsets.len() - 1]);
            let (last, told) = (self.last.unwrap_or_default(), &self.told);
            findings.violate_often(
                rule,
                count as u64,
                format_args!("{place} to {to} ({count}) after {last}, told {told:?}"),
            );
        }
    }

    fn was_delivered(&self, offset: u64, before: Duration) -> bool {
        let seen = self.subscribed.seen.iter();
        seen.take_while(|seen| seen.at < before)
            .any(|seen| matches!(seen.what, What::Publication(other, _) if other == offset))
    }

    fn place(&self, offset: u64, at: Duration) -> String {
        let (name, client) = (self.truth.name(), self.subscribed.client);
        let at = at.as_secs_f64();
        format!("client {client} at {at:.3} s, {name} {offset}")
    }
}

// === impl Told ===

impl Told {
    fn of_gap(gap: &Gap, at: Duration) -> Self {
        Self {
            at,
            from: gap.from,
            to: gap.to,
            is_own: gap.cause == GapCause::SlowReader,
        }
    }

    fn anything(at: Duration) -> Self {
        Self {
            at,
            from: 0,
            to: 0,
            is_own: false,
        }
    }

    fn covers(&self, offset: u64) -> bool {
        self.to == 0 || (self.from <= offset && offset <= self.to)
    }
}

#[cfg(test)]
mod tests {
    use client::Verdict;

    use super::super::{Rule, check, made_up::MadeUp};

    fn violated(run: &MadeUp) -> Vec<Rule> {
        let mut rules: Vec<_> = check(&run.records()).counts.into_keys().collect();
        rules.sort_unstable();
        rules
    }

    #[test]
    fn a_perfect_run_has_no_violation() {
        let run = MadeUp::with_log(100).published(6).sees(&[1, 2, 3, 4, 5, 6]);
        assert_eq!(violated(&run), []);
        assert_eq!(check(&run.records()).deliveries, 6);
    }

    #[test]
    fn a_missing_publication_is_found_in_the_middle_at_the_start_and_at_the_end() {
        for seen in [&[1, 2, 4][..], &[2, 3, 4], &[1, 2, 3], &[]] {
            let run = MadeUp::with_log(100).published(4).sees(seen);
            assert_eq!(violated(&run), [Rule::UntoldLoss], "{seen:?}");
        }
    }

    #[test]
    fn what_was_published_before_the_subscription_may_be_missing() {
        let run = MadeUp::with_log(100).published(4).subscribed_at(2);
        assert_eq!(violated(&run.sees(&[3, 4])), []);
        let run = MadeUp::with_log(100).published(4).subscribed_at(2);
        assert_eq!(violated(&run.sees(&[4])), [Rule::UntoldLoss]);
    }

    #[test]
    fn a_told_loss_is_allowed_only_once_the_log_let_go_of_it() {
        let run = MadeUp::with_log(2).published(8).sees(&[1]).gap(2, 5);
        assert_eq!(violated(&run.sees(&[6, 7, 8])), []);
        let run = MadeUp::with_log(100).published(8).sees(&[1]).gap(2, 5);
        assert_eq!(violated(&run.sees(&[6, 7, 8])), [Rule::AvoidableLoss]);
    }

    #[test]
    fn a_gap_excuses_only_what_it_names() {
        let run = MadeUp::with_log(2).published(8).sees(&[1]).gap(2, 4);
        assert_eq!(violated(&run.sees(&[6, 7, 8])), [Rule::UntoldLoss]);
    }

    #[test]
    fn a_verdict_is_held_to_its_word() {
        let lost = MadeUp::with_log(2).published(6).sees(&[1]);
        let lost = lost.resubscribed(Verdict::Lost).sees(&[5, 6]);
        assert_eq!(violated(&lost), []);
        let recovered = MadeUp::with_log(2).published(6).sees(&[1]);
        let recovered = recovered.resubscribed(Verdict::Recovered).sees(&[5, 6]);
        assert_eq!(violated(&recovered), [Rule::UntoldLoss]);
    }

    #[test]
    fn duplicates_and_reordering_are_told_apart() {
        let run = MadeUp::with_log(100).published(3).sees(&[1, 2, 2, 3]);
        assert_eq!(violated(&run), [Rule::Duplicate]);
        let run = MadeUp::with_log(100).published(3).sees(&[1, 2, 3, 1]);
        assert_eq!(violated(&run), [Rule::Duplicate]);
        let run = MadeUp::with_log(100).published(3).sees(&[1, 3, 2]);
        assert_eq!(violated(&run), [Rule::UntoldLoss, Rule::Reordered]);
    }

    #[test]
    fn an_acknowledged_publication_must_be_in_the_log() {
        let run = MadeUp::with_log(100).published(3).sees(&[1, 2, 3]);
        assert_eq!(violated(&run.forgets(2)), [Rule::LogLost]);
    }

    #[test]
    fn what_is_in_no_log_is_a_phantom() {
        let run = MadeUp::with_log(100).published(3).unacknowledged();
        let run = run.sees(&[1, 2, 3, 4]).forgets(4);
        assert_eq!(violated(&run), [Rule::Phantom]);
        let run = MadeUp::with_log(100)
            .published(1)
            .sees(&[1])
            .sees_nonsense(2);
        assert_eq!(violated(&run), [Rule::Phantom]);
    }

    #[test]
    fn an_unacknowledged_publication_may_be_stored_once_and_then_counts() {
        let run = MadeUp::with_log(100).published(2).unacknowledged();
        assert_eq!(violated(&run.sees(&[1, 2, 3])), []);
        let run = MadeUp::with_log(100).published(2).unacknowledged();
        assert_eq!(violated(&run.sees(&[1, 2])), [Rule::UntoldLoss]);
        let run = MadeUp::with_log(100).published(2).unacknowledged();
        let run = run.sees(&[1, 2]).forgets(3);
        assert_eq!(violated(&run), []);
    }

    #[test]
    fn a_publication_stored_twice_is_found() {
        let run = MadeUp::with_log(100).published(2).stored_again(2, 3);
        assert_eq!(
            violated(&run.sees(&[1, 2])),
            [Rule::UntoldLoss, Rule::StoredTwice]
        );
    }

    #[test]
    fn everybody_sees_the_same_payload_at_an_offset() {
        let run = MadeUp::with_log(100).published(3).sees(&[1, 2]);
        assert_eq!(violated(&run.sees_at(3, 1)), [Rule::Disagreement]);
    }

    #[test]
    fn a_subscription_does_not_end_by_itself() {
        let run = MadeUp::with_log(100).published(2).sees(&[1]).ended();
        assert_eq!(violated(&run), [Rule::Ended]);
    }
}
