//! What reaches a shard from other threads.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use bus::{BusError, HistoryPage, Published, Reply};
use bytes::Bytes;
use hub::EncodedPublication;
use presence::{Summary, Told};
use revocations::Revocation;
use spans::Span;
use tls::Link;
use wire::{Channel, Subprotocol, client::Failure};

use super::{history::Awaited, latest::StateRead, mailboxes::News, recovery::EndedRead};
use crate::{
    authenticate::Verdict, command::Query, fanout::Entry, front::ConnectionSlot,
    transport::Transport,
};

/// One thing for a shard to do.
pub(crate) enum Mail {
    /// Take over a socket.
    Adopt(Box<Adopted>),
    /// A channel that this shard asked for flows, or can't.
    Joined {
        channel: Channel,
        entry: Result<Entry, BusError>,
    },
    /// Messages of a channel may be missing here, and the bus can't give them
    /// back; `dropped` at least.
    Missing { alias: u32, dropped: u64 },
    /// The bus carries messages again, or no more.
    BusIs { up: bool },
    /// A message of a channel.
    Publication(Arc<EncodedPublication>),
    /// The message before it is on its way; the span ends when it is written.
    Delivering(Span),
    /// The bus has a client's publication, or not.
    Published {
        connection: ConnectionKey,
        id: u32,
        outcome: Result<Published, BusError>,
    },
    /// A worker answered a client's request, or not.
    Replied {
        connection: ConnectionKey,
        id: u32,
        outcome: Result<Reply, BusError>,
        span: Option<Span>,
    },
    /// The bus has read a page of a log for a client, or not.
    Read(Awaited, Result<HistoryPage, BusError>),
    /// The journal says what became of a client's request.
    Settled {
        connection: ConnectionKey,
        id: u32,
        outcome: Result<Bytes, Failure>,
        span: Option<Span>,
    },
    /// Who came to a channel and who left it.
    Presence(Channel, Arc<Told>),
    /// A client's question for who is in a channel has its answer, or not.
    Seen {
        connection: ConnectionKey,
        id: u32,
        outcome: Result<Summary, BusError>,
    },
    /// A client's signal reached so many connections, or none.
    Signalled {
        connection: ConnectionKey,
        id: u32,
        outcome: Result<u32, Failure>,
    },
    /// A client's will is kept or taken back, or not.
    WillSettled {
        connection: ConnectionKey,
        id: u32,
        outcome: Result<(), Failure>,
    },
    /// A newer token of a client was verified, or not.
    Refreshed {
        connection: ConnectionKey,
        id: u32,
        verdict: Verdict,
    },
    /// Access was taken back.
    Revoked(Arc<Revocation>),
    /// A log was read for those who want a channel's state, or can't be.
    State(Box<StateRead>),
    /// A log was read for those who are behind, or can't be.
    LogRead(Box<EndedRead>),
    /// Something about a connection's mailbox.
    Mailbox {
        connection: ConnectionKey,
        news: News,
    },
    /// The control plane wants something.
    Query(Arc<Query>),
    /// Register every connection anew.
    Announce,
    /// Send every connection away, as fast as the drain allows; what is left will
    /// be closed at `until`.
    Migrate { until: Instant },
    /// Close every connection, then end. With `spread`, each client gets a time
    /// of its own to come back.
    End { spread: bool },
}

/// Names a connection for as long as it lives; later holders of its slot
/// differ in `generation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionKey {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// A socket after its upgrade.
pub(crate) struct Adopted {
    pub(crate) stream: mio::net::TcpStream,
    pub(crate) link: Option<Box<Link>>,
    /// What the peer sent right behind the HTTP head.
    pub(crate) unread: Box<[u8]>,
    pub(crate) peer: SocketAddr,
    pub(crate) slot: ConnectionSlot,
    pub(crate) greeting: Greeted,
    pub(crate) transport: Transport,
    /// When the handshake, Hello included, must be over.
    pub(crate) deadline: Instant,
}

/// What the front learned.
#[derive(Debug)]
pub(crate) enum Greeted {
    /// A client of ours.
    Client {
        subprotocol: Subprotocol,
        credential: Credential,
    },
    /// A conformance suite: send every message back.
    Echo,
}

/// Where a client's token was, and the verdict on it.
#[derive(Debug)]
pub(crate) enum Credential {
    /// None came, or no Hello did.
    Absent,
    /// It came with the upgrade request, which counts as a Hello.
    InRequest(Verdict),
    /// It came in the Hello that is about to be read.
    InHello(Verdict),
}
