//! What a user has confirmed: one offset, which only grows, whichever gateways
//! write it at the same time.

use bus::{Bus, BusError, BusExt, Entry, Expect, Put, Subject};
use wire::UserId;

use crate::CURSORS;

/// Tries of one write while others write as well.
const ATTEMPTS: u32 = 8;

/// Where the user's cursor is.
pub fn cursor_key(user: &UserId) -> Subject {
    Subject::new(&registry::user_token(user)).expect("made of one token")
}

/// The offset that the table's answer for one user holds; zero: nothing is
/// confirmed.
pub fn cursor_of(entries: &[Entry]) -> u64 {
    entries.first().map_or(0, offset_in)
}

/// Up to which offset the user has confirmed; zero: nothing.
///
/// # Errors
/// What the bus says.
pub async fn acknowledged(bus: &dyn Bus, user: &UserId) -> Result<u64, BusError> {
    let entries = bus.look_up(CURSORS, vec![cursor_key(user).into()]).await?;
    Ok(cursor_of(&entries))
}

/// Moves the user's cursor to `up_to`, unless it is further already. Repeating it
/// changes nothing.
///
/// # Errors
/// What the bus says; [`BusError::Conflict`] if others were quicker again and
/// again.
pub async fn acknowledge(bus: &dyn Bus, user: &UserId, up_to: u64) -> Result<(), BusError> {
    let key = cursor_key(user);
    for _ in 0..ATTEMPTS {
        let entries = bus.look_up(CURSORS, vec![key.clone().into()]).await?;
        if cursor_of(&entries) >= up_to {
            return Ok(());
        }
        let put = Put {
            table: CURSORS,
            key: key.clone(),
            value: up_to.to_be_bytes().to_vec().into(),
            expect: entries
                .first()
                .map_or(Expect::Absent, |entry| Expect::At(entry.revision)),
        };
        match bus.write(put).await {
            Err(BusError::Conflict) => {}
            outcome => return outcome.map(drop),
        }
    }
    Err(BusError::Conflict)
}

/// What is no offset confirms nothing.
fn offset_in(entry: &Entry) -> u64 {
    let bytes = entry.value[..].try_into();
    bytes.map_or(0, u64::from_be_bytes)
}
