//! The bare baseline: a server that does only the kernel's part of the work.
//!
//! It upgrades with a constant answer, answers Hello and Subscribe with frames
//! made beforehand, writes every frame with a Publish to all subscribers (one
//! write for each and message, or for `--batch` messages that came together),
//! and sends frames with a Request back. No limits, no pings, no close
//! handshake, and only for this program's clients. It ends with its process.

use std::io::Write;

use anyhow::Result;
use memchr::memmem;
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::args::BaselineArgs;
use crate::engine::ACCEPT;
use crate::frame::{self, Frame};
use crate::messages::{self, number};
use crate::socket::{self, Poller, Ready, Received};

const READ_BYTES: usize = 128 << 10;
const LISTENER: u64 = u64::MAX;
/// Connections accepted between two looks at the others.
const ACCEPT_AT_ONCE: usize = 64;

/// A connection: 40 bytes, of which an idle one needs no more.
#[derive(Debug)]
struct Client {
    socket: Option<OwnedFd>,
    upgraded: bool,
    /// Place among the subscribers.
    place: Option<u32>,
    #[expect(clippy::box_collection, reason = "an idle connection is kept small")]
    received: Option<Box<Vec<u8>>>,
    #[expect(clippy::box_collection, reason = "an idle connection is kept small")]
    unsent: Option<Box<Vec<u8>>>,
}

#[derive(Debug)]
struct Baseline {
    poller: Poller,
    clients: Vec<Client>,
    free: Vec<u32>,
    subscribers: Vec<u32>,
    batch: usize,
    welcome: Vec<u8>,
    subscribed: Vec<u8>,
    /// Frames about to be published, and how many.
    publishing: (Vec<u8>, usize),
    /// Frames about to be sent back.
    echoing: Vec<u8>,
}

/// Serves until the process is ended.
pub(crate) fn run(args: &BaselineArgs) -> Result<()> {
    socket::raise_open_files();
    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::TERM))?;
    // The parent may have gone before the kernel was asked to tell.
    if getppid() != parent {
        return Ok(());
    }
    let (listener, address) = socket::listen()?;
    let mut server = Baseline::new(args.batch)?;
    server.poller.add(listener.as_fd(), LISTENER)?;
    println!(
        "{}",
        serde_json::json!({"client_url": format!("ws://{address}/v1/ws"), "token": "none"})
    );
    std::io::stdout().flush()?;
    let mut buffer = vec![0; READ_BYTES];
    let mut events = Vec::new();
    loop {
        server.poller.wait(None, &mut events);
        for event in &events {
            match event.number {
                LISTENER => server.accept(&listener),
                _ => server.serve(*event, &mut buffer),
            }
        }
    }
}

// === impl Baseline ===

impl Baseline {
    fn new(batch: usize) -> Result<Self> {
        Ok(Self {
            poller: Poller::new()?,
            clients: Vec::new(),
            free: Vec::new(),
            subscribers: Vec::new(),
            batch: batch.max(1),
            welcome: messages::welcome(),
            subscribed: messages::subscribed(),
            publishing: (Vec::new(), 0),
            echoing: Vec::new(),
        })
    }

    fn accept(&mut self, listener: &OwnedFd) {
        for _ in 0..ACCEPT_AT_ONCE {
            let Some(socket) = socket::accept(listener) else {
                return;
            };
            let index = self.free.pop().unwrap_or(self.clients.len() as u32);
            if self.poller.add(socket.as_fd(), u64::from(index)).is_err() {
                self.free.push(index);
                return;
            }
            let client = Client {
                socket: Some(socket),
                upgraded: false,
                place: None,
                received: None,
                unsent: None,
            };
            match self.clients.get_mut(index as usize) {
                Some(place) => *place = client,
                None => self.clients.push(client),
            }
        }
    }

    fn serve(&mut self, event: Ready, buffer: &mut [u8]) {
        let index = event.number as usize;
        if event.writable {
            self.flush(index);
        }
        let Some(socket) = self.clients[index]
            .socket
            .as_ref()
            .filter(|_| event.readable)
        else {
            return;
        };
        match socket::receive(socket, buffer) {
            Ok(Received::Bytes(count)) => self.input(index, &buffer[..count]),
            Ok(Received::Nothing) => {}
            Ok(Received::End) | Err(_) => self.close(index),
        }
    }

