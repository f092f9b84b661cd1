//! How a mailbox stands, for people and backends.

use bus::{Bus, BusError, BusExt};
use wire::UserId;

use crate::{acknowledged, page_after};

/// How a user's mailbox stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Everything up to this offset is confirmed; zero: nothing that is kept.
    pub acknowledged_up_to: u64,
    /// Offset of the newest message that is known, kept or not any more; zero: there
    /// is none.
    pub newest: u64,
    /// Messages kept that are not confirmed.
    pub unacknowledged: u64,
}

/// Reads how the user's mailbox stands: a request for the cursor, and one for each
/// page of what is not confirmed.
///
/// # Errors
/// What the bus says.
pub async fn standing(bus: &dyn Bus, user: &UserId) -> Result<Standing, BusError> {
    let acknowledged_up_to = acknowledged(bus, user).await?;
    let mut standing = Standing {
        acknowledged_up_to,
        ..Standing::default()
    };
    let mut after = acknowledged_up_to;
    loop {
        let page = bus.read(page_after(user, after)).await?;
        standing.newest = standing.newest.max(page.position.offset.0);
        standing.unacknowledged += page.messages.len() as u64;
        match page.messages.last() {
            Some(last) if page.more => after = last.offset.0,
            _ => return Ok(standing),
        }
    }
}
