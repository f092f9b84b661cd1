//! A client that leaves a will: it stays to the end, leaves without a word, or
//! takes the will back first.

use std::{collections::BTreeSet, pin::pin, sync::Arc, time::Duration};

use anyhow::Result;
use client::{Client, State};
use tokio::time::sleep;

use super::{
    commands::{Route, unix_us},
    run::Shared,
    subscriber,
};

/// How long wills of those who leave wait.
const GRACE: Duration = Duration::from_secs(2);

/// The same for those who stay: longer than any fault takes their gateways.
const LONG_GRACE: Duration = Duration::from_secs(60);

/// Attempts to arm or to disarm.
const ATTEMPTS: u32 = 60;

const AGAIN: Duration = Duration::from_millis(500);

/// What a client does with its will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    Leaves,
    Disarms,
}

/// What became of one.
#[derive(Clone, Debug)]
pub(super) struct Heir {
    /// The payload of its will.
    pub(super) name: String,
    pub(super) fate: Fate,
    /// It was accepted.
    pub(super) is_armed: bool,
    /// Taking it back was accepted.
    pub(super) is_disarmed: bool,
    /// When it had its last answer, in microseconds of Unix time.
    pub(super) settled_at: u64,
    /// The connections it had.
    pub(super) stay: Stay,
}

/// How a client was connected, as it saw it.
#[derive(Clone, Debug, Default)]
pub(super) struct Stay {
    /// The longest time without a connection.
    pub(super) longest_outage: Duration,
    /// More than one: a will may have been armed for each.
    pub(super) sessions: BTreeSet<Arc<str>>,
}

// === impl Heir ===

impl Heir {
    /// Whether its will must have been fired in the end.
    pub(super) fn must_fire(&self) -> bool {
        self.fate == Fate::Leaves && self.is_armed
    }

    /// Whether it must not have been.
    pub(super) fn must_not_fire(&self) -> bool {
        match self.fate {
            Fate::Stays => self.stay.longest_outage < LONG_GRACE / 2,
            Fate::Leaves => false,
            Fate::Disarms => self.is_disarmed,
        }
    }

    async fn act(&mut self, shared: &Shared, client: &Client, after: Duration) {
        let grace = match self.fate {
            Fate::Stays => LONG_GRACE,
            _ => GRACE,
        };
        for _ in 0..ATTEMPTS {
            let arming = client.arm_will(Route::Exact.name(), self.name.clone(), grace);
            self.is_armed = arming.await.is_ok();
            if self.is_armed {
                break;
            }
            sleep(AGAIN).await;
        }
        self.settled_at = unix_us();
        match self.fate {
            Fate::Stays => {
                let mut stop = shared.publishers_stop.subscribe();
                let _ = stop.wait_for(|stop| *stop).await;
            }
            Fate::Leaves => sleep(after).await,
            Fate::Disarms => {
                sleep(after).await;
                self.is_disarmed = disarm(client).await;
                self.settled_at = unix_us();
            }
        }
    }
}

/// Runs client `number`, which acts `after` that time or stays until all stop.
pub(super) async fn run(
    shared: Arc<Shared>,
    number: usize,
    fate: Fate,
    after: Duration,
) -> Result<Vec<Heir>> {
    let client = subscriber::connect(&shared, number).await?;
    let mut heir = Heir {
        name: format!("will-of-{number}"),
        fate,
        is_armed: false,
        is_disarmed: false,
        settled_at: 0,
        stay: Stay::default(),
    };
    let mut stay = Stay::default();
    let acted = {
        let acting = heir.act(&shared, &client, after);
        tokio::select! {
            () = stay.watch(&shared, &client) => false,
            () = pin!(acting) => true,
        }
    };
    heir.stay = stay;
    // One whose connection ended for good before it had acted decides nothing.
    heir.is_armed &= acted;
    if fate == Fate::Stays {
        // Its will would be fired from here on, which is no part of the run.
        disarm(&client).await;
    }
    client.close().await;
    Ok(vec![heir])
}

async fn disarm(client: &Client) -> bool {
    for _ in 0..ATTEMPTS {
        match client.disarm_will().await {
            Ok(()) => return true,
            Err(error) if !error.retryable() => return false,
            Err(_) => sleep(AGAIN).await,
        }
    }
    false
}

// === impl Stay ===

impl Stay {
    /// Watches a client until it is closed.
    async fn watch(&mut self, shared: &Shared, client: &Client) {
        let mut state = client.state();
        let mut since = None;
        loop {
            let now = shared.now();
            match &*state.borrow_and_update() {
                State::Connected { session_id, .. } => {
                    self.sessions.insert(session_id.clone());
                    since = None;
                }
                State::Closed { .. } => return,
                _ => since = since.or(Some(now)),
            }
            let changed = state.changed().await;
            if let Some(since) = since {
                let outage = shared.now().saturating_sub(since);
                self.longest_outage = self.longest_outage.max(outage);
            }
            if changed.is_err() {
                return;
            }
        }
    }
}
