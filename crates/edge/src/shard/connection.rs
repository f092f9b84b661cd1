//! One connection, as its shard holds it.

use std::{mem, net::SocketAddr};

use auth::Identity;
use bus::RequestToken;
use session::{Established, Greeting, Introduction, Verifying};
use socket2::SockRef;
use wire::{Channel, CloseCause, SessionId, Subprotocol, websocket::Reader};

use super::{mail::ConnectionKey, recorder::Recorder, secured::Secured};
use crate::{
    allowance::Allowance,
    authenticate::Verdict,
    clock::{Tick, now_ms},
    front::ConnectionSlot,
    transport::Transport,
};

/// A socket and everything about it but its outbox, which the hub holds.
pub(crate) struct Connection {
    pub(crate) stream: mio::net::TcpStream,
    pub(crate) generation: u32,
    pub(crate) reader: Reader,
    pub(crate) phase: Phase,
    pub(crate) flow: Flow,
    /// When the peer last said anything.
    pub(crate) heard: Tick,
    /// When to look at its token: some time before it expires, then when it does.
    pub(crate) token_due: Tick,
    /// What it may send.
    pub(super) allowance: Allowance,
    /// Requests on the bus, to cancel when the connection ends.
    pub(crate) requests: Vec<(u32, RequestToken)>,
    pub(crate) profile: Box<Profile>,
    /// Absent: the socket is plain.
    pub(super) tls: Option<Box<Secured>>,
}

/// Where a connection is in its life.
///
/// ```text
/// Greeting --Hello--> Verifying --valid token--> Established --+
///    |   \---token in the upgrade request-------------^        |
///    +-------------------------+-------------------------------+--> Closing --> gone
/// ```
pub(crate) enum Phase {
    /// Waits for Hello.
    Greeting(Greeting),
    /// Has the verdict on the token, which the front verified ahead; gone in the
    /// same turn.
    Verifying(Verifying),
    /// Serves.
    Established(Established),
    /// Sends everything back (conformance suites).
    Echo,
    /// Our Close frame is queued or sent; what still comes is thrown away.
    Closing(Closing),
}

/// How a connection is being closed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing {
    pub(crate) cause: CloseCause,
    /// When the socket is dropped, whatever the peer does.
    pub(crate) deadline: Tick,
    /// Everything is written and our side of the TCP connection is shut.
    pub(crate) shut: bool,
}

/// Where bytes can't go at the moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flow {
    /// The kernel's send buffer is full; a writable event will come.
    pub(crate) blocked: bool,
    /// Input was left in the socket; no event will come for it.
    pub(crate) unread: bool,
    /// A ping is on its way and nothing was heard since.
    pub(crate) pinged: bool,
    /// The client sends faster than it may and is not read until that has passed.
    pub(crate) over_rate: bool,
    /// The client was asked to move elsewhere.
    pub(crate) asked_to_move: bool,
    /// Nothing more is read: closed once every operation has its answer.
    pub(crate) leaving: bool,
    /// Where the connection stands in its user's mailbox was found out.
    pub(crate) knows_mailbox: bool,
    /// It has a recorder, in its profile.
    pub(crate) recorded: bool,
    /// How fast it may send: a number that the configuration knows.
    pub(crate) rate_class: u8,
}

/// What rarely matters; apart, so that the hot part stays small.
pub(crate) struct Profile {
    pub(crate) peer: SocketAddr,
    pub(crate) subprotocol: Subprotocol,
    pub(crate) transport: Transport,
    pub(crate) session: SessionId,
    /// How often it has been taken up; 1 for its first connection.
    pub(crate) session_epoch: u64,
    /// The client follows `Migrate`.
    pub(crate) migrates: bool,
    /// The client was told that its token expires.
    pub(crate) told_expiry: bool,
    /// The kernel holds little for it.
    pub(crate) lean: bool,
    /// Unix time.
    pub(crate) connected_at_ms: i64,
    /// When a Hello with a valid token must have come; of an established connection,
    /// when the message that has begun must be whole, or [`Tick::NEVER`].
    pub(crate) deadline: Tick,
    pub(crate) client_name: Box<str>,
    pub(crate) client_version: Box<str>,
    /// On the token in the Hello that is about to be read.
    pub(crate) verdict: Option<Box<Verdict>>,
    /// Of what passes, while somebody wants to know it.
    pub(super) recorder: Option<Box<Recorder>>,
    /// Since when its outbox has not been empty, if it does not keep up.
    pub(crate) waits_since: Tick,
    /// WebSocket messages that came.
    pub(crate) messages: u32,
    /// Channels that the control plane subscribed it to.
    pub(super) given: Option<Box<Given>>,
    /// Present from Established on.
    pub(crate) identity: Option<Box<Identity>>,
    /// Gives the connection's place back when it is dropped.
    pub(crate) _slot: ConnectionSlot,
}

