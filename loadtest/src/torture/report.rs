//! What a run tells in the end: for people, or as one line of JSON.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    time::Duration,
};

use serde::Serialize;

use super::{
    check::{Findings, Rule},
    commands::{Command, Said},
    record::{Records, What},
    run::Outcome,
    schedule::Fault,
};

/// Violations shown.
const SHOWN: usize = 20;

/// See the module.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    seed: u64,
    faults: BTreeMap<String, u64>,
    published: u64,
    acknowledged: u64,
    publish_failures: BTreeMap<String, u64>,
    deliveries: u64,
    unacknowledged_but_delivered: u64,
    subscriptions: u64,
    disconnects: u64,
    verdicts: BTreeMap<String, u64>,
    gaps: BTreeMap<String, u64>,
    losses_told_with_reason: u64,
    wills: u64,
    fired: u64,
    commands: u64,
    executed: u64,
    /// How commands ended, or what was said last.
    outcomes: BTreeMap<String, u64>,
    /// Milliseconds from a publication's acknowledgement to the subscriber: the
    /// worst of each subscription.
    worst_delay_ms: Delays,
    settled_in_ms: u64,
    problems: Vec<String>,
    violations: BTreeMap<Rule, u64>,
    details: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
struct Delays {
    p50: u64,
    p99: u64,
    max: u64,
}

// === impl Report ===

impl Report {
    pub(super) fn new(seed: u64, faults: &[Fault], outcome: Outcome, findings: Findings) -> Self {
        let Outcome {
            records,
            disconnects,
            publish_failures,
            settled_in,
            problems,
            ..
        } = outcome;
        let attempts = || records.publishers.iter().flat_map(|one| &one.attempts);
        let details = findings.counts.keys().flat_map(|rule| {
            let all = findings.violations.iter();
            let its = all.filter(move |violation| violation.rule == *rule);
            its.take(SHOWN)
                .map(move |violation| format!("{rule}: {}", violation.detail))
        });
        let details = details.collect();
        Self {
            seed,
            faults: count(faults.iter().map(|fault| format!("{:?}", fault.kind))),
            published: attempts().count() as u64,
            acknowledged: attempts()
                .filter(|attempt| attempt.acknowledged.is_some())
                .count() as u64,
            publish_failures,
            deliveries: findings.deliveries,
            unacknowledged_but_delivered: findings.unacknowledged,
            subscriptions: records.subscriptions.len() as u64,
            disconnects,
            verdicts: count(events(&records).filter_map(|what| match what {
                What::Resubscribed(verdict) => Some(format!("{verdict:?}")),
                _ => None,
            })),
            gaps: count(events(&records).filter_map(|what| match what {
                What::Gap(gap) => Some(format!("{:?}", gap.cause)),
                _ => None,
            })),
            losses_told_with_reason: findings.told,
            wills: records.heirs.iter().filter(|heir| heir.is_armed).count() as u64,
            fired: fired(&records),
            commands: records.commands.len() as u64,
            executed: records.executions.len() as u64 - fired(&records),
            outcomes: count(records.commands.iter().map(outcome_of)),
            worst_delay_ms: Delays::of(&records),
            settled_in_ms: settled_in.as_millis() as u64,
            problems,
            details,
            violations: findings.counts,
        }
    }

    /// Whether every promise was kept, and the run is worth something.
    pub(super) fn is_good(&self) -> bool {
        self.violations.is_empty() && self.problems.is_empty() && self.acknowledged > 0
    }

    /// As one line of JSON, or as text.
    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            println!("{}", serde_json::to_string(self)?);
        } else {
            print!("{self}");
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |what: &str, value: &dyn fmt::Display| writeln!(f, "{what:28}{value}");
        line("seed", &self.seed)?;
        line("faults", &listed(&self.faults))?;
        line("published", &self.published)?;
        line("acknowledged", &self.acknowledged)?;
        line("failed attempts", &listed(&self.publish_failures))?;
        line("subscriptions", &self.subscriptions)?;
        line("deliveries", &self.deliveries)?;
        line(
            "of those unacknowledged",
            &self.unacknowledged_but_delivered,
        )?;
        line("connections lost", &self.disconnects)?;
        line("verdicts", &listed(&self.verdicts))?;
        line("gaps", &listed(&self.gaps))?;
        line("losses told, with reason", &self.losses_told_with_reason)?;
        line("wills", &self.wills)?;
        line("fired", &self.fired)?;
        line("commands", &self.commands)?;
        line("executed", &self.executed)?;
        line("outcomes", &listed(&self.outcomes))?;
        let Delays { p50, p99, max } = self.worst_delay_ms;
        line(
            "worst delay, ms",
            &format_args!("p50 {p50}, p99 {p99}, max {max} of the subscriptions"),
        )?;
        line("settled in, ms", &self.settled_in_ms)?;
        for problem in &self.problems {
            line("PROBLEM", problem)?;
        }
        let counts = self.violations.iter();
        let counts = counts.map(|(rule, count)| (rule.to_string(), *count));
        line("violations", &listed(&counts.collect()))?;
        for detail in &self.details {
            line("", detail)?;
        }
        Ok(())
    }
}

// === impl Delays ===

impl Delays {
    fn of(records: &Records) -> Self {
        let worst = records.subscriptions.iter().map(|subscribed| {
            let seen = subscribed.seen.iter();
            let delays = seen.filter_map(|seen| match seen.what {
                What::Publication(_, Some(id)) => {
                    let (acknowledged, _) = records.attempt(id)?.acknowledged?;
                    Some(seen.at.saturating_sub(acknowledged))
                }
                _ => None,
            });
            delays.max().unwrap_or_default()
        });
        let mut worst: Vec<Duration> = worst.collect();
        worst.sort_unstable();
        let at = |share: f64| {
            let index = (worst.len() as f64 * share) as usize;
            let delay = worst.get(index.min(worst.len().saturating_sub(1)));
            delay.map_or(0, |delay| delay.as_millis() as u64)
        };
        Self {
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
        }
    }
}

/// Executions that were wills.
fn fired(records: &Records) -> u64 {
    let keys = records.executions.keys();
    keys.filter(|key| key.starts_with("will-")).count() as u64
}

fn outcome_of(command: &Command) -> String {
    match command.answers.last().map(|answer| &answer.said) {
        Some(Said::Done(_)) => "done".to_owned(),
        Some(Said::NotExecuted(code)) => format!("not executed, {code}"),
        Some(Said::Uncertain(code)) => code.clone(),
        None => "never asked".to_owned(),
    }
}

fn events(records: &Records) -> impl Iterator<Item = &What> {
    let subscriptions = records.subscriptions.iter();
    subscriptions.flat_map(|subscribed| subscribed.seen.iter().map(|seen| &seen.what))
}

fn count(names: impl Iterator<Item = String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn listed(counts: &BTreeMap<String, u64>) -> String {
    if counts.is_empty() {
        return "none".to_owned();
    }
    let mut text = String::new();
    for (name, count) in counts {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a string can't fail.
        let _ = write!(text, "{comma}{name} {count}");
    }
    text
}
