//! Commands: each executed at most once, and every answer true.

use super::{Findings, Rule};
use crate::torture::commands::{Command, Executions, Said};

/// Checks all commands of a run.
pub(super) fn check(commands: &[Command], executions: &Executions, findings: &mut Findings) {
    for command in commands {
        let done = executions.get(&command.key).map_or(&[][..], Vec::as_slice);
        let key = &command.key;
        if done.len() > 1 {
            let tokens: Vec<_> = done.iter().map(|one| &one.token).collect();
            findings.violate(Rule::ExecutedTwice, format_args!("{key}: {tokens:?}"));
        }
        let mut first = None;
        for answer in &command.answers {
            match &answer.said {
                Said::Done(token) => {
                    if !done.iter().any(|one| one.token == *token) {
                        findings.violate(
                            Rule::Untrue,
                            format_args!("{key}: {token} was answered, which nobody did"),
                        );
                    }
                    if *first.get_or_insert(token) != token {
                        findings.violate(
                            Rule::TwoOutcomes,
                            format_args!("{key}: {first:?}, then {token}"),
                        );
                    }
                }
                Said::NotExecuted(code) => {
                    if let Some(before) = done.iter().find(|one| one.at <= answer.at) {
                        findings.violate(
                            Rule::Untrue,
                            format_args!(
                                "{key}: \"not executed\" ({code}) at {}, yet done at {}",
                                answer.at, before.at
                            ),
                        );
                    }
                }
                Said::Uncertain(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::commands::{Answer, Execution};

    fn violated(said: &[Said], done: &[(u64, &str)]) -> Vec<Rule> {
        let answers = said.iter().enumerate().map(|(index, said)| Answer {
            at: 10 * (index as u64 + 1),
            said: said.clone(),
        });
        let command = Command {
            key: "k".to_owned(),
            answers: answers.collect(),
        };
        let done = done.iter().map(|(at, token)| Execution {
            at: *at,
            token: (*token).to_owned(),
        });
        let executions = Executions::from([("k".to_owned(), done.collect())]);
        let mut findings = Findings::default();
        check(&[command], &executions, &mut findings);
        findings.counts.into_keys().collect()
    }

    fn done(token: &str) -> Said {
        Said::Done(token.to_owned())
    }

    fn uncertain() -> Said {
        Said::Uncertain("DEADLINE_EXCEEDED".to_owned())
    }

    fn not_executed() -> Said {
        Said::NotExecuted("UNAVAILABLE".to_owned())
    }

    #[test]
    fn one_execution_and_one_answer_are_well() {
        assert_eq!(
            violated(&[uncertain(), done("a"), done("a")], &[(5, "a")]),
            []
        );
        assert_eq!(violated(&[uncertain()], &[]), []);
        assert_eq!(violated(&[not_executed(), done("a")], &[(15, "a")]), []);
    }

    #[test]
    fn two_executions_are_found_whatever_was_answered() {
        let twice = [(5, "a"), (6, "b")];
        assert_eq!(violated(&[uncertain()], &twice), [Rule::ExecutedTwice]);
        let both = [Rule::ExecutedTwice, Rule::TwoOutcomes];
        assert_eq!(violated(&[done("a"), done("b")], &twice), both);
    }

    #[test]
    fn an_answer_that_is_not_true_is_found() {
        assert_eq!(violated(&[done("a")], &[]), [Rule::Untrue]);
        assert_eq!(violated(&[not_executed()], &[(5, "a")]), [Rule::Untrue]);
    }
}
