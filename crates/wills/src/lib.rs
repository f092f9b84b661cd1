//! Wills: requests that sessions leave behind, to be made when they are gone.
//!
//! | where | key | what |
//! |---|---|---|
//! | table `tg_wills` | `<user>.<session>` | the session's will and where it stands |
//! | log `ev`: `tg.ev.will.<kind>` | | every step: armed, refreshed, cancelled, lost, returned, fired, failed |
//!
//! [`Armory`] is the gateway's side: it arms and disarms. [`Keeper`] is the control
//! plane's: each replica runs one, and they need no coordination, because every
//! change of an entry is conditional on the revision that was read. A will is made
//! at most once, unless its route's workers know repetitions by their key.

mod armory;
mod event;
mod keeper;
mod key;
mod list;
mod metrics;
mod will;

use std::time::Duration;

use bus::{Bus, BusError, BusExt, Table, TableSpec};

pub use self::{
    armory::{Armory, NewWill, WillError},
    event::EVENTS_PATTERN,
    keeper::{Keeper, KeeperConfig},
    list::list,
};

/// Wills by user and session.
pub(crate) const WILLS: Table = Table("tg_wills");

/// How long an entry stays that nobody writes again. Entries are never removed,
/// as a crash of a server may bring back what was: those of wills that have ended
/// stay until their time is over, and so are older than all that came before them.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Makes sure that the table is there. Idempotent. The log that the steps are
/// told to is the registry's.
///
/// # Errors
/// What the bus says.
pub async fn declare(bus: &dyn Bus) -> Result<(), BusError> {
    bus.keep_table(TableSpec {
        table: WILLS,
        max_age: Some(KEPT),
        durable: true,
    })
    .await
}
