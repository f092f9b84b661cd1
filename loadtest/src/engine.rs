//! The client side: many non-blocking connections on one epoll loop, with one
//! read buffer for all of them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::{Result, bail};
use hdrhistogram::Histogram;
use memchr::memmem;
use prost::Message;
use rustix::fd::AsFd;
use wire::client::{ErrorCode, Failure, ServerMessage, response, server_event};

use wire::websocket::OpCode;

use crate::args::websocket_target;
use crate::clock;
use crate::connection::{Connection, Stage};
use crate::frame;
use crate::messages;
use crate::outcome::histogram;
use crate::socket::{self, Poller, Ready, Received};

/// The handshake of RFC 6455 section 1.3: its key, and what answers it.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Connections from one source address. An address has some 28,000 ports, but
/// finding a free one gets slow past half of them.
const PER_SOURCE: usize = 10_000;
const READ_BYTES: usize = 128 << 10;
/// Different notes kept, so that a server's varying text can't fill memory.
const MAX_NOTES: usize = 30;

/// How a kind of connection is opened.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    address: SocketAddrV4,
    upgrade: Vec<u8>,
    hello: Option<Vec<u8>>,
    subscribe: Option<Vec<u8>>,
}

/// What a scenario does with the engine's connections.
pub(crate) trait Handler {
    /// A message came on a connection that is ready.
    fn message(&mut self, engine: &mut Engine, index: usize, payload: &[u8], now: u64);

    /// All messages of one read were handed on.
    fn read_done(&mut self, _engine: &mut Engine, _index: usize) {}

    /// A connection became ready, so many nanoseconds after it was opened.
    fn ready(&mut self, _engine: &mut Engine, _index: usize, _nanos: u64) {}
}

/// All connections of this process.
#[derive(Debug)]
pub(crate) struct Engine {
    poller: Poller,
    events: Vec<Ready>,
    buffer: Vec<u8>,
    pub(crate) connections: Vec<Connection>,
    /// Places of `connections` to be used again.
    free: Vec<usize>,
    profiles: Vec<Profile>,
    started_at: u64,
    /// Which source address the first connection has.
    first_source: usize,
    /// Opened and neither ready nor closed.
    pub(crate) pending: usize,
    pub(crate) ready: usize,
    pub(crate) failed: u64,
    pub(crate) lost: u64,
    pub(crate) ready_latency: Histogram<u64>,
    pub(crate) notes: BTreeMap<String, u64>,
}

// === impl Profile ===

impl Profile {
    /// For connections to `url`, with the token in Hello, or in the address if
    /// `in_query`; with a channel to subscribe to, or none.
    pub(crate) fn new(
        url: &str,
        token: &str,
        in_query: bool,
        channel: Option<&str>,
    ) -> Result<Self> {
        let (address, mut path) = websocket_target(url)?;
        if in_query {
            path = format!("{path}?access_token={token}");
        }
        let upgrade = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: tidegate.v1.protobuf\r\n\r\n"
        );
        Ok(Self {
            address,
            upgrade: upgrade.into_bytes(),
            hello: (!in_query).then(|| messages::hello(token)),
            subscribe: channel.map(messages::subscribe),
        })
    }
}

// === impl Engine ===

impl Engine {
    /// `first_source` keeps the processes' source addresses apart.
    pub(crate) fn new(profiles: Vec<Profile>, first_source: usize) -> Result<Self> {
        if profiles.is_empty() || profiles.len() > 2 {
            bail!("an engine has one or two kinds of connection");
        }
        Ok(Self {
            poller: Poller::new()?,
            events: Vec::new(),
            buffer: vec![0; READ_BYTES],
            connections: Vec::new(),
            free: Vec::new(),
            profiles,
            started_at: clock::now(),
            first_source,
            pending: 0,
            ready: 0,
            failed: 0,
            lost: 0,
            ready_latency: histogram(),
            notes: BTreeMap::new(),
        })
    }

    /// Counts something worth telling at the end.
    pub(crate) fn note(&mut self, what: String) {
        if self.notes.len() < MAX_NOTES || self.notes.contains_key(&what) {
            *self.notes.entry(what).or_default() += 1;
        }
    }

    fn age_us(&self) -> u32 {
        // Wraps after 71 minutes, as do the differences taken from it.
        ((clock::now() - self.started_at) / 1_000) as u32
    }

    /// Starts a connection; returns its number.
    pub(crate) fn open(&mut self, profile: u8) -> usize {
        let index = self.free.pop().unwrap_or(self.connections.len());
        let source = self.first_source + index / PER_SOURCE;
        let [high, low] = u16::try_from(source).unwrap_or(0).to_be_bytes();
        let address = self.profiles[usize::from(profile)].address;
        let opened =
            socket::connect(Ipv4Addr::new(127, 1, high, low), address).and_then(|socket| {
                self.poller
                    .add(socket.as_fd(), index as u64)
                    .map(|()| socket)
            });
        let socket = match opened {
            Ok(socket) => Some(socket),
            Err(error) => {
                self.failed += 1;
                self.note(format!("connect: {error}"));
                None
            }
        };
        let connection = Connection::new(socket, profile, self.age_us());
        let connects = connection.stage == Stage::Upgrading;
        match self.connections.get_mut(index) {
            Some(place) => *place = connection,
            None => self.connections.push(connection),
        }
        if connects {
            self.pending += 1;
            let upgrade = std::mem::take(&mut self.profiles[usize::from(profile)].upgrade);
            self.send(index, &upgrade);
            self.profiles[usize::from(profile)].upgrade = upgrade;
        } else {
            self.free.push(index);
        }
        index
    }

