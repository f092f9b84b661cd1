//! A bus whose tables are slow, fail, or fail after doing what they were asked.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bus::{Bus, BusError, Done, Entry, MemoryBus, Pattern, Put, Remove, Revision, Subject, Table};
use lifecycle::Scope;
use parking_lot::Mutex;
use tokio::time::sleep;

/// An operation on a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Put,
    Remove,
    Read,
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// How long until it is done.
    pub(crate) before: Duration,
    /// How long until that is told.
    pub(crate) after: Duration,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Works,
    /// Nothing is done, and that is told.
    Fails,
    /// It is done, and an error is told.
    Lies,
    /// A read that sees what any earlier one saw.
    IsBehind,
}

type Script = Box<dyn FnMut(Op) -> Fate + Send>;

/// See the module.
pub(crate) struct Unsteady {
    inner: Arc<MemoryBus>,
    scope: Scope,
    script: Mutex<Script>,
    seen: Arc<Mutex<HashMap<Subject, Vec<Vec<Entry>>>>>,
}

// === impl Unsteady ===

impl Unsteady {
    pub(crate) fn new(inner: Arc<MemoryBus>, scope: Scope) -> Arc<Self> {
        Arc::new(Self {
            inner,
            scope,
            script: Mutex::new(Box::new(|_| Fate::default())),
            seen: Arc::default(),
        })
    }

    /// From now on operations meet the fates that `script` gives.
    pub(crate) fn follow(&self, script: impl FnMut(Op) -> Fate + Send + 'static) {
        *self.script.lock() = Box::new(script);
    }

    fn meet<T: Send + 'static>(
        &self,
        op: Op,
        done: Done<T>,
        run: impl FnOnce(&MemoryBus, Kind, Done<T>) + Send + 'static,
    ) {
        let fate = (self.script.lock())(op);
        let inner = self.inner.clone();
        if fate == Fate::default() {
            return run(&inner, fate.kind, done);
        }
        self.scope.spawn_cancellable("operation", async move {
            sleep(fate.before).await;
            if fate.kind == Kind::Fails {
                return done(Err(BusError::Unavailable));
            }
            let (tx, rx) = tokio::sync::oneshot::channel();
            run(
                &inner,
                fate.kind,
                Box::new(move |outcome| drop(tx.send(outcome))),
            );
            let outcome = rx.await.unwrap_or(Err(BusError::Unavailable));
            sleep(fate.after).await;
            match fate.kind {
                Kind::Lies => done(Err(BusError::DeadlineExceeded)),
                _ => done(outcome),
            }
        });
    }
}

impl std::fmt::Debug for Unsteady {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unsteady")
    }
}

impl Bus for Unsteady {
    fn put(&self, put: Put, done: Done<Revision>) {
        self.meet(Op::Put, done, |bus, _, done| bus.put(put, done));
    }

    fn remove(&self, remove: Remove, done: Done<()>) {
        self.meet(Op::Remove, done, |bus, _, done| bus.remove(remove, done));
    }

    fn entries(&self, table: Table, keys: Vec<Pattern>, done: Done<Vec<Entry>>) {
        let seen = self.seen.clone();
        let key = keys[0].as_subject().expect("one key is read");
        self.meet(Op::Read, done, move |bus, kind, done| {
            let before = seen
                .lock()
                .get(&key)
                .and_then(|all| fastrand::choice(all).cloned());
            if let (Kind::IsBehind, Some(entries)) = (kind, before) {
                return done(Ok(entries));
            }
            let noted: Done<Vec<Entry>> = Box::new(move |outcome| {
                if let Ok(entries) = &outcome {
                    seen.lock().entry(key).or_default().push(entries.clone());
                }
                done(outcome);
            });
            bus.entries(table, keys, noted);
        });
    }

    bus::contract::passes_on!(inner: publish subscribe unsubscribe request cancel serve announce declare_log history declare_table state);
}
