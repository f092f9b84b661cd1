//! How many connections a user may have across the cluster.
//!
//! A gateway looks when a connection's entry is in the registry: it reads all of
//! the user's entries, and has whoever is too many closed, wherever that is. An
//! entry that is written is seen by every read begun later, so whichever gateway
//! of several reads last sees all of them; and as the order is the same for
//! everyone, what it does agrees with what the others did. Until then there may
//! be more for a moment. Nothing is asked of users who are within the limit
//! beyond that one read; otherwise the gateways say which connections are there.
//!
//! Sessions are counted, not sockets: a client that moves from one gateway to
//! another has two for a while.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc};

use bus::BusError;
use futures_util::{StreamExt, stream};
use metrics::{Counter, counter};
use registry::Reader;
use tokio::sync::mpsc;
use wire::{
    CloseCause, ConnectionId, UserId,
    gateway::{Disconnect, RegisteredConnection, command::Command, command_reply::Reply},
};

use crate::{gateway::Gateway, peers};

/// Users looked at together.
const CONCURRENCY: usize = 64;

/// Connections of one user asked after together.
const ASKED_TOGETHER: usize = 16;

/// A bound on the connections of each user, in the whole cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserLimit {
    /// How many sessions may be connected at once; at least one is let be.
    pub max: u32,
    /// Who goes when there are more.
    pub when_full: WhenFull,
}

/// Who goes when a user has too many connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The newest: whoever is there is left alone.
    RefuseNew,
    /// The oldest: who comes last is let in.
    CloseOldest,
}

/// A user whose connections are to be counted.
pub(crate) struct Look {
    pub(crate) user: UserId,
    /// What a token of his allows; absent: as much as the gateway does.
    pub(crate) at_most: Option<NonZeroU32>,
}

/// Takes users whose connections are to be counted.
pub(crate) type Looks = mpsc::Sender<Look>;

struct Enforcer {
    gateway: Arc<Gateway>,
    /// Absent: only what tokens say.
    limit: Option<UserLimit>,
    reader: Reader,
    closed: Counter,
    failed: Counter,
}

/// Enforces the limit, and those of tokens, on the users that `looks` names, until
/// it ends.
pub(crate) async fn enforce(
    gateway: Arc<Gateway>,
    limit: Option<UserLimit>,
    mut looks: mpsc::Receiver<Look>,
) {
    let enforcer = Enforcer {
        reader: Reader::new(gateway.bus.clone()),
        gateway,
        limit,
        closed: counter!("tidegate_edge_user_limit_closed_total"),
        failed: counter!("tidegate_edge_user_limit_failures_total"),
    };
    let users = stream::poll_fn(|cx| looks.poll_recv(cx));
    users
        .for_each_concurrent(CONCURRENCY, |look| enforcer.look_at(look))
        .await;
}

// === impl Enforcer ===

impl Enforcer {
    async fn look_at(&self, look: Look) {
        let Some(limit) = narrow(self.limit, look.at_most) else {
            return;
        };
        let user = look.user;
        if let Err(error) = self.try_look_at(&user, limit).await {
            // The next connection of the user looks again.
            self.failed.increment(1);
            tracing::warn!(%user, %error, "a user's connections can't be counted");
        }
    }

