//! Requests with an idempotency key: executed at most once, answered alike.
//!
//! The table `tg_replies` holds one entry for each user and key. A gateway
//! *claims* the key before it asks a worker, and writes the worker's answer
//! there before the client gets it. So whoever asks again, on any gateway and
//! after any crash, finds what became of the request:
//!
//! ```text
//!              claim                    answer
//!   (absent) --------> Claim{attempt} --------> Answer       (final)
//!       ^                |   |    ^
//!       |  not executed  |   |    | lapsed, and workers deduplicate: attempt + 1
//!       +----------------+   |    +---- Claim
//!                            | lapsed, and workers do not
//!                            +----------------> Unknown      (final)
//! ```
//!
//! **Rule:** every step is conditional on the revision that was read, and
//! nothing is told that the table does not hold. What a client is told is
//! therefore never contradicted by what another one, or a later one, is told.
//!
//! The rest of the rules is in `docs/idempotency.md`.

mod course;
mod desk;
mod entry;
mod key;
mod ledger;
mod metrics;

use std::time::Duration;

use bus::{Bus, BusError, BusExt, Table, TableSpec};

pub use self::{
    course::{Admit, Call, NotDone, Outcome, Redelivery, Refusal, Report, Tell},
    desk::{Desk, Journal, Settings},
};

/// What is known of each request, by user and key.
pub(crate) const REPLIES: Table = Table("tg_replies");

/// Makes sure that the table is there; entries are kept for `keep` after their
/// last change. Idempotent: every gateway does it at its start.
///
/// # Errors
/// What the bus says.
pub async fn declare(bus: &dyn Bus, keep: Duration) -> Result<(), BusError> {
    let spec = TableSpec {
        table: REPLIES,
        max_age: Some(keep),
        durable: true,
    };
    bus.keep_table(spec).await
}
