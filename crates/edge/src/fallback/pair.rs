//! Our end of the pair of sockets whose other end a shard holds: to the shard it is a
//! client like any other.

use std::{io, net, os::fd::OwnedFd, os::unix};

use bytes::{Buf, Bytes, BytesMut};
use socket2::SockRef;
use tokio::{io::Interest, net::UnixStream};
use wire::websocket::{self, OpCode, parse_server_frame};

/// What is read at once.
const READ_BYTES: usize = 16 << 10;

/// See the module.
pub(super) struct Pair {
    stream: UnixStream,
    /// Of the shard, up to a frame that is not whole.
    input: BytesMut,
    /// What the shard has not taken yet.
    output: Vec<u8>,
    /// The shard has let go of its end.
    ended: bool,
}

/// What the shard says.
pub(super) enum Frame {
    /// A message for the client.
    Message(Bytes),
    /// It wonders whether anybody is there; it was told so.
    Ping,
}

// === impl Pair ===

impl Pair {
    /// Both ends; the shard's holds so many bytes that we have not read.
    ///
    /// # Errors
    /// If there are no descriptors.
    pub(super) fn new(buffered: usize) -> io::Result<(Self, mio::net::TcpStream)> {
        let (ours, theirs) = unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        SockRef::from(&theirs).set_send_buffer_size(buffered)?;
        // It is read, written and shut like any stream socket.
        let theirs = net::TcpStream::from(OwnedFd::from(theirs));
        let this = Self {
            stream: UnixStream::from_std(ours)?,
            input: BytesMut::new(),
            output: Vec::new(),
            ended: false,
        };
        Ok((this, mio::net::TcpStream::from_std(theirs)))
    }

    /// Whether the shard has let go; what it said before may still be here.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the shard has taken all that it was sent.
    pub(super) fn is_heard(&self) -> bool {
        self.output.is_empty()
    }

    /// Sends a frame, now as far as the shard takes it.
    pub(super) fn send(&mut self, opcode: OpCode, payload: &[u8]) {
        // Nobody on the way whom a mask would confuse (RFC 6455 section 10.3).
        websocket::client_frame(opcode, [0; 4], payload, &mut self.output);
        self.write();
    }

    /// Reads, if that is wanted, and writes, as soon as either is possible.
    /// Cancel-safe.
    pub(super) async fn go_on(&mut self, reads: bool) {
        let reads = reads && !self.ended;
        let interest = match (reads, self.output.is_empty()) {
            (true, true) => Interest::READABLE,
            (true, false) => Interest::READABLE | Interest::WRITABLE,
            (false, false) => Interest::WRITABLE,
            (false, true) => return std::future::pending().await,
        };
        match self.stream.ready(interest).await {
            Ok(ready) => {
                if ready.is_writable() {
                    self.write();
                }
                if reads && ready.is_readable() {
                    self.read();
                }
            }
            Err(_) => self.ended = true,
        }
    }

    /// The next frame of those that were read.
    pub(super) fn next_frame(&mut self) -> Option<Frame> {
        loop {
            let Ok(header) = parse_server_frame(&self.input) else {
                self.ended = true;
                return None;
            };
            let Some((opcode, head, length)) = header else {
                return self.rest();
            };
            if self.input.len() - head < length {
                return self.rest();
            }
            self.input.advance(head);
            let payload = self.input.split_to(length).freeze();
            match opcode {
                OpCode::Text | OpCode::Binary => return Some(Frame::Message(payload)),
                OpCode::Ping => {
                    self.send(OpCode::Pong, &payload);
                    return Some(Frame::Ping);
                }
                // Then the shard need not wait for us.
                OpCode::Close => self.send(OpCode::Close, &payload),
                OpCode::Pong | OpCode::Continuation => {}
            }
        }
    }

    /// Nothing whole is left; idle connections hold no buffer.
    fn rest(&mut self) -> Option<Frame> {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        None
    }

    fn read(&mut self) {
        self.input.reserve(READ_BYTES);
        match self.stream.try_read_buf(&mut self.input) {
            Ok(0) => self.ended = true,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.ended = true,
        }
    }

    fn write(&mut self) {
        while !self.output.is_empty() {
            match self.stream.try_write(&self.output) {
                Ok(written) => drop(self.output.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Reading says that it has ended.
                Err(_) => self.output.clear(),
            }
        }
        self.output = Vec::new();
    }
}
