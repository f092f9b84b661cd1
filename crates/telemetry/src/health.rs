//! What the probes of Kubernetes ask for: is the process started, and is it ready.
//!
//! Each part that can be unable to serve owns a named [`Condition`]. The process
//! is ready while all conditions hold, and started once each has held.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use metrics::gauge;
use serde::Serialize;

/// The conditions of this process; cheap to clone. Register all of them before
/// the admin server runs: without any, the process counts as ready.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<Conditions>>);

/// One named condition; not ready, with the reason `starting`, until its owner
/// says otherwise.
#[derive(Clone, Debug)]
#[must_use = "nobody else can make it ready"]
pub struct Condition {
    health: Health,
    name: &'static str,
}

/// What the probes answer, as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    ok: bool,
    conditions: Vec<State>,
}

/// By name, so that reports list them in one order.
type Conditions = BTreeMap<&'static str, State>;

#[derive(Clone, Debug, Serialize)]
struct State {
    name: &'static str,
    ready: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: Cow<'static, str>,
    #[serde(skip)]
    was_ready: bool,
}

// === impl Health ===

impl Health {
    /// Adds a condition. A name that is there already keeps its state, and both
    /// handles set it.
    pub fn register(&self, name: &'static str) -> Condition {
        let new = || State {
            name,
            ready: false,
            reason: "starting".into(),
            was_ready: false,
        };
        self.lock().entry(name).or_insert_with(new);
        Condition {
            health: self.clone(),
            name,
        }
    }

    /// Whether all conditions hold.
    pub fn is_ready(&self) -> bool {
        self.lock().values().all(|state| state.ready)
    }

    /// Hands the conditions to the recorder.
    pub(crate) fn record(&self) {
        for state in self.lock().values() {
            gauge!("tidegate_process_ready", "condition" => state.name).set(f64::from(state.ready));
        }
    }

    pub(crate) fn readiness(&self) -> Report {
        self.report(|state| state.ready)
    }

    pub(crate) fn startup(&self) -> Report {
        self.report(|state| state.was_ready)
    }

    fn report(&self, holds: impl Fn(&State) -> bool) -> Report {
        let conditions: Vec<_> = self.lock().values().cloned().collect();
        Report {
            ok: conditions.iter().all(holds),
            conditions,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Conditions> {
        // Every update is a single assignment, so a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Condition ===

impl Condition {
    /// Says that it holds.
    pub fn set_ready(&self) {
        self.set(State {
            name: self.name,
            ready: true,
            reason: "".into(),
            was_ready: true,
        });
    }

    /// Says that it does not hold, and why, in words for operators.
    pub fn set_unready(&self, reason: impl Into<Cow<'static, str>>) {
        self.set(State {
            name: self.name,
            ready: false,
            reason: reason.into(),
            was_ready: false,
        });
    }

    fn set(&self, mut state: State) {
        let mut conditions = self.health.lock();
        let before = conditions
            .get_mut(self.name)
            .expect("conditions are never removed");
        state.was_ready |= before.was_ready;
        *before = state;
    }
}

// === impl Report ===

impl Report {
    pub(crate) fn ok(&self) -> bool {
        self.ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_while_all_conditions_hold_and_started_once_each_has_held() {
        let health = Health::default();
        let (bus, listener) = (health.register("bus"), health.register("listener"));
        bus.set_ready();
        assert!(!health.is_ready() && !health.startup().ok());
        bus.set_unready("disconnected");
        listener.set_ready();
        assert!(!health.is_ready() && health.startup().ok());
        bus.set_ready();
        assert!(health.is_ready() && health.readiness().ok() && health.startup().ok());
    }

    #[test]
    fn a_report_lists_conditions_with_their_reasons() {
        let health = Health::default();
        health.register("listener").set_ready();
        health.register("bus").set_unready("no \"route\"");
        let report = serde_json::to_string(&health.readiness()).expect("plain data");
        let expected = r#"{"ok":false,"conditions":[{"name":"bus","ready":false,"reason":"no \"route\""},{"name":"listener","ready":true}]}"#;
        assert_eq!(report, expected);
    }

    #[test]
    fn handles_of_one_name_share_the_condition() {
        let health = Health::default();
        health.register("bus").set_ready();
        let again = health.register("bus");
        assert!(health.is_ready());
        again.set_unready("draining");
        assert!(!health.is_ready());
    }
}
