//! One live connection for each session.
//!
//! A connection that took up a session ends the session's older ones, wherever
//! they are: once its entry is in the registry, its gateway reads the entries of
//! the session and tells the gateways that hold any but the newest to close them.
//! The order is the same for everyone: [`Rank`]. Of two connections that come at
//! once each is written before it is looked for others, so the later look sees
//! both; and whoever sees both does what is to be done, also to its own one.
//!
//! Nothing is asked of a session's first connection: the others came after it.
//! Unless its entry was late, and may have been missed by theirs.
//!
//! What can't be done now is tried again, a few times; while the bus is away
//! claims wait for it. An older connection that was left alone nevertheless ends by
//! its heartbeat if nobody is there any more.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bus::{BusError, BusState};
use futures_util::{StreamExt, stream};
use metrics::{Counter, counter};
use registry::{ConnectionRecord, Reader};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use wire::{
    ConnectionId, GatewayId, SessionId, UserId,
    gateway::{Fence, RegisteredConnection, Target, command::Command, target},
};

use crate::{gateway::Gateway, peers};

/// Claims worked on together. Each is one read in most cases; a gateway that
/// hangs holds those for its connections for some 20 s.
const CONCURRENCY: usize = 512;

/// Tries of one claim, and the wait after the first: doubled each time, with
/// jitter.
const TRIES: u32 = 5;
const RETRY: Duration = Duration::from_millis(500);

/// An entry that took longer to be written may have been missed by a client that
/// was back meanwhile. When very many come at once they all take longer, so it
/// must not be too short either.
const LATE: Duration = Duration::from_secs(1);

/// A connection that wants to be its session's only one.
pub(crate) struct Claim {
    id: ConnectionId,
    pub(crate) user: UserId,
    session: SessionId,
    epoch: u64,
    opened: Instant,
}

/// Takes connections whose entries are written.
pub(crate) type Claims = mpsc::Sender<Claim>;

/// A connection's place among those of its session; the greatest one stays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    epoch: u64,
    /// Of two that came with the same ticket, the client holds the later one. By
    /// the gateways' own clocks.
    connected_at_ms: i64,
    id: ConnectionId,
}

struct Fencer {
    gateway: Arc<Gateway>,
    reader: Reader,
    alone: Counter,
    fenced: Counter,
    failed: Counter,
}

/// Sees to it that of every session that `claims` names one connection stays,
/// until it ends.
pub(crate) async fn fence(gateway: Arc<Gateway>, mut claims: mpsc::Receiver<Claim>) {
    let result = |label: &'static str| counter!("tidegate_edge_fencings_total", "result" => label);
    let fencer = Fencer {
        reader: Reader::new(gateway.bus.clone()),
        gateway,
        alone: result("alone"),
        fenced: result("fenced"),
        failed: result("failed"),
    };
    let claims = stream::poll_fn(|cx| claims.poll_recv(cx));
    claims
        .for_each_concurrent(CONCURRENCY, |claim| fencer.settle(claim))
        .await;
}

// === impl Claim ===

impl Claim {
    pub(crate) fn of(record: &ConnectionRecord) -> Self {
        Self {
            id: record.id.clone(),
            user: record.user.clone(),
            session: record.session,
            epoch: record.entry.session_epoch,
            opened: Instant::now(),
        }
    }

    /// Whether there may be another connection of the session that does not know
    /// of this one. To be asked when the entry is written.
    pub(crate) fn may_have_rivals(&self) -> bool {
        self.epoch > 1 || self.opened.elapsed() > LATE
    }
}

// === impl Rank ===

impl Rank {
    fn of(entry: &RegisteredConnection) -> Option<Self> {
        Some(Self {
            epoch: entry.session_epoch,
            connected_at_ms: entry.connected_at_ms,
            id: entry.connection_id.parse().ok()?,
        })
    }
}

// === impl Fencer ===