    /// Sends, now or when the socket has room.
    pub(crate) fn send(&mut self, index: usize, bytes: &[u8]) {
        let connection = &mut self.connections[index];
        let Some(socket) = &connection.socket else {
            return;
        };
        if connection.has_unsent() {
            connection.unfinished().unsent.extend_from_slice(bytes);
            return;
        }
        match socket::send(socket, bytes) {
            Ok(count) if count == bytes.len() => {}
            Ok(count) => {
                let watched = self
                    .poller
                    .watch_writing(socket.as_fd(), index as u64, true);
                connection
                    .unfinished()
                    .unsent
                    .extend_from_slice(&bytes[count..]);
                if let Err(error) = watched {
                    self.end(index, &format!("epoll: {error}"));
                }
            }
            Err(error) => self.end(index, &format!("send: {error}")),
        }
    }

    /// Closes a connection of which no more is expected.
    pub(crate) fn close(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        let Some(socket) = connection.socket.take() else {
            return;
        };
        socket::reset(socket);
        match connection.stage {
            Stage::Ready => self.ready -= 1,
            _ => self.pending -= 1,
        }
        self.connections[index] = Connection::new(None, 0, 0);
        self.free.push(index);
    }

    /// Closes a connection that ended by itself, and notes why.
    fn end(&mut self, index: usize, why: &str) {
        let stage = self.connections[index].stage;
        match stage {
            Stage::Closed => return,
            Stage::Ready => self.lost += 1,
            _ => self.failed += 1,
        }
        self.note(format!("{stage:?}: {why}"));
        self.close(index);
    }

    /// Reads from a connection no more, as a stalled client.
    pub(crate) fn stall(&mut self, index: usize) {
        if let Some(socket) = &self.connections[index].socket {
            // The socket is watched since it was opened.
            let _ = self.poller.forget(socket.as_fd());
        }
    }

    /// Reads what waits on a stalled connection; notes how it ended, if it did.
    pub(crate) fn read_stalled(&mut self, index: usize) {
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(socket) = &self.connections[index].socket {
            match socket::receive(socket, &mut buffer) {
                Ok(Received::Bytes(_)) => {}
                Ok(Received::Nothing) => break,
                Ok(Received::End) => self.end(index, "stalled, closed by the server"),
                Err(error) => self.end(index, &format!("stalled: {error}")),
            }
        }
        self.buffer = buffer;
    }

    /// One turn of the loop, waiting for at most so many nanoseconds.
    pub(crate) fn turn(&mut self, nanos: u64, handler: &mut dyn Handler) {
        let mut events = std::mem::take(&mut self.events);
        let mut buffer = std::mem::take(&mut self.buffer);
        self.poller.wait(Some(nanos), &mut events);
        for event in &events {
            let index = event.number as usize;
            if event.writable {
                self.flush(index);
            }
            if !event.readable {
                continue;
            }
            let Some(socket) = &self.connections[index].socket else {
                continue;
            };
            match socket::receive(socket, &mut buffer) {
                Ok(Received::Bytes(count)) => self.input(index, &buffer[..count], handler),
                Ok(Received::Nothing) => {}
                Ok(Received::End) => self.end(index, "closed by the server"),
                Err(error) => self.end(index, &format!("receive: {error}")),
            }
        }
        self.events = events;
        self.buffer = buffer;
    }

    fn flush(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        let Some(socket) = connection.socket.take() else {
            return;
        };
        let unsent = &mut connection.unfinished().unsent;
        let result = socket::send(&socket, unsent).and_then(|count| {
            unsent.drain(..count);
            if unsent.is_empty() {
                *unsent = Vec::new();
                self.poller
                    .watch_writing(socket.as_fd(), index as u64, false)?;
            }
            Ok(())
        });
        connection.settle();
        connection.socket = Some(socket);
        if let Err(error) = result {
            self.end(index, &format!("send: {error}"));
        }
    }

