//! A shard: one thread that owns its connections outright.
//!
//! A turn of its loop takes what the sockets and other threads have for it,
//! fans publications out to outboxes, and writes each dirty outbox once. The
//! busier it is, the more leaves with each write. It ends after
//! [`Mail::End`], when the last connection is gone or has had its time.
//!
//! It polls its sockets itself (mio) instead of running a task per connection:
//! see `docs/adr/0001-shards-poll-themselves.md`.

mod adopt;
mod among;
mod attendance;
mod channels;
mod close;
mod connection;
mod deliveries;
mod directory;
mod entitlement;
mod explain;
mod history;
mod latest;
mod leaving;
mod mail;
mod mailboxes;
mod operations;
mod outage;
mod perform;
mod post;
mod query;
mod receive;
mod recorder;
mod recovery;
mod registration;
mod repeatable;
mod scan;
mod secured;
mod standing;
mod targets;
mod ticket;
mod transmit;
mod wills;

use std::{
    io, mem,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use hub::{Hub, MemberId};
use mio::{Events, Poll, Token};
use session::{Actions, SessionConfig};
use slab::Slab;
use spans::Span;

use self::{
    attendance::Attendance, channels::Channels, connection::Connection, deliveries::Deliveries,
    directory::Directory, latest::States, leaving::Stage, mailboxes::Readers, recovery::LogReads,
    scan::Scanner, secured::Buffers,
};
pub(crate) use self::{
    mail::{Adopted, ConnectionKey, Credential, Greeted, Mail},
    post::code_of,
};
use crate::{
    clock::Clock,
    gateway::Gateway,
    mailbox::{Inbox, Mailbox},
    metrics::{MEASURED, ShardCounters},
};

/// Input is read in pieces of this size at most, for all connections into one
/// buffer: a connection holds only what is not a whole message yet.
const SCRATCH_BYTES: usize = 128 << 10;

/// Readiness events taken in one turn.
const EVENTS: usize = 1024;

/// The mailbox's token; no slab key is as large.
const WAKE: Token = Token(usize::MAX);

/// Connections, and everything that acts on them.
pub(crate) struct Shard {
    poll: Poll,
    inbox: Inbox,
    scratch: Box<[u8]>,
    connections: Slab<Connection>,
    /// Connections with input that no event will announce.
    unread: Vec<usize>,
    /// Connections that are not read because they are over their rate; some may be
    /// gone.
    over_rate: Vec<usize>,
    scanner: Scanner,
    stage: Stage,
    /// Those who are behind can be given more.
    feeding: bool,
    /// When the hub has samples to give again, by the clock; `u64::MAX`: never.
    sample_ms: u64,
    /// When outboxes may be let hold more again.
    relax_ms: u64,
    core: Core,
}

/// What handling a connection's events needs besides the connection.
struct Core {
    index: usize,
    gateway: Arc<Gateway>,
    session: SessionConfig,
    hub: Hub,
    /// Where what leaves with one write is put together.
    outgoing: Vec<u8>,
    /// Of connections with TLS.
    secured: Buffers,
    channels: Channels,
    log_reads: LogReads,
    states: States,
    directory: Directory,
    deliveries: Deliveries,
    /// Of the mailboxes of whoever is connected.
    readers: Readers,
    actions: Actions,
    /// Spans of publications that leave with the next write.
    delivering: Vec<Span>,
    /// Pages of logs that the bus reads for clients.
    reads: usize,
    /// Who is in channels with presence.
    attendance: Attendance,
    /// What clients ask of other gateways about them, or send them.
    asked: usize,
    clock: Clock,
    /// The bus is away.
    degraded: bool,
    /// The frame of every heartbeat.
    ping: Rc<[u8]>,
    /// The next connection's generation.
    generation: u32,
    /// Connections that have a recorder.
    recordings: usize,
    counters: ShardCounters,
}

/// A shard before it has its gateway: its poll exists, because its mailbox
/// wakes it.
pub(crate) struct Seat {
    poll: Poll,
    pub(crate) mailbox: Mailbox,
}

// === impl Seat ===

impl Seat {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let mailbox = Mailbox::new(poll.registry(), WAKE)?;
        Ok(Self { poll, mailbox })
    }

    /// Makes shard number `index` of `gateway`.
    pub(crate) fn take(self, index: usize, gateway: Arc<Gateway>) -> Shard {
        let config = &gateway.config;
        let core = Core {
            index,
            session: config.session_config(),
            hub: Hub::new(config.outbox),
            outgoing: Vec::new(),
            secured: Buffers::default(),
            channels: Channels::default(),
            log_reads: LogReads::default(),
            states: States::default(),
            directory: Directory::default(),
            deliveries: Deliveries::default(),
            readers: Readers::default(),
            actions: Actions::default(),
            delivering: Vec::new(),
            reads: 0,
            attendance: Attendance::default(),
            asked: 0,
            clock: Clock::start(),
            degraded: false,
            ping: ping(),
            generation: 0,
            recordings: 0,
            counters: ShardCounters::new(index, &gateway.config.policies),
            gateway: gateway.clone(),
        };
        Shard {
            poll: self.poll,
            inbox: Inbox::default(),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            connections: Slab::new(),
            unread: Vec::new(),
            over_rate: Vec::new(),
            scanner: Scanner::default(),
            stage: Stage::Serving,
            feeding: false,
            sample_ms: u64::MAX,
            relax_ms: 0,
            core,
        }
    }
}

