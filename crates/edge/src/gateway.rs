//! What all threads of a gateway share.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bus::{Bus, BusState};
use foldhash::HashMap;
use journal::Desk;
use keyring::Keyring;
use presence::Roster;
use registry::Registrar;
use revocations::Revoked;
use spans::Tracer;
use tokio::sync::Semaphore;

use crate::{
    acks::Acks,
    budget::Budget,
    command::Queries,
    config::EdgeConfig,
    desks::Desks,
    drain::Drain,
    fallback::Carriers,
    fanout::Fanout,
    front::{Door, Places, Unfinished},
    hook::Hook,
    mailbox::Mailbox,
    metrics::Metrics,
    parties::Parties,
    past::PastCloses,
    route::Route,
    shard::Mail,
};

/// Shared by the front and the shards; nothing in it is on the path of a
/// delivery.
pub(crate) struct Gateway {
    pub(crate) config: EdgeConfig,
    pub(crate) bus: Arc<dyn Bus>,
    /// Absent: no spans are made.
    pub(crate) tracer: Option<Arc<Tracer>>,
    pub(crate) keyring: Arc<Keyring>,
    /// Reads tokens that nobody here can; absent: nobody does.
    pub(crate) hook: Option<Hook>,
    /// Who we are to clients; absent: the port has no TLS.
    pub(crate) tls: Option<Arc<tls::Server>>,
    /// Whose access was taken back.
    pub(crate) revoked: Revoked,
    /// What the front does for shards.
    pub(crate) desks: Desks,
    /// Tells the cluster who is connected; absent: nobody asks.
    pub(crate) registrar: Option<Arc<Registrar>>,
    /// What users have confirmed of their mailboxes.
    pub(crate) acks: Arc<Acks>,
    /// Takes requests with an idempotency key.
    pub(crate) journal: Desk,
    pub(crate) fanout: Arc<Fanout>,
    /// Who is in channels; absent: no namespace keeps that.
    pub(crate) roster: Option<Arc<Roster>>,
    pub(crate) shards: Box<[ShardHandle]>,
    pub(crate) metrics: Metrics,
    /// By the name that clients call: what `config.policies` allows.
    pub(crate) routes: HashMap<Box<str>, Arc<Route>>,
    /// Commands of the control plane that are not answered yet.
    pub(crate) queries: Queries,
    /// What users and addresses send.
    pub(crate) parties: Parties,
    /// What outboxes hold.
    pub(crate) budget: Budget,
    /// Decides who gets in now.
    pub(crate) door: Door,
    /// HTTP handshakes that may be under way; each holds some 20 KiB.
    pub(crate) handshakes: Semaphore,
    /// Connections beyond the limit that may wait for their refusal.
    pub(crate) refusals: Semaphore,
    /// The upper half of every session id made here; random.
    pub(crate) session_prefix: u128,
    /// Connections from accept to their end: as many as the configuration's cap, or
    /// descriptors, allow.
    pub(crate) places: Places,
    /// Those of them that have said no valid Hello.
    pub(crate) unfinished: Unfinished,
    /// Connections that plain HTTP requests carry.
    pub(crate) carriers: Carriers,
    pub(crate) drain: Drain,
    /// How connections ended.
    pub(crate) past: PastCloses,
    /// Unix time in milliseconds.
    pub(crate) started_at_ms: i64,
}

/// How other threads reach a shard.
pub(crate) struct ShardHandle {
    pub(crate) mailbox: Mailbox,
    /// Connections given to it and not ended.
    pub(crate) load: AtomicUsize,
}

// === impl Gateway ===

impl Gateway {
    /// Connections that shards hold.
    pub(crate) fn connections_held(&self) -> usize {
        let load = |shard: &ShardHandle| shard.load.load(Ordering::Relaxed);
        self.shards.iter().map(load).sum()
    }

    /// Sockets that were accepted and that no shard has.
    pub(crate) fn connections_arriving(&self) -> usize {
        self.places.taken().saturating_sub(self.connections_held())
    }

    /// Has every connection registered anew.
    pub(crate) fn announce(&self) {
        for shard in &self.shards {
            shard.mailbox.push(Mail::Announce);
        }
    }

    /// Tells the shards how the bus is, until there is none.
    pub(crate) async fn follow_bus(&self) {
        let mut state = self.bus.state();
        loop {
            let up = *state.borrow_and_update() == BusState::Up;
            for shard in &self.shards {
                shard.mailbox.push(Mail::BusIs { up });
            }
            if state.changed().await.is_err() {
                return;
            }
        }
    }

    /// Takes a place on the shard that holds the fewest connections.
    pub(crate) fn least_loaded_shard(&self) -> &ShardHandle {
        let load = |shard: &&ShardHandle| shard.load.load(Ordering::Relaxed);
        let shard = self
            .shards
            .iter()
            .min_by_key(load)
            .expect("a gateway has at least one shard");
        shard.load.fetch_add(1, Ordering::Relaxed);
        shard
    }
}

/// Connections that the process's descriptors allow, with `reserved` left over.
pub(crate) fn descriptor_budget(reserved: u64) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Raising the soft limit to the hard one needs no privilege; if it fails,
    // the soft limit holds.
    let current = if setrlimit(Resource::Nofile, raised).is_ok() {
        limit.maximum
    } else {
        limit.current
    };
    current.map_or(usize::MAX, |descriptors| {
        usize::try_from(descriptors.saturating_sub(reserved)).unwrap_or(usize::MAX)
    })
}

/// 64 bits that no other process has.
pub(crate) fn random_prefix() -> u128 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id()).into()
}
