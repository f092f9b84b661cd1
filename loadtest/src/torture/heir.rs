//! A client that leaves a will: it stays to the end, leaves without a word, or
//! takes the will back first.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use client::{Client, State};
use tokio::time::sleep;

use super::{commands::Route, run::Shared, subscriber};

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
    /// The longest time without a connection, as the client saw it.
    pub(super) longest_outage: Duration,
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
            Fate::Stays => self.longest_outage < LONG_GRACE / 2,
            Fate::Leaves => false,
            Fate::Disarms => self.is_disarmed,
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
        longest_outage: Duration::ZERO,
    };
    let grace = match fate {
        Fate::Stays => LONG_GRACE,
        _ => GRACE,
    };
    for _ in 0..ATTEMPTS {
        let arming = client.arm_will(Route::Exact.name(), heir.name.clone(), grace);
        heir.is_armed = arming.await.is_ok();
        if heir.is_armed {
            break;
        }
        sleep(AGAIN).await;
    }
    match fate {
        Fate::Stays => heir.longest_outage = stay(&shared, &client).await,
        Fate::Leaves => sleep(after).await,
        Fate::Disarms => {
            sleep(after).await;
            heir.is_disarmed = disarm(&client).await;
        }
    }
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

/// Until all stop; gives the longest time without a connection.
async fn stay(shared: &Shared, client: &Client) -> Duration {
    let mut stop = shared.publishers_stop.subscribe();
    let mut state = client.state();
    let (mut longest, mut since) = (Duration::ZERO, None);
    loop {
        let is_connected = matches!(*state.borrow_and_update(), State::Connected { .. });
        let now = shared.now();
        match (is_connected, since) {
            (true, Some(begun)) => {
                longest = longest.max(now.saturating_sub(begun));
                since = None;
            }
            (false, None) => since = Some(now),
            _ => {}
        }
        tokio::select! {
            changed = state.changed() => if changed.is_err() {
                return Duration::MAX;
            },
            _ = stop.wait_for(|stop| *stop) => return longest,
        }
    }
}
