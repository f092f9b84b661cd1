//! Mailboxes: durable messages to users.
//!
//! | where | key | what |
//! |---|---|---|
//! | log `mailbox`: `tg.box.<user>` | | the messages to a user, as they were stored |
//! | table `tg_mailbox` | `<user>` | up to which offset the user's clients have confirmed |
//!
//! The control plane stores ([`store`]) and tells how a mailbox stands
//! ([`standing`]); gateways read ([`page_after`]) and confirm ([`acknowledge`]).
//! Offsets are those of the log, which all users share: they grow for each user,
//! with holes.

mod cursor;
mod standing;

use std::time::Duration;

use bus::{
    Bus, BusError, BusExt, HistoryRead, Log, LogLimits, Outgoing, Pattern, Published, ReadFrom,
    Subject, Table, TableSpec,
};
use bytes::Bytes;
use wire::{Offset, UserId};

pub use self::{
    cursor::{acknowledge, acknowledged, cursor_key, cursor_of},
    standing::{Standing, standing},
};

/// Largest message, in bytes: a page of them, for each of many connections, is in
/// a gateway's memory together.
pub const MAX_MESSAGE_BYTES: usize = 256 << 10;

/// Cursors by user.
pub const CURSORS: Table = Table("tg_mailbox");

/// What a page holds at most: messages, and bytes of payload.
const PAGE: (usize, usize) = (16, MAX_MESSAGE_BYTES);

/// Makes sure that the log and the table are there. Idempotent.
///
/// # Errors
/// What the bus says.
pub async fn declare(bus: &dyn Bus, limits: LogLimits) -> Result<(), BusError> {
    bus.keep_log(Log {
        name: "mailbox".into(),
        patterns: vec![Pattern::new("tg.box.*").expect("a constant")],
        limits,
    })
    .await?;
    bus.keep_table(TableSpec {
        table: CURSORS,
        // When a cursor is so old, everything up to it has left the log.
        max_age: Some(limits.age.saturating_mul(2).max(Duration::from_secs(60))),
        durable: true,
    })
    .await
}

/// Stores a message to a user. Of those with the same `message_id`, if it is not
/// empty, the first within two minutes is kept.
///
/// # Errors
/// What the bus says. With [`BusError::DeadlineExceeded`] and
/// [`BusError::Unavailable`] it may be stored or not.
pub async fn store(
    bus: &dyn Bus,
    user: &UserId,
    payload: Bytes,
    message_id: &str,
) -> Result<Published, BusError> {
    bus.send(Outgoing {
        subject: subject_of(user),
        payload,
        key: Box::default(),
        published_at_us: 0,
        message_id: message_id.into(),
        traceparent: Box::default(),
    })
    .await
}

/// What to read for the messages after an offset, page by page.
pub fn page_after(user: &UserId, offset: u64) -> HistoryRead {
    let (limit, max_bytes) = PAGE;
    HistoryRead {
        subject: subject_of(user),
        from: ReadFrom::After(Offset(offset)),
        limit,
        max_bytes,
    }
}

/// `tg.box.<user>`.
fn subject_of(user: &UserId) -> Subject {
    let user = registry::user_token(user);
    Subject::new(&format!("tg.box.{user}")).expect("made of tokens")
}