    fn close(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if client.socket.take().is_none() {
            return;
        }
        (client.received, client.unsent) = (None, None);
        if let Some(place) = client.place.take() {
            self.subscribers.swap_remove(place as usize);
            if let Some(&moved) = self.subscribers.get(place as usize) {
                self.clients[moved as usize].place = Some(place);
            }
        }
        self.free.push(index as u32);
    }

    fn send(&mut self, index: usize, bytes: &[u8]) {
        let client = &mut self.clients[index];
        let Some(socket) = &client.socket else { return };
        if let Some(unsent) = &mut client.unsent {
            unsent.extend_from_slice(bytes);
            return;
        }
        match socket::send(socket, bytes) {
            Ok(count) if count == bytes.len() => {}
            Ok(count) => {
                // A socket that can't be watched is found out by reading it.
                let _ = self
                    .poller
                    .watch_writing(socket.as_fd(), index as u64, true);
                client.unsent = Some(Box::new(bytes[count..].to_vec()));
            }
            Err(_) => self.close(index),
        }
    }

    fn flush(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let (Some(socket), Some(unsent)) = (&client.socket, &mut client.unsent) else {
            return;
        };
        match socket::send(socket, unsent) {
            Ok(count) if count == unsent.len() => {
                client.unsent = None;
                let _ = self
                    .poller
                    .watch_writing(socket.as_fd(), index as u64, false);
            }
            Ok(count) => drop(unsent.drain(..count)),
            Err(_) => self.close(index),
        }
    }

    fn input(&mut self, index: usize, new: &[u8]) {
        let held = self.clients[index].received.take().map(|mut held| {
            held.extend_from_slice(new);
            held
        });
        let bytes = held.as_deref().map_or(new, Vec::as_slice);
        let mut at = 0;
        if !self.clients[index].upgraded {
            let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
                self.clients[index].received = Some(Box::new(bytes.to_vec()));
                return;
            };
            at = end + 4;
            self.upgrade(index, &bytes[..end]);
        }
        while let Some(frame) = frame::parse(&bytes[at..]) {
            at += frame.length;
            if frame.opcode == frame::CLOSE {
                return self.close(index);
            }
            self.handle(index, &frame);
        }
        self.publish();
        if !self.echoing.is_empty() {
            let echoing = std::mem::take(&mut self.echoing);
            self.send(index, &echoing);
            self.echoing = echoing;
            self.echoing.clear();
        }
        if at < bytes.len() && self.clients[index].socket.is_some() {
            self.clients[index].received = Some(Box::new(bytes[at..].to_vec()));
        }
    }

    fn upgrade(&mut self, index: usize, head: &[u8]) {
        self.clients[index].upgraded = true;
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Protocol: tidegate.v1.protobuf\r\n\r\n"
        )
        .into_bytes();
        if memmem::find(head, b"access_token=").is_some() {
            answer.extend_from_slice(&self.welcome);
        }
        self.send(index, &answer);
    }

    fn handle(&mut self, index: usize, frame: &Frame<'_>) {
        if frame.opcode != frame::BINARY {
            return;
        }
        match messages::event_number(frame.payload, frame.mask.unwrap_or_default()) {
            Some(number::PUBLISH) => {
                frame::unmasked(&mut self.publishing.0, frame);
                self.publishing.1 += 1;
                if self.publishing.1 == self.batch {
                    self.publish();
                }
            }
            Some(number::REQUEST) => frame::unmasked(&mut self.echoing, frame),
            Some(number::HELLO) => {
                let welcome = std::mem::take(&mut self.welcome);
                self.send(index, &welcome);
                self.welcome = welcome;
            }
            Some(number::SUBSCRIBE) => self.subscribe(index),
            _ => {}
        }
    }

    fn subscribe(&mut self, index: usize) {
        if self.clients[index].place.is_none() {
            self.clients[index].place = Some(self.subscribers.len() as u32);
            self.subscribers.push(index as u32);
        }
        let subscribed = std::mem::take(&mut self.subscribed);
        self.send(index, &subscribed);
        self.subscribed = subscribed;
    }

    /// Writes what waits to be published to all subscribers.
    fn publish(&mut self) {
        let (mut bytes, count) = std::mem::take(&mut self.publishing);
        let mut at = 0;
        while let Some(&index) = self.subscribers.get(at).filter(|_| count > 0) {
            self.send(index as usize, &bytes);
            // One that was closed just now has given its place to another.
            at += usize::from(self.subscribers.get(at) == Some(&index));
        }
        bytes.clear();
        self.publishing = (bytes, 0);
    }
}