/// Channels, each once.
#[derive(Default)]
pub(super) struct Given(pub(super) Vec<Channel>);

// === impl Connection ===

impl Connection {
    /// Notes what the client says about itself.
    pub(crate) fn introduce(&mut self, introduction: &Introduction) {
        self.profile.client_name = introduction.client_name.as_str().into();
        self.profile.client_version = introduction.client_version.as_str().into();
        self.profile.migrates = introduction.migrates;
    }

    /// The key that mail for this connection carries.
    pub(crate) fn key(&self, slot: usize) -> ConnectionKey {
        ConnectionKey {
            slot: slot_number(slot),
            generation: self.generation,
        }
    }

    /// Leaves the kernel so many bytes that it can't send yet, from now on: what
    /// waits there can't be replaced by what is newer, and goes before what is more
    /// urgent.
    pub(crate) fn keep_lean(&mut self, bytes: u32) {
        if mem::replace(&mut self.profile.lean, true) {
            return;
        }
        if let Err(error) = SockRef::from(&self.stream).set_tcp_notsent_lowat(bytes) {
            tracing::debug!(%error, "a socket keeps its send buffer");
        }
    }

    /// Sets the deadline of a message that has begun, twice the heartbeat, and takes
    /// it back when none has, or when it is we who do not read on. Done by the scan, and
    /// taken back with each message, so a message costs no look at the clock.
    pub(super) fn time_message(&mut self, now: Tick, heartbeat: u32) {
        if !matches!(self.phase, Phase::Established(_)) {
            return;
        }
        let deadline = &mut self.profile.deadline;
        if !self.reader.has_buffered() || !self.phase.wants_input() || self.flow.over_rate {
            *deadline = Tick::NEVER;
        } else if *deadline == Tick::NEVER {
            *deadline = now.later(heartbeat.saturating_mul(2));
        }
    }

    /// Whether events of the client would be handled now.
    pub(crate) fn wants_input(&self) -> bool {
        !self.flow.leaving && !self.flow.over_rate && self.phase.wants_input()
    }
}

// === impl Profile ===

impl Profile {
    /// Of a connection that begins now, of which nothing else is known.
    pub(super) fn new(
        peer: SocketAddr,
        subprotocol: Subprotocol,
        session: SessionId,
        slot: ConnectionSlot,
        [now, deadline]: [Tick; 2],
    ) -> Self {
        Self {
            peer,
            subprotocol,
            transport: Transport::WebSocket,
            session,
            session_epoch: 1,
            migrates: false,
            told_expiry: false,
            lean: false,
            connected_at_ms: now_ms(),
            deadline,
            client_name: Box::default(),
            client_version: Box::default(),
            verdict: None,
            recorder: None,
            waits_since: now,
            messages: 0,
            given: None,
            identity: None,
            _slot: slot,
        }
    }
}

// === impl Phase ===

impl Phase {
    /// Whether events of the client would be handled now. If not, the socket
    /// is left alone, which is TCP's own backpressure.
    pub(crate) fn wants_input(&self) -> bool {
        match self {
            Self::Greeting(_) | Self::Echo | Self::Closing(_) => true,
            Self::Verifying(_) => false,
            Self::Established(session) => !session.is_full(),
        }
    }

    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Greeting(_) => "greeting",
            Self::Verifying(_) => "verifying",
            Self::Established(_) => "established",
            Self::Echo => "echo",
            Self::Closing(_) => "closing",
        }
    }
}

/// A slab key as connection ids carry it.
pub(crate) fn slot_number(slot: usize) -> u32 {
    u32::try_from(slot).expect("a shard holds fewer than four billion connections")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_stays_small() {
        assert!(
            size_of::<Connection>() <= 160,
            "{}",
            size_of::<Connection>()
        );
        // What the allocator gives for one.
        assert!(size_of::<Profile>() <= 160, "{}", size_of::<Profile>());
    }
}