// === impl Shard ===

impl Shard {
    /// Runs to the end of the drain.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        while !self.is_over() {
            self.wait(&mut events);
            self.core.clock.update();
            self.take_events(&events);
            self.take_mail();
            self.scan();
            self.core.hub.fan_out();
            self.sample_ms = self.core.hub.sample(self.core.clock.now_ms());
            self.catch_up();
            self.flush();
            self.balance();
            self.core.delivering.clear();
            // What was written may have made room.
            self.feeding |= self.core.hub.is_anybody_hungry();
        }
        self.abandon_all();
        self.publish_counts(0);
    }

    /// Sleeps until there is something to do.
    fn wait(&mut self, events: &mut Events) {
        if MEASURED {
            self.core.counters.pulse.sleeps(Instant::now());
        }
        let busy = self.feeding || !self.unread.is_empty() || !self.mailbox().may_sleep();
        let timeout = if busy {
            Duration::ZERO
        } else {
            let until_sample = self.sample_ms.saturating_sub(self.core.clock.now_ms());
            let next_scan = self.scanner.next_in(self.core.clock.now());
            next_scan.min(Duration::from_millis(until_sample))
        };
        let polled = self.poll.poll(events, Some(timeout));
        if MEASURED {
            self.core.counters.pulse.wakes(Instant::now(), timeout);
        }
        match polled {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
            Err(error) => {
                // Only a bug in our use of epoll gets here; going on would spin.
                panic!("shard {} can't poll: {error}", self.core.index);
            }
        }
    }

    fn take_events(&mut self, events: &Events) {
        for slot in mem::take(&mut self.unread) {
            self.receive(slot);
        }
        for event in events {
            let Token(slot) = event.token();
            if event.token() == WAKE {
                continue;
            }
            if event.is_writable() {
                self.unblock(slot);
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                self.receive(slot);
            }
            if event.is_read_closed() {
                // The end may stand behind input, no further event announces
                // it, and a short read does not reach it: look once more.
                self.unread.push(slot);
            }
        }
    }

    fn mailbox(&self) -> &Mailbox {
        self.core.mailbox()
    }
}

// === impl Core ===

impl Core {
    fn mailbox(&self) -> &Mailbox {
        &self.gateway.shards[self.index].mailbox
    }
}

fn ping() -> Rc<[u8]> {
    let mut frame = Vec::new();
    wire::websocket::ping_frame(b"", &mut frame);
    frame.into()
}

/// The hub's name for the connection in `slot`.
fn member(slot: usize) -> MemberId {
    MemberId(connection::slot_number(slot))
}
