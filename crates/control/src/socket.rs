//! A caller's socket, owned: named in the scope's book, and cut when told so.
//!
//! tonic runs each connection in a task of its own that ends with the socket
//! alone; this is what makes it end when its time is over.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Stream, StreamExt, future};
use lifecycle::{Scope, Tracked};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpIncoming};

use crate::{
    callers::Peer,
    tls::{self, Tls},
};

/// TLS handshakes under way at once; more wait in the listen queue. Backends keep
/// their connections, so there are few.
const MAX_HANDSHAKES: usize = 256;

/// A connection of a caller.
pub(crate) struct Socket {
    link: Link,
    peer: Peer,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _tracked: Tracked,
}

/// What carries the bytes.
enum Link {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The connections of callers, as they come; with `tls` those that have shaken hands.
/// They fail once `cut` is cancelled.
pub(crate) fn incoming(
    listener: TcpListener,
    tls: Option<Tls>,
    callers: Scope,
    cut: CancellationToken,
) -> impl Stream<Item = io::Result<Socket>> {
    let streams = TcpIncoming::from(listener).with_nodelay(Some(true));
    let links = streams.map(move |stream| {
        let tls = tls.clone();
        async move {
            let stream = stream?;
            let mut peer = Peer {
                address: stream.peer_addr().ok(),
                ..Peer::default()
            };
            let Some(tls) = tls else {
                return Ok(Some((Link::Plain(stream), peer)));
            };
            match tls.accept(stream).await {
                Ok(stream) => {
                    peer.names = tls::names(stream.get_ref().1);
                    Ok(Some((Link::Tls(Box::new(stream)), peer)))
                }
                Err(error) => {
                    tracing::debug!(%error, peer = ?peer.address, "a TLS handshake failed");
                    metrics::counter!("tidegate_control_handshakes_failed_total").increment(1);
                    Ok(None)
                }
            }
        }
    });
    let sockets = links.buffer_unordered(MAX_HANDSHAKES).map(move |made| {
        let made: io::Result<Option<(Link, Peer)>> = made;
        let socket = |(link, peer)| Socket {
            link,
            peer,
            cut: Box::pin(cut.clone().cancelled_owned()),
            _tracked: callers.track("grpc-connection"),
        };
        made.map(|made| made.map(socket)).transpose()
    });
    sockets.filter_map(future::ready)
}

// === impl Socket ===

impl Socket {
    fn poll_cut(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl Connected for Socket {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // HTTP/2 always reads: this wakes the task, whatever it is doing.
        self.poll_cut(cx)?;
        match &mut self.link {
            Link::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Link::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.link {
            Link::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Link::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.link {
            Link::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Link::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.link {
            Link::Plain(stream) => stream.is_write_vectored(),
            Link::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.link {
            Link::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Link::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.link {
            Link::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Link::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