    fn input(&mut self, index: usize, new: &[u8], handler: &mut dyn Handler) {
        let now = clock::now();
        let mut held = self.connections[index].take_received();
        let bytes = if held.is_empty() {
            new
        } else {
            held.extend_from_slice(new);
            &held
        };
        let mut at = 0;
        if self.connections[index].stage == Stage::Upgrading {
            let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
                self.connections[index].unfinished().received = bytes.to_vec();
                return;
            };
            at = end + 4;
            if !self.upgraded(index, &bytes[..end]) {
                return;
            }
        }
        while let Some(frame) = bytes.get(at..).and_then(frame::parse) {
            at += frame.length;
            self.frame(index, &frame, now, handler);
            if self.connections[index].stage == Stage::Closed {
                return;
            }
        }
        if at < bytes.len() {
            self.connections[index].unfinished().received = bytes[at..].to_vec();
        } else if !held.is_empty() {
            self.connections[index].settle();
        }
        handler.read_done(self, index);
    }

    /// Takes the answer to the upgrade; `false`: it was refused.
    fn upgraded(&mut self, index: usize, head: &[u8]) -> bool {
        let accepted =
            head.starts_with(b"HTTP/1.1 101") && memmem::find(head, ACCEPT.as_bytes()).is_some();
        if !accepted {
            let line = head.split(|byte| *byte == b'\r').next().unwrap_or(head);
            let why = format!("refused with {}", String::from_utf8_lossy(line));
            self.end(index, &why);
            return false;
        }
        self.connections[index].stage = Stage::Welcoming;
        let profile = usize::from(self.connections[index].profile);
        if let Some(hello) = self.profiles[profile].hello.clone() {
            self.send(index, &hello);
        }
        true
    }

    fn frame(
        &mut self,
        index: usize,
        frame: &frame::Frame<'_>,
        now: u64,
        handler: &mut dyn Handler,
    ) {
        match frame.opcode {
            frame::PING => {
                let mut pong = Vec::new();
                frame::client(&mut pong, OpCode::Pong, frame.payload);
                self.send(index, &pong);
            }
            frame::PONG => {}
            frame::CLOSE => {
                let code = frame
                    .payload
                    .first_chunk()
                    .map_or(1005, |code| u16::from_be_bytes(*code));
                self.end(index, &format!("close code {code}"));
            }
            _ if self.connections[index].stage == Stage::Ready => {
                handler.message(self, index, frame.payload, now)
            }
            _ => self.opening(index, frame.payload, handler),
        }
    }

    /// Handles a message of the server before the connection is ready.
    fn opening(&mut self, index: usize, payload: &[u8], handler: &mut dyn Handler) {
        for event in self.decode(payload) {
            let stage = self.connections[index].stage;
            match (stage, event) {
                (Stage::Welcoming, server_event::Event::Welcome(_)) => {
                    let profile = usize::from(self.connections[index].profile);
                    if let Some(subscribe) = self.profiles[profile].subscribe.clone() {
                        self.connections[index].stage = Stage::Subscribing;
                        self.send(index, &subscribe);
                    } else {
                        self.become_ready(index, handler);
                    }
                }
                (Stage::Subscribing, server_event::Event::Subscribed(_)) => {
                    self.become_ready(index, handler)
                }
                (_, event) => self.note_event(stage, &event),
            }
        }
    }

    fn become_ready(&mut self, index: usize, handler: &mut dyn Handler) {
        let age = self.age_us();
        let connection = &mut self.connections[index];
        connection.stage = Stage::Ready;
        let nanos = u64::from(age.wrapping_sub(connection.opened_us)) * 1_000;
        self.ready_latency.saturating_record(nanos.max(1));
        self.pending -= 1;
        self.ready += 1;
        handler.ready(self, index, nanos);
    }

    /// Decodes a message for its rarer events; what can't be decoded is noted.
    fn decode(&mut self, payload: &[u8]) -> Vec<server_event::Event> {
        match ServerMessage::decode(payload) {
            Ok(message) => message
                .events
                .into_iter()
                .filter_map(|event| event.event)
                .collect(),
            Err(error) => {
                self.note(format!("undecodable message: {error}"));
                Vec::new()
            }
        }
    }

    /// Notes the events of a message without a marker. Returns how many of
    /// them were failures of requests.
    pub(crate) fn other_message(&mut self, payload: &[u8]) -> usize {
        let mut failures = 0;
        for event in self.decode(payload) {
            failures += usize::from(matches!(event, server_event::Event::Response(_)));
            self.note_event(Stage::Ready, &event);
        }
        failures
    }

    fn note_event(&mut self, stage: Stage, event: &server_event::Event) {
        use server_event::Event;
        let failed = |failure: &Failure| {
            format!(
                "{} {}",
                ErrorCode::as_str_name(&failure.code()),
                failure.message
            )
        };
        let what = match event {
            Event::Closing(closing) => format!("closing: {} {}", closing.cause, closing.message),
            Event::Error(error) => format!(
                "error: {}",
                error.failure.as_ref().map(failed).unwrap_or_default()
            ),
            Event::Response(answer) => match &answer.outcome {
                Some(response::Outcome::Failure(failure)) => {
                    format!("response: {}", failed(failure))
                }
                _ => "response: without a marker".to_owned(),
            },
            Event::Gap(gap) => format!("gap: {} dropped, {} conflated", gap.dropped, gap.conflated),
            Event::Migrate(_) => "migrate".to_owned(),
            Event::Notice(notice) => format!("notice: {}", notice.kind),
            Event::Publication(_) => "publication without a marker".to_owned(),
            _ => return,
        };
        self.note(format!("{stage:?}: {what}"));
    }
}
