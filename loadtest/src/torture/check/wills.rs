//! Wills: fired once when their client was gone, and never otherwise.

use super::{Findings, Rule};
use crate::torture::{commands::Executions, heir::Heir};

/// Checks all wills of a run. The token of a will's execution is its payload.
pub(super) fn check(heirs: &[Heir], executions: &Executions, findings: &mut Findings) {
    for heir in heirs {
        let fired: Vec<_> = executions
            .iter()
            .filter(|(_, of_key)| of_key.iter().any(|one| one.token == heir.name))
            .collect();
        let rule = match fired.len() {
            0 if heir.must_fire() => Rule::NotFired,
            1 if heir.must_not_fire() => Rule::FiredWrongly,
            2.. => Rule::FiredTwice,
            _ => continue,
        };
        findings.violate(rule, format_args!("{heir:?}: {fired:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::torture::{
        commands::Execution,
        heir::{Fate, Stay},
    };

    fn heir(fate: Fate) -> Heir {
        Heir {
            name: "will-of-1".to_owned(),
            fate,
            is_armed: true,
            is_disarmed: fate == Fate::Disarms,
            settled_at: 0,
            stay: Stay::default(),
        }
    }

    fn violated(heir: Heir, fired: usize) -> Vec<Rule> {
        let executions = (0..fired).map(|number| {
            let execution = Execution {
                at: 1,
                token: heir.name.clone(),
            };
            (format!("will-{number}"), vec![execution])
        });
        let executions = executions.collect();
        let mut findings = Findings::default();
        check(&[heir], &executions, &mut findings);
        findings.counts.into_keys().collect()
    }

    #[test]
    fn a_will_is_fired_once_if_its_client_left() {
        assert_eq!(violated(heir(Fate::Leaves), 1), []);
        assert_eq!(violated(heir(Fate::Leaves), 0), [Rule::NotFired]);
        assert_eq!(violated(heir(Fate::Leaves), 2), [Rule::FiredTwice]);
    }

    #[test]
    fn a_will_that_was_taken_back_or_whose_client_stayed_is_not_fired() {
        for fate in [Fate::Stays, Fate::Disarms] {
            assert_eq!(violated(heir(fate), 0), []);
            assert_eq!(violated(heir(fate), 1), [Rule::FiredWrongly]);
        }
    }

    #[test]
    fn what_was_not_accepted_or_was_away_for_long_decides_nothing() {
        let uncertain = |fate| Heir {
            is_armed: false,
            is_disarmed: false,
            stay: Stay {
                longest_outage: Duration::from_secs(100),
                ..Stay::default()
            },
            ..heir(fate)
        };
        for fate in [Fate::Stays, Fate::Leaves, Fate::Disarms] {
            for fired in [0, 1] {
                assert_eq!(violated(uncertain(fate), fired), []);
            }
        }
    }
}