    async fn try_look_at(&self, user: &UserId, limit: UserLimit) -> Result<(), BusError> {
        let entries = self.reader.of_user(user).await?;
        if surplus(&entries, limit).is_empty() {
            return Ok(());
        }
        let entries = self.those_there(entries).await;
        let mut outcome = Ok(());
        for id in surplus(&entries, limit) {
            // The others are closed whatever becomes of one of them.
            match self.close(&id).await {
                Ok(closed) => self.closed.increment(closed),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// Leaves out entries that outlived their connections: for a moment when a
    /// page is loaded again, longer when a gateway dies. They must not keep the
    /// user out, who is told not to come back. Who can't be asked about counts.
    async fn those_there(&self, entries: Vec<RegisteredConnection>) -> Vec<RegisteredConnection> {
        let asked = stream::iter(entries).map(async |entry| {
            let there = match id_of(&entry) {
                Some(id) => peers::is_there(&self.gateway, &id).await.unwrap_or(true),
                None => false,
            };
            there.then_some(entry)
        });
        let there = asked.buffer_unordered(ASKED_TOGETHER);
        there.filter_map(async |entry| entry).collect().await
    }

    /// Has a connection closed, and says how many were: it may have gone meanwhile.
    async fn close(&self, id: &ConnectionId) -> Result<u64, BusError> {
        let disconnect = Command::Disconnect(Disconnect {
            target: peers::to_connection(id),
            close_code: CloseCause::UserLimit.code().into(),
            ..Disconnect::default()
        });
        match peers::ask(&self.gateway, &id.gateway, disconnect).await? {
            Some(Reply::Disconnected(disconnected)) => Ok(disconnected.count),
            Some(_) => Err(BusError::Overloaded),
            // It went down, and its connections with it.
            None => Ok(0),
        }
    }
}

/// The limit that counts for a user whose token has one of its own.
fn narrow(limit: Option<UserLimit>, at_most: Option<NonZeroU32>) -> Option<UserLimit> {
    let Some(at_most) = at_most.map(NonZeroU32::get) else {
        return limit;
    };
    let limit = limit.unwrap_or(UserLimit {
        max: at_most,
        when_full: WhenFull::RefuseNew,
    });
    let max = limit.max.min(at_most);
    Some(UserLimit { max, ..limit })
}

/// The connections that are too many, of those that a user has. The same
/// whoever asks: sessions stand in the order of their oldest connection.
fn surplus(entries: &[RegisteredConnection], limit: UserLimit) -> Vec<ConnectionId> {
    let age = |entry: &RegisteredConnection| (entry.connected_at_ms, entry.connection_id.clone());
    let mut since: HashMap<&str, (i64, String)> = HashMap::new();
    for entry in entries {
        let age = age(entry);
        let oldest = since
            .entry(&entry.session_id)
            .or_insert_with(|| age.clone());
        if age < *oldest {
            *oldest = age;
        }
    }
    let max = limit.max.max(1) as usize;
    let mut sessions: Vec<_> = since.into_iter().collect();
    if sessions.len() <= max {
        return Vec::new();
    }
    sessions.sort_by(|(_, one), (_, other)| one.cmp(other));
    let going = match limit.when_full {
        WhenFull::RefuseNew => &sessions[max..],
        WhenFull::CloseOldest => &sessions[..sessions.len() - max],
    };
    let goes = |session: &str| going.iter().any(|(going, _)| *going == session);
    let gone = entries.iter().filter(|entry| goes(&entry.session_id));
    gone.filter_map(id_of).collect()
}

fn id_of(entry: &RegisteredConnection) -> Option<ConnectionId> {
    entry.connection_id.parse().ok()
}

#[cfg(test)]
mod tests {
    use wire::GatewayId;

    use super::*;

    fn entry(session: &str, slot: u32, connected_at_ms: i64) -> RegisteredConnection {
        let id = ConnectionId {
            gateway: GatewayId::new("gw").expect("valid"),
            shard: 0,
            slot,
            generation: 1,
        };
        RegisteredConnection {
            connection_id: id.to_string(),
            session_id: session.to_owned(),
            connected_at_ms,
            ..RegisteredConnection::default()
        }
    }

    fn slots(entries: &[RegisteredConnection], max: u32, when_full: WhenFull) -> Vec<u32> {
        let going = surplus(entries, UserLimit { max, when_full });
        going.into_iter().map(|id| id.slot).collect()
    }

    #[test]
    fn the_newest_or_the_oldest_go_in_whatever_order_they_are_read() {
        let mut entries = vec![entry("a", 1, 10), entry("b", 2, 20), entry("c", 3, 30)];
        for _ in 0..3 {
            entries.rotate_left(1);
            assert_eq!(slots(&entries, 3, WhenFull::RefuseNew), [0; 0]);
            assert_eq!(slots(&entries, 2, WhenFull::RefuseNew), [3]);
            assert_eq!(slots(&entries, 2, WhenFull::CloseOldest), [1]);
        }
    }

    #[test]
    fn equal_ages_are_ordered_all_the_same() {
        let entries = [entry("b", 2, 10), entry("a", 1, 10)];
        assert_eq!(slots(&entries, 1, WhenFull::RefuseNew), [2]);
        assert_eq!(slots(&entries, 1, WhenFull::CloseOldest), [1]);
    }

    #[test]
    fn a_session_that_moves_counts_once_and_stands_where_it_began() {
        let entries = [entry("a", 1, 10), entry("b", 2, 20), entry("a", 3, 30)];
        assert_eq!(slots(&entries, 2, WhenFull::RefuseNew), [0; 0]);
        assert_eq!(slots(&entries, 1, WhenFull::RefuseNew), [2]);
        assert_eq!(slots(&entries, 1, WhenFull::CloseOldest), [1, 3]);
    }
}
