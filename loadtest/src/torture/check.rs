//! The checker: what the records of a run say against the promises.
//!
//! Pure functions over [`Records`]. A channel's *truth* is put together from the
//! log as the bus has it in the end, from what publishers were told and from what
//! subscribers got; where those disagree, that is a violation itself. Then each
//! subscription is walked along the truth.

mod commands;
mod live;
mod log;
#[cfg(test)]
mod made_up;
mod wills;

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::record::{Keeps, Records};

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) rule: Rule,
    /// Who saw what, when, where.
    pub(super) detail: String,
}

/// The promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Rule {
    /// A subscriber missed an acknowledged publication, and nobody said so.
    UntoldLoss,
    /// It was told, but the log had the publication.
    AvoidableLoss,
    /// A subscriber got a publication again.
    Duplicate,
    /// A subscriber got publications in another order than the log's, or their
    /// publisher's.
    Reordered,
    /// Two saw different payloads for one offset.
    Disagreement,
    /// An acknowledged publication is not in the log.
    LogLost,
    /// A publication was stored twice.
    StoredTwice,
    /// A subscriber got what nobody published there, or what is in no log.
    Phantom,
    /// A subscription ended by itself.
    Ended,
    /// A command was executed twice.
    ExecutedTwice,
    /// A command had two different outcomes.
    TwoOutcomes,
    /// An answer to a command was not true.
    Untrue,
    /// A will was fired twice.
    FiredTwice,
    /// A client left, and its will was not fired.
    NotFired,
    /// A will was fired that was taken back, or whose client stayed.
    FiredWrongly,
    /// A subscription did not get to the end in time, with everything back.
    NotSettled,
}

/// What the checker found.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    pub(super) violations: Vec<Violation>,
    /// Losses that were told, with reason.
    pub(super) told: u64,
    /// Publications that were never acknowledged and yet delivered.
    pub(super) unacknowledged: u64,
    pub(super) deliveries: u64,
    /// Violations by rule.
    pub(super) counts: BTreeMap<Rule, u64>,
}

/// Violations of a rule that are kept with their details; more are only counted.
const KEPT: usize = 50;

/// Checks all of a run.
pub(super) fn check(records: &Records) -> Findings {
    let mut findings = Findings::default();
    for (channel, info) in records.channels.iter().enumerate() {
        match info.keeps {
            Keeps::Log(limit) => log::check(records, channel, limit, &mut findings),
            Keeps::Nothing => live::check(records, channel, &mut findings),
        }
    }
    commands::check(&records.commands, &records.executions, &mut findings);
    wills::check(&records.heirs, &records.executions, &mut findings);
    findings
}

// === impl Findings ===

impl Findings {
    pub(super) fn violate(&mut self, rule: Rule, detail: impl fmt::Display) {
        self.violate_often(rule, 1, detail);
    }

    /// So many of a kind, in one place.
    fn violate_often(&mut self, rule: Rule, count: u64, detail: impl fmt::Display) {
        *self.counts.entry(rule).or_default() += count;
        let its = self.violations.iter();
        if its.filter(|violation| violation.rule == rule).count() < KEPT {
            let detail = detail.to_string();
            self.violations.push(Violation { rule, detail });
        }
    }
}

// === impl Rule ===

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UntoldLoss => "untold loss",
            Self::AvoidableLoss => "avoidable loss",
            Self::Duplicate => "duplicate",
            Self::Reordered => "reordered",
            Self::Disagreement => "disagreement",
            Self::LogLost => "lost by the log",
            Self::StoredTwice => "stored twice",
            Self::Phantom => "phantom",
            Self::Ended => "ended",
            Self::ExecutedTwice => "executed twice",
            Self::TwoOutcomes => "two outcomes",
            Self::Untrue => "untrue answer",
            Self::FiredTwice => "will fired twice",
            Self::NotFired => "will not fired",
            Self::FiredWrongly => "will fired wrongly",
            Self::NotSettled => "not settled",
        })
    }
}
