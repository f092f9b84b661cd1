//! How many connections a user may have across the cluster.
//!
//! A gateway looks when a connection's entry is in the registry: it reads all of
//! the user's entries, and has whoever is too many closed, wherever that is. An
//! entry that is written is seen by every read begun later, so whichever gateway
//! of several reads last sees all of them; and as the order is the same for
//! everyone, what it does agrees with what the others did. Until then there may
//! be more for a moment. Nothing is asked of users who are within the limit
//! beyond that one read.
//!
//! Sessions are counted, not sockets: a client that moves from one gateway to
//! another has two for a while.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use bus::{BusError, BusExt, Request, RequestContext, Subject};
use futures_util::{StreamExt, stream};
use metrics::{Counter, counter};
use prost::Message;
use registry::Reader;
use tokio::sync::mpsc;
use wire::{
    CloseCause, ConnectionId, GatewayId, UserId,
    gateway::{Command, Disconnect, RegisteredConnection, Status, Target, command, target},
};

use crate::gateway::Gateway;

/// Users looked at together.
const CONCURRENCY: usize = 64;

/// How long a gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

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

/// Takes users whose connections are to be counted.
pub(crate) type Looks = mpsc::Sender<UserId>;

struct Enforcer {
    gateway: Arc<Gateway>,
    limit: UserLimit,
    reader: Reader,
    closed: Counter,
    failed: Counter,
}

/// Enforces the limit on the users that `looks` names, until it ends.
pub(crate) async fn enforce(
    gateway: Arc<Gateway>,
    limit: UserLimit,
    mut looks: mpsc::Receiver<UserId>,
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
        .for_each_concurrent(CONCURRENCY, |user| enforcer.look_at(user))
        .await;
}

// === impl Enforcer ===

impl Enforcer {
    async fn look_at(&self, user: UserId) {
        if let Err(error) = self.try_look_at(&user).await {
            // The next connection of the user looks again.
            self.failed.increment(1);
            tracing::warn!(%user, %error, "a user's connections can't be counted");
        }
    }

    async fn try_look_at(&self, user: &UserId) -> Result<(), BusError> {
        let mut entries = self.reader.of_user(user).await?;
        if surplus(&entries, self.limit).is_empty() {
            return Ok(());
        }
        // Entries of a gateway that died stay for a while, and must not keep
        // its users from coming back.
        self.leave_out_the_dead(&mut entries).await;
        for id in surplus(&entries, self.limit) {
            self.close(&id).await?;
            self.closed.increment(1);
        }
        Ok(())
    }

    async fn leave_out_the_dead(&self, entries: &mut Vec<RegisteredConnection>) {
        let mut lives: HashMap<GatewayId, bool> = HashMap::new();
        for entry in &*entries {
            let Some(id) = id_of(entry) else { continue };
            if let Entry::Vacant(unknown) = lives.entry(id.gateway) {
                let status = command::Command::Status(Status {});
                let answer = self.ask(unknown.key(), status).await;
                unknown.insert(answer != Err(BusError::NoResponders));
            }
        }
        entries.retain(|entry| id_of(entry).is_some_and(|id| lives[&id.gateway]));
    }

    async fn close(&self, id: &ConnectionId) -> Result<(), BusError> {
        let disconnect = command::Command::Disconnect(Disconnect {
            target: Some(Target {
                target: Some(target::Target::ConnectionId(id.to_string())),
            }),
            close_code: CloseCause::UserLimit.code().into(),
            ..Disconnect::default()
        });
        match self.ask(&id.gateway, disconnect).await {
            // It went down meanwhile, and its connections with it.
            Err(BusError::NoResponders) => Ok(()),
            outcome => outcome,
        }
    }

    /// Gives a command to a gateway, which may be this one.
    async fn ask(&self, gateway: &GatewayId, command: command::Command) -> Result<(), BusError> {
        let command = Command {
            command: Some(command),
        };
        let request = Request {
            subject: Subject::of_gateway(gateway),
            payload: command.encode_to_vec().into(),
            deadline: PATIENCE,
            context: RequestContext::default(),
        };
        self.gateway.bus.ask(request).await.map(drop)
    }
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
