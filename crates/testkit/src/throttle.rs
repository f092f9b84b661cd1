//! A socket whose reading can be slowed down while it is in use, so that TCP's
//! own flow control reaches the gateway.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// Bytes read at once while slowed down.
const STEP: usize = 512;

/// How fast a [`Throttled`] reads; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Rate(Arc<AtomicU64>);

/// A stream whose reading is slowed down to its rate; writing is not.
#[derive(Debug)]
pub struct Throttled<S> {
    inner: S,
    rate: Rate,
    pause: Option<Pin<Box<Sleep>>>,
}

// === impl Rate ===

impl Rate {
    /// Bytes a second from now on; zero, as at first: as fast as they come.
    pub fn set(&self, bytes_per_second: u64) {
        self.0.store(bytes_per_second, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl Throttled ===

impl<S> Throttled<S> {
    /// Wraps a stream.
    pub fn new(inner: S, rate: Rate) -> Self {
        Self {
            inner,
            rate,
            pause: None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Throttled<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(ctx));
            self.pause = None;
        }
        let rate = self.rate.get();
        if rate == 0 {
            return Pin::new(&mut self.inner).poll_read(ctx, buffer);
        }
        let mut step = [0; STEP];
        let mut part = ReadBuf::new(&mut step[..STEP.min(buffer.remaining())]);
        ready!(Pin::new(&mut self.inner).poll_read(ctx, &mut part))?;
        let read = part.filled();
        buffer.put_slice(read);
        let pause = Duration::from_secs_f64(read.len() as f64 / rate as f64);
        self.pause = Some(Box::pin(sleep(pause)));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Throttled<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(ctx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(ctx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(ctx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        time::Instant,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_socket_takes_its_time_and_loses_nothing() {
        let (near, mut far) = duplex(64 * 1024);
        let rate = Rate::default();
        rate.set(1_000);
        let mut slow = Throttled::new(near, rate);
        let sent: Vec<u8> = (0..4_000_u32).map(|number| number as u8).collect();
        far.write_all(&sent).await.expect("there is room");
        let begun = Instant::now();
        let mut read = vec![0; sent.len()];
        slow.read_exact(&mut read).await.expect("all comes");
        assert_eq!(read, sent);
        assert!(begun.elapsed() >= Duration::from_secs(3));
    }
}
