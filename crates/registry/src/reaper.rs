//! Clears away what gateways that died left behind: a reconciler, without
//! input, that every control plane runs.
//!
//! Each step can be repeated, by the same control plane or another at the same
//! time: ends are told with the connection's id, which the log keeps once, and
//! the gateway's own entry goes last.

use std::{fmt, sync::Arc, time::Duration};

use bus::{Bus, BusError, BusExt, Entry, Expect, Remove, Request, RequestContext, Subject, Table};
use foldhash::{HashMap, HashMapExt};
use futures_util::{StreamExt, TryStreamExt, future::join_all, stream};
use prost::Message;
use tokio::time::{Instant, sleep};
use wire::{
    GatewayId,
    gateway::{Command, RegisteredConnection, Status, command},
};

use crate::{GATEWAYS, LABELS, REGISTRY, Reader, event, key, metrics::Buried};

/// Between two rounds, on average.
const ROUND: Duration = Duration::from_secs(1);

/// A gateway whose beat stands still for so long is asked whether it lives.
const SUSPECT_AFTER: Duration = Duration::from_secs(3);

/// One that does not answer either is dead after so long.
const DEAD_AFTER: Duration = Duration::from_secs(30);

/// One that has no entry at all is asked after so long.
const ABSENT_AFTER: Duration = Duration::from_secs(10);

/// Between two searches for what gateways without an entry hold, on average.
/// They read the whole registry.
const SWEEP: Duration = Duration::from_secs(60);

/// How long it may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// Connections cleared away at once.
const CONCURRENCY: usize = 512;

/// See the module.
pub struct Reaper {
    bus: Arc<dyn Bus>,
    reader: Reader,
    seen: HashMap<GatewayId, Beat>,
    /// Gateways that hold something and have no entry, since when.
    absent: HashMap<GatewayId, Instant>,
    sweep_at: Instant,
    metrics: Buried,
}

/// A gateway's beat, and since when it has stood at that.
#[derive(Clone, Copy)]
struct Beat {
    count: u64,
    since: Instant,
}

/// What a gateway said when asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Alive,
    Gone,
    Silent,
}

// === impl Reaper ===

impl Reaper {
    /// Works on this bus.
    pub fn new(bus: Arc<dyn Bus>) -> Self {
        Self {
            reader: Reader::new(bus.clone()),
            bus,
            seen: HashMap::new(),
            absent: HashMap::new(),
            sweep_at: Instant::now() + SWEEP.mul_f64(fastrand::f64()),
            metrics: Buried::new(),
        }
    }

    /// Goes round for ever.
    pub async fn run(mut self) {
        loop {
            // Not all control planes at the same moment: one of them finds the
            // work done.
            sleep(ROUND.mul_f64(0.5 + fastrand::f64())).await;
            if let Err(error) = self.round().await {
                tracing::debug!(%error, "the registry can't be read now");
                // What was not seen can't have stood still.
                self.seen.clear();
                self.absent.clear();
            }
        }
    }

    async fn round(&mut self) -> Result<(), BusError> {
        let gateways = self.reader.gateways().await?;
        let now = Instant::now();
        let mut seen = HashMap::with_capacity(gateways.len());
        for (gateway, entry) in gateways {
            let unchanged = self
                .seen
                .get(&gateway)
                .filter(|beat| beat.count == entry.beat);
            let beat = unchanged.copied().unwrap_or(Beat {
                count: entry.beat,
                since: now,
            });
            seen.insert(gateway, beat);
        }
        let suspects = seen.iter().map(|(gateway, beat)| (gateway, beat.since));
        for gateway in self.dead(suspects, SUSPECT_AFTER, now).await {
            self.bury(&gateway).await?;
            seen.remove(&gateway);
        }
        self.seen = seen;
        self.sweep(now).await
    }

