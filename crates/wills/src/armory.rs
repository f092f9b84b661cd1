//! The gateway's side: arms wills and takes them back.
//!
//! An order that fails with [`WillError::Bus`] may have taken effect: the client
//! gives it again, which does no harm.

use std::{fmt, sync::Arc, time::Duration};

use bus::{Bus, BusError, BusExt, Expect, Remove, Subject};
use bytes::Bytes;
use thiserror::Error;
use wire::{
    ConnectionId, SessionId, UserId,
    gateway::{Will, will::State},
};

use crate::{
    WILLS,
    event::Step,
    key,
    metrics::Orders,
    will::{Clock, Kept, write},
};

/// Reads and conditional writes before an order is given up: each one more means
/// that somebody else changed the will in between.
const TRIES: u32 = 8;

/// A will that a session leaves.
#[derive(Clone, Debug)]
pub struct NewWill {
    /// Whose.
    pub user: UserId,
    /// Which session's.
    pub session: SessionId,
    /// The connection that it came over.
    pub connection: ConnectionId,
    /// The route's name, for those who look.
    pub route: String,
    /// Where the route's workers are.
    pub subject: Subject,
    /// What they get.
    pub payload: Bytes,
    /// How long the session may be without a connection.
    pub grace: Duration,
    /// How long a worker may take to answer.
    pub deadline: Duration,
    /// The route's workers know repetitions by their idempotency key: a request
    /// whose outcome is unknown is made again.
    pub redelivers: bool,
}

/// Why a will was not armed or taken back.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WillError {
    /// It is being fired now; how that ends is not known yet. Ask again soon.
    #[error("the will is being fired, and how that ends is not known yet")]
    InProgress,
    /// It was fired.
    #[error("the will was fired")]
    Fired,
    /// The bus can't say.
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// Arms and disarms the wills of a gateway's sessions.
pub struct Armory {
    bus: Arc<dyn Bus>,
    clock: Clock,
    orders: Orders,
}

// === impl Armory ===

impl Armory {
    /// Keeps wills on this bus; on a tokio runtime.
    pub fn new(bus: Arc<dyn Bus>) -> Self {
        Self {
            bus,
            clock: Clock::start(),
            orders: Orders::new(),
        }
    }

    /// Leaves a will for the session, in place of the one it had. The same again
    /// is still the same will, refreshed. When this returns, it is kept and told.
    ///
    /// # Errors
    /// [`WillError::InProgress`] or [`WillError::Bus`].
    pub async fn arm(&self, new: NewWill) -> Result<(), WillError> {
        let outcome = self.try_arm(new).await;
        self.orders.armed(&outcome);
        outcome
    }

    /// Takes the session's will back, if it has one. When this returns, it will
    /// not be fired.
    ///
    /// # Errors
    /// All of [`WillError`].
    pub async fn disarm(&self, user: &UserId, session: SessionId) -> Result<(), WillError> {
        let outcome = self.try_disarm(&key::of_session(user, session)).await;
        self.orders.disarmed(&outcome);
        outcome
    }

    async fn try_arm(&self, new: NewWill) -> Result<(), WillError> {
        let key = key::of_session(&new.user, new.session);
        let will = self.compose(new);
        for _ in 0..TRIES {
            // Most often a session has none.
            let now_ms = self.clock.now_ms();
            match write(&*self.bus, &key, &will, Expect::Absent, now_ms).await {
                Ok(revision) => {
                    let told = Step::Armed.message(&will, revision, now_ms);
                    self.bus.send(told).await?;
                    return Ok(());
                }
                Err(BusError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
            let Some(kept) = Kept::find(&*self.bus, &key).await? else {
                continue;
            };
            match self.replace(kept, &will).await {
                Err(WillError::Bus(BusError::Conflict)) => {}
                outcome => return outcome,
            }
        }
        Err(BusError::Overloaded.into())
    }

    /// Writes a will over the session's last one.
    async fn replace(&self, mut kept: Kept, will: &Will) -> Result<(), WillError> {
        let earlier = kept.clone();
        if let Some(State::Firing(_)) = kept.will.state {
            return Err(WillError::InProgress);
        }
        let ended = matches!(kept.will.state, Some(State::Fired(_) | State::Cancelled(_)));
        let refreshed = !ended && is_same(&kept.will, will);
        kept.will = will.clone();
        if refreshed {
            kept.will.will_id = earlier.will.will_id.clone();
        }
        let now_ms = self.clock.now_ms();
        kept.write(&*self.bus, now_ms).await?;
        let step = if refreshed {
            Step::Refreshed
        } else {
            Step::Armed
        };
        if !refreshed && !ended {
            earlier.tell(&*self.bus, Step::Cancelled, now_ms).await?;
        }
        kept.tell(&*self.bus, step, now_ms).await?;
        Ok(())
    }

    async fn try_disarm(&self, key: &Subject) -> Result<(), WillError> {
        for _ in 0..TRIES {
            let outcome = match Kept::find(&*self.bus, key).await? {
                Some(kept) => self.cancel(kept).await,
                // A copy of the table may be behind: the write knows better.
                None => {
                    let remove = Remove {
                        table: WILLS,
                        key: key.clone(),
                        expect: Expect::Absent,
                    };
                    self.bus.erase(remove).await.map_err(WillError::from)
                }
            };
            match outcome {
                Err(WillError::Bus(BusError::Conflict)) => {}
                outcome => return outcome,
            }
        }
        Err(BusError::Overloaded.into())
    }

    async fn cancel(&self, mut kept: Kept) -> Result<(), WillError> {
        match kept.will.state {
            Some(State::Cancelled(_)) => return Ok(()),
            Some(State::Firing(_)) => return Err(WillError::InProgress),
            // Stays: an answer that is lost can be asked for again.
            Some(State::Fired(_)) => return Err(WillError::Fired),
            Some(State::Lost(_)) | None => {}
        }
        let now_ms = self.clock.now_ms();
        kept.cancel(&*self.bus, now_ms).await?;
        kept.tell(&*self.bus, Step::Cancelled, now_ms).await?;
        Ok(())
    }

    fn compose(&self, new: NewWill) -> Will {
        Will {
            will_id: format!("{:032x}", fastrand::u128(..)),
            user: new.user.to_string(),
            session_id: new.session.to_string(),
            connection_id: new.connection.to_string(),
            route: new.route,
            subject: new.subject.to_string(),
            payload: new.payload,
            grace_ms: millis(new.grace),
            deadline_ms: millis(new.deadline),
            redelivers: new.redelivers,
            armed_at_ms: self.clock.now_ms(),
            written_at_ms: 0,
            state: None,
        }
    }
}

impl fmt::Debug for Armory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Armory")
    }
}

/// Whether a client that leaves both says the same.
fn is_same(one: &Will, other: &Will) -> bool {
    one.route == other.route && one.payload == other.payload && one.grace_ms == other.grace_ms
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
