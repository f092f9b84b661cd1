//! What is kept, for those who ask.

use bus::{Bus, BusError, BusExt};
use wire::{UserId, control};

use crate::{WILLS, event, key, will::Kept};

/// The wills of a user, or all (`None`), the longest armed first. Reads them all
/// at once.
///
/// # Errors
/// If the bus can't say.
pub async fn list(bus: &dyn Bus, user: Option<&UserId>) -> Result<Vec<control::Will>, BusError> {
    let keys = user.map_or_else(key::all, key::of_user);
    let entries = bus.look_up(WILLS, vec![keys]).await?;
    let mut wills: Vec<_> = entries.into_iter().filter_map(Kept::read).collect();
    wills.sort_by(|one, other| {
        let rank = |kept: &Kept| (kept.will.armed_at_ms, kept.revision);
        rank(one).cmp(&rank(other))
    });
    Ok(wills
        .iter()
        .filter_map(|kept| event::describe(&kept.will))
        .collect())
}
