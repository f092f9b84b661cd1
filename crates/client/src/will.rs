//! The session's will: what the cluster does when the client is gone.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;
use wire::client::{ArmWill, ErrorCode};

use crate::{
    client::Client,
    error::Error,
    in_flight::{Operation, WillOrder},
};

/// Between two tries to take a will back that is being fired.
const RETRY: Duration = Duration::from_millis(250);

/// The will that the gateway has accepted, and for which session.
#[derive(Debug, Default)]
pub(crate) struct Will {
    armed: Option<ArmWill>,
    armed_for: String,
    session: String,
}

// === impl Client ===

impl Client {
    /// Leaves a request to be made when this client has been without a connection
    /// for longer than `grace`, whatever ended it: closing the client, too. Returns
    /// once the cluster keeps it. It takes the place of the one before, stays over
    /// reconnects, and is armed again by itself when a reconnect begins another
    /// session.
    ///
    /// # Errors
    /// The gateway's refusal, or [`Error::Closed`]. Unless it is certain that
    /// nothing was kept ([`Self::disarm_will`] makes it so), it may be armed.
    pub async fn arm_will(
        &self,
        route: &str,
        payload: impl Into<Bytes>,
        grace: Duration,
    ) -> Result<(), Error> {
        let will = ArmWill {
            id: 0,
            route: route.to_owned(),
            payload: payload.into(),
            grace_ms: u32::try_from(grace.as_millis()).unwrap_or(u32::MAX),
        };
        self.order_will(WillOrder::Arm(will)).await
    }

    /// Takes the will back: when this returns without an error, it will not be
    /// fired. Waits while it is being fired.
    ///
    /// # Errors
    /// [`ErrorCode::WillFired`] if it was fired, which stays so until another is
    /// armed; else as [`Self::arm_will`].
    pub async fn disarm_will(&self) -> Result<(), Error> {
        self.order_will(WillOrder::Disarm).await
    }

    async fn order_will(&self, order: WillOrder) -> Result<(), Error> {
        loop {
            let order = order.clone();
            let outcome = self.perform(|reply| Operation::Will(order, Some(reply)));
            match outcome.await {
                Err(error) if error.code() == Some(ErrorCode::InProgress) => sleep(RETRY).await,
                outcome => return outcome,
            }
        }
    }
}

// === impl Will ===

impl Will {
    /// A connection of this session was made: what to do on it first.
    pub(crate) fn welcomed(&mut self, session: &str) -> Option<Operation> {
        self.session = session.to_owned();
        let armed = self.armed.as_ref();
        let armed = armed.filter(|_| self.armed_for != self.session)?;
        Some(Operation::Will(WillOrder::Arm(armed.clone()), None))
    }

    /// The gateway did it.
    pub(crate) fn settled(&mut self, order: WillOrder) {
        self.armed = match order {
            WillOrder::Arm(will) => Some(will),
            WillOrder::Disarm => None,
        };
        self.armed_for.clone_from(&self.session);
    }

    /// The gateway refused it.
    pub(crate) fn refused(&mut self, error: &Error) {
        if error.code() == Some(ErrorCode::WillFired) {
            self.armed = None;
        }
    }
}
