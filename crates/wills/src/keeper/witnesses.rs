//! Asks the gateways themselves whether they hold a session, before its will is
//! fired.
//!
//! The registry alone is not enough: it is written behind the connections, and its
//! tables are in memory, so that they are empty when the servers come back.
//! Gateways that were seen once are therefore asked even if no table names them.

use std::{sync::Arc, time::Duration};

use bus::{Bus, BusError, BusExt, Request, RequestContext, Subject};
use foldhash::{HashMap, HashSet};
use futures_util::future::join_all;
use parking_lot::Mutex;
use prost::Message;
use registry::Reader;
use tokio::time::Instant;
use wire::{
    GatewayId, SessionId,
    gateway::{
        Command, CommandReply, CountConnections, Target, command, command_reply::Reply, target,
    },
};

/// How long a gateway may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// A gateway that has been silent for so long holds nobody who could do anything;
/// the others' wills don't wait for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the list of gateways counts.
const FRESH: Duration = Duration::from_secs(1);

/// What the gateways say of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// One of them holds it.
    Present,
    /// None does.
    Absent,
    /// Somebody did not answer.
    Unsure,
}

/// See the module.
pub(super) struct Witnesses {
    bus: Arc<dyn Bus>,
    reader: Reader,
    // A lock: held for map operations, twice per will that is due.
    roll: Mutex<Roll>,
}

#[derive(Default)]
struct Roll {
    /// Gateways that live, as far as is known; since when they are silent.
    /// Bounded by the gateways that are registered or were seen to live.
    known: HashMap<GatewayId, Option<Instant>>,
    registered: HashSet<GatewayId>,
    read_at: Option<Instant>,
}

/// What one gateway says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Testimony {
    Holds,
    HoldsNot,
    Gone,
    Silent,
}

// === impl Witnesses ===

impl Witnesses {
    pub(super) fn new(bus: Arc<dyn Bus>, reader: Reader) -> Self {
        Self {
            bus,
            reader,
            roll: Mutex::default(),
        }
    }

    /// Asks them all.
    ///
    /// # Errors
    /// If the bus can't say who they are.
    pub(super) async fn see(&self, session: SessionId) -> Result<Sight, BusError> {
        self.refresh().await?;
        let gateways: Vec<_> = self.roll.lock().known.keys().cloned().collect();
        let asked = gateways.into_iter().map(|gateway| async move {
            let testimony = self.ask(&gateway, session).await;
            (gateway, testimony)
        });
        let answers = join_all(asked).await;
        let mut roll = self.roll.lock();
        let mut sight = Sight::Absent;
        for (gateway, testimony) in answers {
            match (roll.enter(gateway, testimony), sight) {
                (Sight::Present, _) => sight = Sight::Present,
                (Sight::Unsure, Sight::Absent) => sight = Sight::Unsure,
                _ => {}
            }
        }
        Ok(sight)
    }

    /// Learns of gateways, once a second at most.
    pub(super) async fn refresh(&self) -> Result<(), BusError> {
        if self
            .roll
            .lock()
            .read_at
            .is_some_and(|at| at.elapsed() < FRESH)
        {
            return Ok(());
        }
        let registered = self.reader.gateways().await?;
        let mut roll = self.roll.lock();
        roll.read_at = Some(Instant::now());
        roll.registered = registered.into_iter().map(|(gateway, _)| gateway).collect();
        let Roll {
            known, registered, ..
        } = &mut *roll;
        for gateway in registered.iter() {
            known.entry(gateway.clone()).or_default();
        }
        Ok(())
    }

    async fn ask(&self, gateway: &GatewayId, session: SessionId) -> Testimony {
        let target = Target {
            target: Some(target::Target::SessionId(session.to_string())),
        };
        let command = Command {
            command: Some(command::Command::CountConnections(CountConnections {
                target: Some(target),
            })),
        };
        let request = Request {
            subject: Subject::of_gateway(gateway),
            payload: command.encode_to_vec().into(),
            deadline: ANSWER_LIMIT,
            context: RequestContext::default(),
        };
        match self.bus.ask(request).await {
            Ok(reply) => Testimony::read(reply.payload),
            Err(BusError::NoResponders) => Testimony::Gone,
            Err(_) => Testimony::Silent,
        }
    }
}

// === impl Roll ===

impl Roll {
    /// Notes what a gateway said.
    fn enter(&mut self, gateway: GatewayId, testimony: Testimony) -> Sight {
        let now = Instant::now();
        let registered = self.registered.contains(&gateway);
        match testimony {
            Testimony::Holds | Testimony::HoldsNot => {
                self.known.insert(gateway, None);
                match testimony {
                    Testimony::Holds => Sight::Present,
                    _ => Sight::Absent,
                }
            }
            Testimony::Gone => {
                if !registered {
                    self.known.remove(&gateway);
                }
                Sight::Absent
            }
            Testimony::Silent => {
                let since = self.known.entry(gateway.clone()).or_default();
                let silent = now.duration_since(*since.get_or_insert(now));
                if silent < PATIENCE {
                    return Sight::Unsure;
                }
                if !registered {
                    self.known.remove(&gateway);
                }
                Sight::Absent
            }
        }
    }
}

// === impl Testimony ===

impl Testimony {
    fn read(reply: bytes::Bytes) -> Self {
        match CommandReply::decode(reply).map(|reply| reply.reply) {
            Ok(Some(Reply::ConnectionCount(count))) if count.connections > 0 => Self::Holds,
            Ok(Some(Reply::ConnectionCount(_))) => Self::HoldsNot,
            _ => Self::Silent,
        }
    }
}
