//! Durable messages: kept in the user's mailbox before anybody is asked to
//! deliver them.

use std::sync::Arc;

use bus::{Bus, BusError, Published};
use bytes::Bytes;
use mailboxes::MAX_MESSAGE_BYTES;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};
use wire::{
    UserId,
    control::{MailboxRequest, MailboxResponse},
};

use crate::status::{invalid, rich};

/// Longest message id, in bytes.
const MAX_ID_BYTES: usize = 255;

/// The way to the mailboxes.
pub(crate) struct Mailboxes {
    bus: Arc<dyn Bus>,
    /// The log is declared.
    enabled: bool,
}

// === impl Mailboxes ===

impl Mailboxes {
    pub(crate) fn new(bus: Arc<dyn Bus>, enabled: bool) -> Self {
        Self { bus, enabled }
    }

    /// Keeps a message for a user.
    ///
    /// # Errors
    /// If it can't be kept; with UNAVAILABLE and DEADLINE_EXCEEDED it may be kept
    /// nevertheless.
    pub(crate) async fn store(
        &self,
        user: &UserId,
        payload: Bytes,
        message_id: &str,
        until: Instant,
    ) -> Result<Published, Status> {
        self.check()?;
        if payload.len() > MAX_MESSAGE_BYTES {
            let most = format!("a mailbox takes {MAX_MESSAGE_BYTES} bytes at most");
            return Err(invalid("payload", most));
        }
        if message_id.len() > MAX_ID_BYTES || message_id.chars().any(char::is_control) {
            let grammar = "must be at most 255 bytes without control characters";
            return Err(invalid("message_id", grammar));
        }
        let stored = mailboxes::store(&*self.bus, user, payload, message_id);
        let stored = timeout_at(until, stored).await;
        stored
            .unwrap_or(Err(BusError::DeadlineExceeded))
            .map_err(|error| refused(&error))
    }

    /// How a user's mailbox stands.
    ///
    /// # Errors
    /// If there is no such user, or the mailbox can't be read.
    pub(crate) async fn standing(
        &self,
        request: MailboxRequest,
        until: Instant,
    ) -> Result<MailboxResponse, Status> {
        self.check()?;
        let user = UserId::new(&request.user)
            .ok_or_else(|| invalid("user", "must be 1 to 255 bytes without control characters"))?;
        let standing = timeout_at(until, mailboxes::standing(&*self.bus, &user)).await;
        let standing = standing
            .unwrap_or(Err(BusError::DeadlineExceeded))
            .map_err(|error| refused(&error))?;
        Ok(MailboxResponse {
            acknowledged_up_to: standing.acknowledged_up_to,
            newest: standing.newest,
            unacknowledged: standing.unacknowledged,
        })
    }

    fn check(&self) -> Result<(), Status> {
        if self.enabled {
            return Ok(());
        }
        let message = "mailboxes are switched off".to_owned();
        Err(rich(Code::FailedPrecondition, "NO_MAILBOXES", message))
    }
}

fn refused(error: &BusError) -> Status {
    let (code, reason) = match error {
        BusError::DeadlineExceeded => (Code::DeadlineExceeded, "MAILBOX_TIMEOUT"),
        BusError::Overloaded => (Code::ResourceExhausted, "OVERLOADED"),
        BusError::TooLarge => (Code::InvalidArgument, "MESSAGE_TOO_LARGE"),
        _ => (Code::Unavailable, "MAILBOX_UNAVAILABLE"),
    };
    rich(code, reason, format!("the mailbox: {error}"))
}
