//! Channels without a log: each publication at most once, those of one publisher
//! in order, and what is missing between two of them told: between them, or soon
//! after, where it came from a server that others' publications did not pass.

use std::{collections::HashMap, time::Duration};

use client::Verdict;

use super::{Findings, Rule};
use crate::torture::record::{PublicationId, Records, Seen, Subscribed, What};

/// How late a loss may be told. The publisher of what is missing may be heard of
/// again only when its server goes on, or is replaced.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

/// One subscription, as it is read.
struct Walk<'a> {
    records: &'a Records,
    subscribed: &'a Subscribed,
    /// By publisher.
    last: HashMap<u32, Last>,
    /// When losses were told.
    told: Vec<Duration>,
    /// How many of them so far.
    passed: usize,
}

/// Where a subscriber is with one publisher.
#[derive(Clone, Copy, Debug)]
struct Last {
    sequence: u32,
    /// How many losses had been told by then.
    told: usize,
}

/// Checks one channel.
pub(super) fn check(records: &Records, channel: usize, findings: &mut Findings) {
    for subscribed in &records.subscriptions {
        if subscribed.channel == channel {
            Walk::new(records, subscribed).run(findings);
        }
    }
}

// === impl Walk ===

impl<'a> Walk<'a> {
    fn new(records: &'a Records, subscribed: &'a Subscribed) -> Self {
        let told = subscribed
            .seen
            .iter()
            .filter(|seen| matches!(seen.what, What::Gap(_) | What::Resubscribed(_)));
        Self {
            records,
            subscribed,
            last: HashMap::new(),
            told: told.map(|seen| seen.at).collect(),
            passed: 0,
        }
    }

    fn run(mut self, findings: &mut Findings) {
        for seen in &self.subscribed.seen {
            match &seen.what {
                What::Publication(_, Some(id)) => self.deliver(*id, seen, findings),
                What::Publication(_, None) => {
                    let place = self.place(seen);
                    findings.violate(Rule::Phantom, format_args!("{place}: foreign payload"));
                }
                // Nothing can be recovered here, so it is no promise either.
                What::Resubscribed(Verdict::Recovered) => {
                    let place = self.place(seen);
                    findings.violate(
                        Rule::Phantom,
                        format_args!("{place}: recovered without a log"),
                    );
                }
                What::Gap(_) | What::Resubscribed(_) => self.passed += 1,
                What::Ended(why) => {
                    let place = self.place(seen);
                    return findings.violate(Rule::Ended, format_args!("{place}: {why}"));
                }
            }
        }
        if self.subscribed.is_complete {
            self.finish(findings);
        }
    }

    fn deliver(&mut self, id: PublicationId, seen: &Seen, findings: &mut Findings) {
        findings.deliveries += 1;
        let Some(attempt) = self.records.attempt(id) else {
            let place = self.place(seen);
            return findings.violate(Rule::Phantom, format_args!("{place}: {id}"));
        };
        let is_acknowledged = attempt.acknowledged.is_some();
        findings.unacknowledged += u64::from(!is_acknowledged);
        let last = self.last.get(&id.publisher).copied();
        if let Some(last) = last.filter(|last| id.sequence <= last.sequence) {
            // One that was given up may come any time, but once.
            let before = self.was_delivered(id, seen);
            if before || is_acknowledged {
                let place = self.place(seen);
                let rule = match before {
                    true => Rule::Duplicate,
                    false => Rule::Reordered,
                };
                findings.violate(rule, format_args!("{place}: {id} after {}", last.sequence));
            }
            return;
        }
        self.miss_until(id, last, seen, findings);
        let last = Last {
            sequence: id.sequence,
            told: self.passed,
        };
        self.last.insert(id.publisher, last);
    }

    /// What the publisher published between the last delivery and `next`.
    fn miss_until(
        &self,
        next: PublicationId,
        last: Option<Last>,
        seen: &Seen,
        findings: &mut Findings,
    ) {
        let first = last.map_or(0, |last| last.sequence + 1);
        let told = self.told.get(last.map_or(0, |last| last.told));
        let is_told = told.is_some_and(|told| *told <= seen.at + TOLD_WITHIN);
        for sequence in first..next.sequence {
            let id = PublicationId { sequence, ..next };
            let is_due = self.records.attempt(id).is_some_and(|attempt| {
                attempt.acknowledged.is_some() && attempt.started > self.subscribed.since
            });
            if is_due && is_told {
                findings.told += 1;
            } else if is_due {
                let place = self.place(seen);
                let before = first.checked_sub(1);
                findings.violate(
                    Rule::UntoldLoss,
                    format_args!("{place}: {id} is missing after {before:?}"),
                );
            }
        }
    }

