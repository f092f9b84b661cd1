//! Reading and writing a connection's socket, with TLS or without.
//!
//! What is encrypted and not taken by the kernel belongs to the connection, one record
//! at most: it counts as written for the outbox, and the socket as blocked until it is
//! gone. A connection that is idle holds nothing of it.

use std::{
    io::{self, ErrorKind, Read, Write},
    mem,
};

use tls::{Link, MAX_RECORD_BYTES};

use super::connection::Connection;

/// Plaintext encrypted at once: what fits into a record.
const RECORD_BYTES: usize = 16 << 10;

/// Answers of the protocol's own that may wait for a peer that does not read.
const MAX_PENDING: usize = 64 << 10;

/// TLS of a connection.
pub(crate) struct Secured {
    link: Link,
    /// Encrypted, and not taken by the kernel.
    pending: Vec<u8>,
    /// The peer sends no more.
    ended: bool,
}

/// What the connections of a shard share while one of them is read or written; made
/// when the first one has TLS.
#[derive(Default)]
pub(super) struct Buffers {
    input: Vec<u8>,
    opened: Vec<u8>,
    sealed: Vec<u8>,
}

/// What was read.
pub(super) struct Taken {
    pub(super) length: usize,
    /// The socket has no more.
    pub(super) drained: bool,
}

// === impl Secured ===

impl Secured {
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link,
            pending: Vec::new(),
            ended: false,
        }
    }

    /// Reads until there is plaintext; no more than fits into `plain`.
    fn read(
        &mut self,
        stream: &mut mio::net::TcpStream,
        plain: &mut [u8],
        most: usize,
        buffers: &mut Buffers,
    ) -> io::Result<Taken> {
        let Buffers {
            input,
            opened,
            sealed,
        } = buffers;
        input.resize(plain.len(), 0);
        // A whole record must fit: no part of one can be decrypted.
        let room = most.max(MAX_RECORD_BYTES).min(input.len());
        loop {
            let kept = self.link.unfinished();
            let length = match self.ended {
                true => 0,
                false => stream.read(&mut input[kept..room])?,
            };
            if length == 0 {
                let drained = true;
                return Ok(Taken { length, drained });
            }
            opened.clear();
            sealed.clear();
            let received = self
                .link
                .receive(&mut input[..kept + length], opened, sealed);
            self.push(stream, sealed)?;
            self.ended |= received.map_err(io::Error::other)?.ended;
            let drained = length < room - kept && !self.ended;
            if !opened.is_empty() {
                let length = opened.len();
                plain[..length].copy_from_slice(opened);
                return Ok(Taken { length, drained });
            }
            if drained {
                return Err(ErrorKind::WouldBlock.into());
            }
        }
    }

    /// Encrypts and writes; gives how much of it is the connection's no more.
    fn write(
        &mut self,
        stream: &mut mio::net::TcpStream,
        plain: &[u8],
        sealed: &mut Vec<u8>,
    ) -> io::Result<usize> {
        if !self.flush(stream)? {
            return Err(ErrorKind::WouldBlock.into());
        }
        sealed.clear();
        self.link.send(plain, sealed).map_err(io::Error::other)?;
        self.push(stream, sealed)?;
        Ok(plain.len())
    }

    /// Writes, and keeps what the kernel does not take.
    fn push(&mut self, stream: &mut mio::net::TcpStream, sealed: &[u8]) -> io::Result<()> {
        let taken = match self.flush(stream)? {
            true => write(stream, sealed)?,
            false => 0,
        };
        self.pending.extend_from_slice(&sealed[taken..]);
        match self.pending.len() > MAX_PENDING {
            true => Err(ErrorKind::OutOfMemory.into()),
            false => Ok(()),
        }
    }

    /// Whether nothing is pending any more.
    fn flush(&mut self, stream: &mut mio::net::TcpStream) -> io::Result<bool> {
        let taken = write(stream, &self.pending)?;
        if taken == self.pending.len() {
            self.pending = Vec::new();
            return Ok(true);
        }
        self.pending.drain(..taken);
        Ok(false)
    }
}

// === impl Connection ===

impl Connection {
    /// Reads some `most` bytes; fails with [`ErrorKind::WouldBlock`] if there are none.
    pub(super) fn read(
        &mut self,
        plain: &mut [u8],
        most: usize,
        buffers: &mut Buffers,
    ) -> io::Result<Taken> {
        let Some(secured) = &mut self.tls else {
            let length = self.stream.read(&mut plain[..most])?;
            let drained = length < most;
            return Ok(Taken { length, drained });
        };
        let taken = secured.read(&mut self.stream, plain, most, buffers);
        self.flow.blocked |= self.has_pending();
        taken
    }

    /// Writes as much as the kernel takes, and no more than [`Self::most_at_once`].
    pub(super) fn write(&mut self, plain: &[u8], buffers: &mut Buffers) -> io::Result<usize> {
        match &mut self.tls {
            None => self.stream.write(plain),
            Some(secured) => secured.write(&mut self.stream, plain, &mut buffers.sealed),
        }
    }

    /// Of `most` bytes, how many can be written at once.
    pub(super) fn most_at_once(&self, most: usize) -> usize {
        match self.tls {
            None => most,
            Some(_) => most.min(RECORD_BYTES),
        }
    }

    /// Whether the kernel has not taken all that was written.
    pub(super) fn has_pending(&self) -> bool {
        let pending = |secured: &Secured| !secured.pending.is_empty();
        self.tls.as_deref().is_some_and(pending)
    }

    /// Tries to write what is pending.
    pub(super) fn write_pending(&mut self) -> io::Result<()> {
        if let Some(secured) = &mut self.tls {
            self.flow.blocked |= !secured.flush(&mut self.stream)?;
        }
        Ok(())
    }

    /// Tells the peer that nothing more comes, before the socket says so.
    pub(super) fn say_goodbye(&mut self, buffers: &mut Buffers) {
        if let Some(secured) = &mut self.tls {
            buffers.sealed.clear();
            secured.link.close(&mut buffers.sealed);
            let goodbye = mem::take(&mut buffers.sealed);
            // Who can't take it finds the end of the stream.
            let _ = secured.push(&mut self.stream, &goodbye);
        }
    }
}

/// How much the kernel takes; zero if it has no room.
fn write(stream: &mut mio::net::TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut taken = 0;
    while taken < bytes.len() {
        match stream.write(&bytes[taken..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(more) => taken += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}