impl Fencer {
    async fn settle(&self, claim: Claim) {
        let mut wait = RETRY;
        for tries_left in (0..TRIES).rev() {
            self.bus_is_up().await;
            match self.try_settle(&claim).await {
                Ok(0) => return self.alone.increment(1),
                Ok(_) => return self.fenced.increment(1),
                Err(error) if tries_left == 0 => {
                    self.failed.increment(1);
                    let (user, session) = (&claim.user, claim.session);
                    tracing::warn!(%user, %session, %error, "older connections of a session may be left");
                }
                Err(_) => {
                    sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                    wait *= 2;
                }
            }
        }
    }

    async fn bus_is_up(&self) {
        let mut state = self.gateway.bus.state();
        // An error says that the bus is gone for good: the tries will say so, too.
        drop(state.wait_for(|state| *state == BusState::Up).await);
    }

    /// Has all but the newest connection ended, and says how many gateways it took.
    async fn try_settle(&self, claim: &Claim) -> Result<usize, BusError> {
        let entries = self.reader.of_user_session(&claim.user, claim.session);
        let mut ranks: BTreeSet<Rank> = entries.await?.iter().filter_map(Rank::of).collect();
        let Some(newest) = self.take_newest(&claim.id, &mut ranks).await? else {
            return Ok(0);
        };
        let holders: BTreeSet<GatewayId> = ranks.into_iter().map(|it| it.id.gateway).collect();
        let mut outcome = Ok(holders.len());
        for holder in holders {
            // The others are told whatever one of them does.
            if let Err(error) = self.fence_off(&holder, claim.session, &newest).await {
                outcome = Err(error);
            }
        }
        outcome
    }

    /// Takes out the newest connection: `own`, or one that is there. An entry may
    /// outlive its connection, by long if the gateway died, and must not end others.
    async fn take_newest(
        &self,
        own: &ConnectionId,
        ranks: &mut BTreeSet<Rank>,
    ) -> Result<Option<Rank>, BusError> {
        while ranks.len() > 1 {
            let newest = ranks.pop_last().expect("not empty");
            if newest.id == *own || peers::is_there(&self.gateway, &newest.id).await? {
                return Ok(Some(newest));
            }
        }
        Ok(None)
    }

    async fn fence_off(
        &self,
        holder: &GatewayId,
        session: SessionId,
        newest: &Rank,
    ) -> Result<(), BusError> {
        let fence = Command::Fence(Fence {
            target: Some(Target {
                target: Some(target::Target::SessionId(session.to_string())),
            }),
            connection_id: newest.id.to_string(),
            session_epoch: newest.epoch,
            connected_at_ms: newest.connected_at_ms,
        });
        peers::ask(&self.gateway, holder, fence).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(session_epoch: u64) -> ConnectionRecord {
        ConnectionRecord {
            id: rank(0, 0, 0).id,
            session: SessionId(1),
            user: UserId::new("ann").expect("valid"),
            entry: RegisteredConnection {
                session_epoch,
                ..RegisteredConnection::default()
            },
        }
    }

    fn rank(epoch: u64, connected_at_ms: i64, slot: u32) -> Rank {
        let gateway = GatewayId::new("gw").expect("valid");
        let id = ConnectionId {
            gateway,
            shard: 0,
            slot,
            generation: 1,
        };
        Rank {
            epoch,
            connected_at_ms,
            id,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_connection_has_rivals_only_if_its_entry_was_late() {
        let (first, later) = (Claim::of(&record(1)), Claim::of(&record(2)));
        assert!(!first.may_have_rivals());
        assert!(later.may_have_rivals());
        tokio::time::advance(2 * LATE).await;
        assert!(first.may_have_rivals());
    }

    #[test]
    fn epochs_come_before_times_and_times_before_ids() {
        let mut ranks = vec![
            rank(2, 10, 9),
            rank(2, 20, 1),
            rank(2, 20, 2),
            rank(3, 1, 1),
        ];
        let sorted = ranks.clone();
        for _ in 0..4 {
            ranks.rotate_left(1);
            let mut again = ranks.clone();
            again.sort();
            assert_eq!(again, sorted);
        }
    }
}
