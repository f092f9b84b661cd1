//! Wills: fired once when their client was gone, and never otherwise.

use super::{Findings, Rule};
use crate::torture::{commands::Executions, heir::Heir};

/// Checks all wills of a run. The token of a will's execution is its payload.
pub(super) fn check(heirs: &[Heir], executions: &Executions, findings: &mut Findings) {
    for heir in heirs {
        let all = executions.values().flatten();
        let fired = all.filter(|one| one.token == heir.name).count();
        if fired > 1 {
            findings.violate(Rule::FiredTwice, format_args!("{heir:?}: {fired} times"));
        } else if fired == 0 && heir.must_fire() {
            findings.violate(Rule::NotFired, format_args!("{heir:?}"));
        } else if fired == 1 && heir.must_not_fire() {
            findings.violate(Rule::FiredWrongly, format_args!("{heir:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::torture::{commands::Execution, heir::Fate};

    fn heir(fate: Fate) -> Heir {
        Heir {
            name: "will-of-1".to_owned(),
            fate,
            is_armed: true,
            is_disarmed: fate == Fate::Disarms,
            longest_outage: Duration::ZERO,
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
            longest_outage: Duration::from_secs(100),
            ..heir(fate)
        };
        for fate in [Fate::Stays, Fate::Leaves, Fate::Disarms] {
            for fired in [0, 1] {
                assert_eq!(violated(uncertain(fate), fired), []);
            }
        }
    }
}
