//! A client's socket at the front, with TLS or without.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use socket2::SockRef;
use tls::{Link, Server, Stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};

/// See the module.
pub(crate) enum Socket {
    Plain(TcpStream),
    // Boxed: it is large, and most gateways have no TLS of their own.
    Secured(Box<Stream<TcpStream>>),
}

/// A socket on its way to a shard.
pub(crate) struct Parted {
    pub(crate) stream: mio::net::TcpStream,
    pub(crate) link: Option<Box<Link>>,
    /// What had been decrypted, and nobody has read.
    pub(crate) plain: Vec<u8>,
}

// === impl Socket ===

impl Socket {
    /// Shakes hands, if the gateway has TLS.
    ///
    /// # Errors
    /// If the peer leaves, or can't be served.
    pub(crate) async fn open(stream: TcpStream, server: Option<&Server>) -> io::Result<Self> {
        let Some(server) = server else {
            return Ok(Self::Plain(stream));
        };
        let secured = Stream::accept(stream, server.tls()).await?;
        Ok(Self::Secured(Box::new(secured)))
    }

    /// From now on a peer that takes nothing for so long is gone (RFC 5482).
    ///
    /// # Errors
    /// If the system has no such thing.
    pub(crate) fn give_up_after(&self, limit: Duration) -> io::Result<()> {
        let stream = match self {
            Self::Plain(stream) => stream,
            Self::Secured(secured) => secured.get_ref(),
        };
        SockRef::from(stream).set_tcp_user_timeout(Some(limit))
    }

    /// Takes it from the front. Through std, so that nothing of its reactor stays.
    ///
    /// # Errors
    /// If the peer is gone.
    pub(crate) async fn part(mut self) -> io::Result<Parted> {
        self.flush().await?;
        let (stream, link, plain) = match self {
            Self::Plain(stream) => (stream, None, Vec::new()),
            Self::Secured(secured) => {
                let (stream, link, plain) = secured.into_parts();
                (stream, Some(Box::new(link)), plain)
            }
        };
        let stream = mio::net::TcpStream::from_std(stream.into_std()?);
        Ok(Parted {
            stream,
            link,
            plain,
        })
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Self::Secured(stream) => Pin::new(&mut **stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Secured(stream) => Pin::new(&mut **stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Secured(stream) => Pin::new(&mut **stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secured(stream) => Pin::new(&mut **stream).poll_shutdown(context),
        }
    }
}
