//! The head of a request, read before a library is given it: whoever lets it drip in
//! holds a few bytes, and nothing that others wait for.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use wire::{HeadProgress, HeadScan};

/// What most heads have room in.
const USUAL_BYTES: usize = 1024;

/// A stream from which something has been read already, which comes first.
pub(crate) struct Rewound<S> {
    read: Vec<u8>,
    /// How much of it has been given again.
    given: usize,
    stream: S,
}

/// Reads until a head is whole; `None` if there will be none. What came behind it is
/// returned with it.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut input = Vec::with_capacity(USUAL_BYTES);
    let mut scan = HeadScan::default();
    loop {
        match scan.look(&input) {
            HeadProgress::Whole(_) => return Some(input),
            HeadProgress::Not => return None,
            HeadProgress::Unfinished => {}
        }
        match stream.read_buf(&mut input).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return None,
        }
    }
}

// === impl Rewound ===

impl<S> Rewound<S> {
    pub(crate) fn new(read: Vec<u8>, stream: S) -> Self {
        Self {
            read,
            given: 0,
            stream,
        }
    }

    /// The stream, and what has not been given again.
    pub(crate) fn into_parts(mut self) -> (S, Vec<u8>) {
        self.read.drain(..self.given);
        (self.stream, self.read)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = &self.read[self.given..];
        if left.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, into);
        }
        let length = left.len().min(into.remaining());
        into.put_slice(&left[..length]);
        self.given += length;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
