//! Who is connected where: written by gateways, read by control planes.
//!
//! Three tables and a log on the bus:
//!
//! | where | key | what |
//! |---|---|---|
//! | table `tg_registry` | `<user>.<session>.<gateway>.<connection>` | one entry for each live connection |
//! | table `tg_gateways` | `<gateway>` | one for each gateway, written anew every second |
//! | table `tg_labels` | `<name>.<value>.<gateway>` | gateways with a connection that has the label |
//! | log `ev`: `tg.ev.conn.opened`, `tg.ev.conn.closed` | | the life of connections, for backends |
//!
//! [`Registrar`] is the gateway's side, [`Reader`] and [`Reaper`] are the control
//! plane's. Nothing here is on the data path: a gateway accepts, serves and
//! closes whatever the registry does.

mod event;
mod key;
mod labels;
mod metrics;
mod pending;
mod reader;
mod reaper;
mod registrar;

use std::time::Duration;

use bus::{Bus, BusError, BusExt, Log, LogLimits, Pattern, Table, TableSpec};

pub use self::{
    event::{CLOSED_SUBJECT, EVENTS_PATTERN, GATEWAY_LOST, OPENED_SUBJECT},
    key::{token, user_token},
    reader::Reader,
    reaper::Reaper,
    registrar::{ConnectionRecord, Registrar, Written},
};

/// Connections by user.
pub(crate) const REGISTRY: Table = Table("tg_registry");

/// Gateways.
pub(crate) const GATEWAYS: Table = Table("tg_gateways");

/// Gateways by label.
pub(crate) const LABELS: Table = Table("tg_labels");

/// How much of the connections' life is kept for backends that were away.
const EVENTS_KEPT: LogLimits = LogLimits {
    messages: 1_000_000,
    age: Duration::from_secs(24 * 60 * 60),
};

/// Makes sure that the tables and the log are there. Idempotent: every process
/// does it at its start, and gateways again when the bus has been away.
///
/// # Errors
/// What the bus says.
pub async fn declare(bus: &dyn Bus) -> Result<(), BusError> {
    for table in [REGISTRY, GATEWAYS, LABELS] {
        // Gateways know everything in them and write it again after a loss.
        let spec = TableSpec {
            table,
            max_age: None,
            durable: false,
        };
        bus.keep_table(spec).await?;
    }
    let log = Log {
        name: "ev".into(),
        patterns: vec![Pattern::new("tg.ev.>").expect("a constant")],
        limits: EVENTS_KEPT,
    };
    bus.keep_log(log).await
}