    /// The end is missing nothing either.
    fn finish(&self, findings: &mut Findings) {
        let nothing = Seen {
            at: self
                .subscribed
                .seen
                .last()
                .map_or(self.subscribed.since, |last| last.at),
            what: What::Ended(String::new()),
        };
        let publishers = self.records.publishers.iter().enumerate();
        for (publisher, published) in publishers {
            if published.channel == self.subscribed.channel {
                let end = PublicationId {
                    publisher: publisher as u32,
                    sequence: published.attempts.len() as u32,
                };
                let last = self.last.get(&end.publisher).copied();
                self.miss_until(end, last, &nothing, findings);
            }
        }
    }

    fn was_delivered(&self, id: PublicationId, this: &Seen) -> bool {
        let mut before = self
            .subscribed
            .seen
            .iter()
            .take_while(|seen| !std::ptr::eq(*seen, this));
        before.any(|seen| matches!(seen.what, What::Publication(_, Some(other)) if other == id))
    }

    fn place(&self, seen: &Seen) -> String {
        let name = &self.records.channels[self.subscribed.channel].name;
        let (client, at) = (self.subscribed.client, seen.at.as_secs_f64());
        format!("client {client} at {at:.3} s, {name}")
    }
}

#[cfg(test)]
mod tests {
    use client::Verdict;

    use super::super::{Rule, check, made_up::MadeUp};

    fn violated(run: &MadeUp) -> Vec<Rule> {
        check(&run.records()).counts.into_keys().collect()
    }

    #[test]
    fn a_loss_must_be_told_in_its_place_or_soon_after() {
        let run = || MadeUp::without_log().published(5).sees(&[1, 2]);
        assert_eq!(violated(&run().sees(&[3, 4, 5])), []);
        assert_eq!(violated(&run().sees(&[4, 5])), [Rule::UntoldLoss]);
        assert_eq!(violated(&run().gap(0, 0).sees(&[4, 5])), []);
        assert_eq!(
            violated(&run().resubscribed(Verdict::Fresh).sees(&[4, 5])),
            []
        );
        let behind = |seconds| run().sees(&[4]).later(seconds).gap(0, 0).sees(&[5]);
        assert_eq!(violated(&behind(20)), []);
        assert_eq!(violated(&behind(40)), [Rule::UntoldLoss]);
        assert_eq!(
            violated(
                &MadeUp::without_log()
                    .published(5)
                    .sees(&[1])
                    .gap(0, 0)
                    .sees(&[2, 4, 5])
            ),
            [Rule::UntoldLoss]
        );
    }

    #[test]
    fn the_end_may_be_missing_only_if_that_is_told() {
        let run = || MadeUp::without_log().published(5).sees(&[1, 2, 3]);
        assert_eq!(violated(&run()), [Rule::UntoldLoss]);
        assert_eq!(violated(&run().gap(0, 0)), []);
    }

    #[test]
    fn each_comes_once_and_in_the_order_of_its_publisher() {
        let run = || MadeUp::without_log().published(3);
        assert_eq!(violated(&run().sees(&[1, 2, 2, 3])), [Rule::Duplicate]);
        assert_eq!(
            violated(&run().sees(&[1, 3, 2])),
            [Rule::UntoldLoss, Rule::Reordered]
        );
    }

    #[test]
    fn what_was_given_up_may_come_late_or_never_but_not_twice() {
        let run = || MadeUp::without_log().unacknowledged().published(2);
        assert_eq!(violated(&run().sees(&[2, 3])), []);
        assert_eq!(violated(&run().sees(&[2, 3, 1])), []);
        assert_eq!(violated(&run().sees(&[1, 2, 3, 1])), [Rule::Duplicate]);
    }

    #[test]
    fn recovery_is_no_word_for_a_channel_without_a_log() {
        let run = MadeUp::without_log().published(2).sees(&[1]);
        let run = run.resubscribed(Verdict::Recovered).sees(&[2]);
        assert_eq!(violated(&run), [Rule::Phantom]);
    }
}
