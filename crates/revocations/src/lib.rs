//! Revocations: users, tokens and sessions whose access was taken back.
//!
//! | where | key | what |
//! |---|---|---|
//! | table `tg_revoked` | `user.<user>`, `token.<token id>`, `session.<session>` | one entry for each |
//!
//! The control plane stores a [`Revocation`] ([`store`]) and then tells every
//! gateway. Gateways keep all of them in mind ([`Revoked`]), as every token and
//! every ticket is compared with them; they read the whole table ([`all`]) at their
//! start, when the bus has been away, and now and then.

mod revocation;
mod revoked;

use std::time::Duration;

use bus::{Bus, BusError, BusExt, Entry, Expect, Pattern, Put, Table, TableSpec};
use prost::Message;
use wire::gateway;

pub use self::{
    revocation::{Malformed, Revocation, Whom},
    revoked::{Bearer, Revoked},
};

/// How long revocations are kept, and so how long a token or ticket may count at
/// most: 30 days.
pub const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Revocations by what they take back.
const REVOKED: Table = Table("tg_revoked");

/// Tries of one write while others write as well.
const ATTEMPTS: u32 = 8;

/// Makes sure that the table is there. Idempotent.
///
/// # Errors
/// What the bus says.
pub async fn declare(bus: &dyn Bus) -> Result<(), BusError> {
    bus.keep_table(TableSpec {
        table: REVOKED,
        max_age: Some(KEPT),
        durable: true,
    })
    .await
}

/// Keeps a revocation, joined with an earlier one of the same. Repeating it changes
/// nothing.
///
/// # Errors
/// What the bus says; [`BusError::Conflict`] if others were quicker again and
/// again.
pub async fn store(bus: &dyn Bus, revocation: &Revocation) -> Result<(), BusError> {
    let key = revocation.whom.key();
    for _ in 0..ATTEMPTS {
        let entries = bus.look_up(REVOKED, vec![key.clone().into()]).await?;
        let earlier = entries.first();
        let joined = match earlier.and_then(read) {
            Some(earlier) => revocation.clone().and(&earlier),
            None => revocation.clone(),
        };
        let put = Put {
            table: REVOKED,
            key: key.clone(),
            value: joined.message().encode_to_vec().into(),
            expect: earlier.map_or(Expect::Absent, |entry| Expect::At(entry.revision)),
        };
        match bus.write(put).await {
            Err(BusError::Conflict) => {}
            outcome => return outcome.map(drop),
        }
    }
    Err(BusError::Conflict)
}

/// Reads all that are kept.
///
/// # Errors
/// What the bus says.
pub async fn all(bus: &dyn Bus) -> Result<Vec<Revocation>, BusError> {
    let everything = vec![Pattern::new("*.*").expect("a constant")];
    let entries = bus.look_up(REVOKED, everything).await?;
    Ok(entries.iter().filter_map(read).collect())
}

/// Whether access was taken back from the bearer, by the table.
///
/// # Errors
/// What the bus says.
pub async fn is_revoked(bus: &dyn Bus, bearer: &Bearer<'_>) -> Result<bool, BusError> {
    let names = bearer.names().into_iter().flatten();
    let keys = names.map(|name| name.key().into()).collect();
    let entries = bus.look_up(REVOKED, keys).await?;
    let mut revocations = entries.iter().filter_map(read);
    Ok(revocations.any(|revocation| revocation.means(bearer)))
}

/// What is no revocation takes nothing back: control planes write them whole.
fn read(entry: &Entry) -> Option<Revocation> {
    let message = gateway::Revocation::decode(&*entry.value).ok()?;
    Revocation::read(message).ok()
}

#[cfg(test)]
mod tests {
    use bus::MemoryBus;
    use wire::{SessionId, UserId};

    use super::*;

    fn of(whom: Whom, issued_before_ms: i64) -> Revocation {
        Revocation {
            whom,
            issued_before_ms,
            until_ms: issued_before_ms + 1_000,
            grace_ms: 0,
        }
    }

    #[tokio::test]
    async fn all_that_were_stored_are_read_and_the_later_of_two_counts() {
        let bus = MemoryBus::new();
        declare(&bus).await.expect("declared");
        let user = Whom::User(UserId::new("al ice>").expect("valid"));
        let token = Whom::Token("a.b*".into());
        let session = Whom::Session(SessionId(7));
        for revocation in [
            of(user.clone(), 20),
            of(user.clone(), 10),
            of(token.clone(), 0),
            of(session.clone(), 0),
        ] {
            store(&bus, &revocation).await.expect("stored");
        }
        let mut read = all(&bus).await.expect("read");
        read.sort_by_key(|it| it.whom.key().to_string());
        assert_eq!(read, [of(session, 0), of(token, 0), of(user, 20)]);
    }
}
