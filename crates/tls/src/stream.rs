//! A [`Link`] over a tokio socket, for the handshake and what follows it at the
//! front. Holds buffers, so it is not for connections that stay.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::server::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::{Link, LinkError};

/// Ciphertext read at once.
const READ_BYTES: usize = 4 << 10;

/// Ciphertext that may wait for the socket before no more is taken.
const MAX_WAITING: usize = 64 << 10;

/// A socket with TLS, on the server's side.
#[derive(Debug)]
pub struct Stream<S> {
    socket: S,
    link: Link,
    /// Plaintext that has not been read, and how much of it has.
    plain: Vec<u8>,
    given: usize,
    /// Ciphertext that the socket has not taken, and how much of it has.
    out: Vec<u8>,
    sent: usize,
    ended: bool,
}

// === impl Stream ===

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    /// Shakes hands; the caller has a deadline for it.
    ///
    /// # Errors
    /// If the peer leaves, speaks no TLS, or can't be served; it has been sent an
    /// alert then.
    pub async fn accept(socket: S, config: Arc<ServerConfig>) -> io::Result<Self> {
        let mut this = Self {
            socket,
            link: Link::new(config).map_err(invalid)?,
            plain: Vec::new(),
            given: 0,
            out: Vec::new(),
            sent: 0,
            ended: false,
        };
        while this.link.is_handshaking() {
            let mut input = vec![0; this.link.unfinished() + READ_BYTES];
            let room = &mut input[this.link.unfinished()..];
            let length = this.socket.read(room).await?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            input.truncate(this.link.unfinished() + length);
            let outcome = this.receive(&mut input);
            // The alert of a failure as well.
            let flushed = this.flush().await;
            outcome.and(flushed)?;
        }
        Ok(this)
    }

    /// Takes it apart: the socket, the link, and plaintext that nobody has read. To be
    /// called when everything written is flushed.
    pub fn into_parts(mut self) -> (S, Link, Vec<u8>) {
        self.plain.drain(..self.given);
        (self.socket, self.link, self.plain)
    }

    /// What carries it.
    pub fn get_ref(&self) -> &S {
        &self.socket
    }

    /// The connection's TLS.
    pub fn link(&self) -> &Link {
        &self.link
    }

    fn receive(&mut self, input: &mut [u8]) -> io::Result<()> {
        let progress = self.link.receive(input, &mut self.plain, &mut self.out);
        self.ended |= progress.map_err(invalid)?.ended;
        Ok(())
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.out.len() {
            let waiting = &self.out[self.sent..];
            let taken = ready!(Pin::new(&mut self.socket).poll_write(context, waiting))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += taken;
        }
        self.out.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.given < this.plain.len() {
                let left = &this.plain[this.given..];
                let length = left.len().min(into.remaining());
                into.put_slice(&left[..length]);
                this.given += length;
                return Poll::Ready(Ok(()));
            }
            this.plain.clear();
            this.given = 0;
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            let unfinished = this.link.unfinished();
            let mut input = vec![0; unfinished + READ_BYTES];
            let mut room = ReadBuf::new(&mut input[unfinished..]);
            ready!(Pin::new(&mut this.socket).poll_read(context, &mut room))?;
            let length = room.filled().len();
            if length == 0 {
                // Cut off, or closed without a word: its reader sees the end either way.
                this.ended = true;
                continue;
            }
            input.truncate(unfinished + length);
            this.receive(&mut input)?;
            // What the peer is to get goes with the next write, or now.
            if let Poll::Ready(Err(error)) = this.poll_send(context) {
                return Poll::Ready(Err(error));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.out.len() >= MAX_WAITING {
            ready!(self.poll_send(context))?;
        }
        let this = &mut *self;
        let length = bytes.len().min(MAX_WAITING);
        this.link
            .send(&bytes[..length], &mut this.out)
            .map_err(invalid)?;
        // Taken, whether or not the socket has room for it now.
        match this.poll_send(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(length)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(context))?;
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.link.close(&mut this.out);
        ready!(this.poll_send(context))?;
        Pin::new(&mut this.socket).poll_shutdown(context)
    }
}

fn invalid(error: LinkError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
