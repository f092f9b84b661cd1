//! Clears away what gateways that died left behind: a reconciler, without
//! input, that every control plane runs. See docs/adr/0006.
//!
//! Each step can be repeated, by the same control plane or another at the same
//! time: ends are told with the connection's id, which the log keeps once, and
//! the gateway's own entry goes last.

use std::{fmt, sync::Arc, time::Duration};

use bus::{Bus, BusError, BusExt, Entry, Expect, Remove, Request, RequestContext, Subject, Table};
use foldhash::{HashMap, HashMapExt};
use futures_util::{StreamExt, TryStreamExt, stream};
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

/// How long it may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// Connections cleared away at once.
const CONCURRENCY: usize = 512;

/// See the module.
pub struct Reaper {
    bus: Arc<dyn Bus>,
    reader: Reader,
    seen: HashMap<GatewayId, Beat>,
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
            let still = now.duration_since(beat.since);
            if still < SUSPECT_AFTER || !self.is_dead(&gateway, still).await {
                seen.insert(gateway, beat);
            } else {
                self.bury(&gateway).await?;
            }
        }
        self.seen = seen;
        Ok(())
    }

    async fn is_dead(&self, gateway: &GatewayId, still: Duration) -> bool {
        match self.ask(gateway).await {
            Answer::Alive => false,
            Answer::Gone => true,
            Answer::Silent => still >= DEAD_AFTER,
        }
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
            self.remove(LABELS, label.key).await?;
        }
        self.remove(GATEWAYS, key::of_gateway(gateway)).await?;
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
        self.remove(REGISTRY, entry.key).await?;
        self.metrics.connections.increment(1);
        Ok(())
    }

    async fn remove(&self, table: Table, key: Subject) -> Result<(), BusError> {
        let remove = Remove {
            table,
            key,
            expect: Expect::Anything,
        };
        self.bus.erase(remove).await
    }
}

impl fmt::Debug for Reaper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reaper")
    }
}