    /// Buries gateways that hold something, but have no entry: their burial was
    /// given up, or they died before their first beat.
    async fn sweep(&mut self, now: Instant) -> Result<(), BusError> {
        let seen = &self.seen;
        self.absent.retain(|gateway, _| !seen.contains_key(gateway));
        if now >= self.sweep_at {
            self.sweep_at = now + SWEEP.mul_f64(0.5 + fastrand::f64());
            let mut holders = self.reader.holders().await?;
            holders.retain(|gateway| !self.seen.contains_key(gateway));
            self.absent.retain(|gateway, _| holders.contains(gateway));
            for gateway in holders {
                self.absent.entry(gateway).or_insert(now);
            }
        }
        let suspects = self.absent.iter().map(|(gateway, since)| (gateway, *since));
        for gateway in self.dead(suspects, ABSENT_AFTER, now).await {
            self.bury(&gateway).await?;
            self.absent.remove(&gateway);
        }
        Ok(())
    }

    /// Those of the gateways that are dead, of those that have been silent for
    /// `patience`. All are asked at once: each may take its time.
    async fn dead(
        &self,
        silent: impl Iterator<Item = (&GatewayId, Instant)>,
        patience: Duration,
        now: Instant,
    ) -> Vec<GatewayId> {
        let still = silent.map(|(gateway, since)| (gateway.clone(), now.duration_since(since)));
        let suspects = still.filter(|(_, still)| *still >= patience);
        let asked = suspects.map(|(gateway, still)| async move {
            let dead = match self.ask(&gateway).await {
                Answer::Alive => false,
                Answer::Gone => true,
                Answer::Silent => still >= DEAD_AFTER,
            };
            dead.then_some(gateway)
        });
        let answers = join_all(asked).await;
        answers.into_iter().flatten().collect()
    }

    async fn ask(&self, gateway: &GatewayId) -> Answer {
        let command = Command {
            command: Some(command::Command::Status(Status {})),
        };
        let request = Request {
            subject: Subject::of_gateway(gateway),
            payload: command.encode_to_vec().into(),
            deadline: ANSWER_LIMIT,
            context: RequestContext::default(),
        };
        match self.bus.ask(request).await {
            Ok(_) => Answer::Alive,
            Err(BusError::NoResponders) => Answer::Gone,
            Err(_) => Answer::Silent,
        }
    }

    /// Tells the end of each connection and removes all entries.
    async fn bury(&self, gateway: &GatewayId) -> Result<(), BusError> {
        let connections = self.reader.at_gateway(gateway).await?;
        let count = connections.len();
        tracing::warn!(%gateway, connections = count, "a gateway is dead: clearing away");
        stream::iter(connections)
            .map(|(entry, connection)| self.bury_connection(entry, connection))
            .buffer_unordered(CONCURRENCY)
            .try_collect::<()>()
            .await?;
        let labels = self
            .bus
            .look_up(LABELS, vec![key::labels_at(gateway)])
            .await?;
        for label in labels {
            self.remove(LABELS, label.key, Expect::At(label.revision))
                .await?;
        }
        // Whatever it says now: a gateway that lives after all learns by this
        // that it has to register everything anew.
        self.remove(GATEWAYS, key::of_gateway(gateway), Expect::Anything)
            .await?;
        self.metrics.gateways.increment(1);
        Ok(())
    }

    async fn bury_connection(
        &self,
        entry: Entry,
        connection: Option<RegisteredConnection>,
    ) -> Result<(), BusError> {
        if let Some(connection) = connection {
            let told = event::closed(&connection, event::GATEWAY_LOST);
            self.bus.send(told).await?;
        }
        self.remove(REGISTRY, entry.key, Expect::At(entry.revision))
            .await?;
        self.metrics.connections.increment(1);
        Ok(())
    }

    /// What was written anew meanwhile, by a gateway that lives, stays.
    async fn remove(&self, table: Table, key: Subject, expect: Expect) -> Result<(), BusError> {
        let remove = Remove { table, key, expect };
        match self.bus.erase(remove).await {
            Err(BusError::Conflict) => Ok(()),
            outcome => outcome,
        }
    }
}

impl fmt::Debug for Reaper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reaper")
    }
}
