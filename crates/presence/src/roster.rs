//! What a gateway's shards say of members, and ask.

use std::{fmt, sync::Arc, time::Duration};

use bus::{Bus, BusError, BusExt, Request, RequestContext};
use parking_lot::Mutex;
use prost::Message;
use tokio::time::Instant;
use wire::{
    Channel, ConnectionId, GatewayId, SessionId, UserId,
    gateway::{PresenceAsk, PresenceSummary},
};

use crate::{
    member::Member,
    metrics::Metrics,
    room::Stage,
    rooms::Rooms,
    settings::Settings,
    subjects,
    told::{Summary, Told},
};

/// Members that are named at most where somebody asks who is there.
pub const MAX_NAMED: usize = 1_000;

/// Gateways that a signal for a user is sent to at most.
const MAX_HOLDERS: usize = 16;

/// Takes what clients are to be told; called with no lock held, must not block.
pub type Teller = Box<dyn Fn(&Channel, Told) + Send + Sync>;

/// Takes the answer to [`Roster::look`], once, on any thread.
pub type Seen = Box<dyn FnOnce(Result<Summary, BusError>) + Send>;

/// Who is in the channels that have members at this gateway. Nothing here blocks;
/// [`Roster::run`] does the work.
pub struct Roster {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) gateway: GatewayId,
    pub(crate) settings: Settings,
    pub(crate) teller: Teller,
    // A lock: held for a map operation where somebody comes or goes, and for a
    // tick's changes.
    pub(crate) rooms: Mutex<Rooms>,
    pub(crate) metrics: Metrics,
}

/// For whom something is, in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// All sessions of a user.
    User(UserId),
    /// One session.
    Session(SessionId),
    /// One connection.
    Connection(ConnectionId),
}

/// Which gateways may hold whom a signal is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holders {
    /// The gateways, at most 16.
    pub gateways: Vec<GatewayId>,
    /// Whether there can be no others.
    pub certain: bool,
}

// === impl Roster ===

impl Roster {
    /// Knows nobody yet.
    pub fn new(
        bus: Arc<dyn Bus>,
        gateway: GatewayId,
        settings: Settings,
        teller: Teller,
    ) -> Arc<Self> {
        Arc::new(Self {
            rooms: Mutex::new(Rooms::new(gateway.clone(), settings)),
            bus,
            gateway,
            settings,
            teller,
            metrics: Metrics::new(),
        })
    }

    /// A connection of this gateway has subscribed to the channel.
    pub fn enter(&self, channel: &Channel, member: Member) {
        self.rooms.lock().enter(channel, member);
    }

    /// A connection of this gateway is not subscribed any more. `lingers`: it was
    /// lost, and its session may come back at any gateway, as if it had not left.
    pub fn leave(&self, channel: &Channel, session: SessionId, lingers: bool) {
        let linger = self.settings.linger;
        let until = (lingers && !linger.is_zero()).then(|| Instant::now() + linger);
        self.rooms.lock().leave(channel, session, until);
    }

    /// A connection of this gateway, which is subscribed, wants to be told who comes
    /// and goes: a snapshot first.
    pub fn watch(&self, channel: &Channel) {
        self.rooms.lock().watch(channel);
    }

    /// One of those could not be told something: it needs a snapshot again.
    pub fn watch_anew(&self, channel: &Channel) {
        self.rooms.lock().welcome(channel);
    }

    /// One of those does not want to be told any more.
    pub fn unwatch(&self, channel: &Channel) {
        self.rooms.lock().unwatch(channel);
    }

    /// Finds out who is in a channel, naming at most `limit` members. Where this
    /// gateway has members it knows; otherwise one that has is asked.
    pub fn look(&self, channel: &Channel, limit: usize, deadline: Duration, done: Seen) {
        let limit = limit.min(MAX_NAMED);
        let (known, settled) = {
            let rooms = self.rooms.lock();
            let room = rooms.get(channel);
            let known = room.map(|room| room.summary(limit));
            (known, room.is_some_and(|it| it.stage == Stage::Settled))
        };
        match known {
            Some(known) if settled => done(Ok(known)),
            known => {
                let request = question(channel, limit, deadline);
                let answered = move |reply: Result<bus::Reply, BusError>| {
                    done(match reply {
                        Ok(reply) => read(&reply.payload),
                        // Nobody else is there.
                        Err(BusError::NoResponders) => Ok(known.unwrap_or_default()),
                        Err(error) => known.ok_or(error),
                    });
                };
                self.bus.request(request, Box::new(answered));
            }
        }
    }

    /// Which gateways hold whom a signal is for. The asker is a member itself.
    pub fn holders(&self, channel: &Channel, whom: &Whom) -> Holders {
        let rooms = self.rooms.lock();
        let Some(room) = rooms.get(channel) else {
            return Holders {
                gateways: Vec::new(),
                certain: false,
            };
        };
        let mut gateways: Vec<GatewayId> = match whom {
            Whom::Connection(id) => vec![id.gateway.clone()],
            Whom::Session(session) => {
                let member = room.crowd.session(*session).into_iter();
                member.map(|it| it.connection.gateway.clone()).collect()
            }
            Whom::User(user) => {
                let members = room.crowd.of_user(user);
                members.map(|it| it.connection.gateway.clone()).collect()
            }
        };
        if !matches!(whom, Whom::Connection(_)) {
            gateways.extend(room.counting().cloned());
        }
        gateways.sort_unstable();
        gateways.dedup();
        gateways.truncate(MAX_HOLDERS);
        Holders {
            gateways,
            certain: room.stage == Stage::Settled,
        }
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roster")
            .field("gateway", &self.gateway)
            .finish_non_exhaustive()
    }
}

/// Asks the gateways who is in a channel, naming at most `limit` members, up to
/// [`MAX_NAMED`].
///
/// # Errors
/// What the bus says.
pub async fn look(
    bus: &dyn Bus,
    channel: &Channel,
    limit: usize,
    deadline: Duration,
) -> Result<Summary, BusError> {
    match bus.ask(question(channel, limit, deadline)).await {
        Ok(reply) => read(&reply.payload),
        Err(BusError::NoResponders) => Ok(Summary::default()),
        Err(error) => Err(error),
    }
}

fn question(channel: &Channel, limit: usize, deadline: Duration) -> Request {
    let ask = PresenceAsk {
        channel: channel.to_string(),
        limit: u32::try_from(limit.min(MAX_NAMED)).unwrap_or(u32::MAX),
    };
    Request {
        subject: subjects::questions(channel),
        payload: ask.encode_to_vec().into(),
        deadline,
        context: RequestContext::default(),
    }
}

fn read(payload: &[u8]) -> Result<Summary, BusError> {
    let summary = PresenceSummary::decode(payload).map_err(|_| BusError::HandlerGone)?;
    Ok(Summary {
        sessions: summary.sessions,
        users: summary.users,
        members: summary.members.iter().filter_map(Member::read).collect(),
        sampled: summary.sampled,
    })
}
