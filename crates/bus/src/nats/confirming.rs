//! Messages without a log are published when the server has them, not when the
//! client library does: a server that stands still has taken nothing, and what
//! lies in its socket may come much later, or never.
//!
//! One message to ourselves confirms all that went out before it on the same
//! connection.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::inbox::Inbox;
use crate::port::{BusError, Done};

/// Messages that may wait to be confirmed; about 100 bytes each.
const MAX_WAITING: usize = 65_536;

/// After this it is not known whether the server has them.
const LIMIT: Duration = Duration::from_secs(5);

/// What has gone out on one connection and is not confirmed.
pub(super) struct Confirming {
    inbox: Arc<Inbox>,
    // A lock: held to put one in, or to take all out.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Done<()>>,
    /// A message to ourselves is on its way.
    asking: bool,
}

// === impl Confirming ===

impl Confirming {
    pub(super) fn new(inbox: Arc<Inbox>) -> Arc<Self> {
        Arc::new(Self {
            inbox,
            state: Mutex::default(),
        })
    }

    /// Whether no more should be sent for now.
    pub(super) fn is_full(&self) -> bool {
        self.state.lock().waiting.len() >= MAX_WAITING
    }

    /// A message has gone out; `done` when the server has it.
    pub(super) fn add(self: &Arc<Self>, done: Done<()>) {
        let is_first = {
            let mut state = self.state.lock();
            state.waiting.push(done);
            !std::mem::replace(&mut state.asking, true)
        };
        if is_first {
            self.ask();
        }
    }

    /// Asks for all that wait now, and then for those that have come meanwhile.
    fn ask(self: &Arc<Self>) {
        let batch = {
            let mut state = self.state.lock();
            state.asking = !state.waiting.is_empty();
            std::mem::take(&mut state.waiting)
        };
        if batch.is_empty() {
            return;
        }
        let this = Arc::clone(self);
        let told = move |outcome: Result<_, BusError>| {
            for done in batch {
                // It may have them, and pass them on yet.
                done(
                    outcome
                        .as_ref()
                        .map(drop)
                        .map_err(|_| BusError::DeadlineExceeded),
                );
            }
            this.ask();
        };
        self.inbox.round_trip(LIMIT, Box::new(told));
    }
}
