//! One socket's HTTP life: a single request that asks for an upgrade. Ends by
//! handing the socket to a shard, or with an HTTP answer and a close.

use std::{io, net::SocketAddr, sync::Arc, time::Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::Service};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;

use super::{
    listener::ConnectionSlot,
    upgrade::{self, Accepted, Refusal},
};
use crate::{
    gateway::Gateway,
    shard::{Adopted, Mail},
};

/// hyper's smallest read buffer; an upgrade request with a token fits well.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// How a handshake ended; a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A shard has the socket.
    Upgraded,
    /// Answered with an HTTP error.
    Refused(Refusal),
    /// Not done within the deadline.
    TimedOut,
    /// The peer left, or did not speak HTTP.
    Failed,
}

/// Answers the one request of a connection and remembers what it accepted.
struct Upgrader<'a> {
    gateway: &'a Gateway,
    full: bool,
    // A lock because hyper's services are shared; never contended.
    verdict: Mutex<Option<Result<Accepted, Refusal>>>,
}

/// Runs the handshake; the caller bounds it in time.
pub(crate) async fn run(
    gateway: &Arc<Gateway>,
    stream: TcpStream,
    peer: SocketAddr,
    slot: Option<ConnectionSlot>,
    deadline: Instant,
) -> Outcome {
    let upgrader = Upgrader {
        gateway,
        full: slot.is_none(),
        verdict: Mutex::new(None),
    };
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), upgrader)
        .without_shutdown()
        .await;
    let Ok(parts) = connection else {
        return Outcome::Failed;
    };
    match (parts.service.verdict.into_inner(), slot) {
        (Some(Ok(accepted)), Some(slot)) => {
            let handed = hand_over(
                gateway,
                parts.io.into_inner(),
                &parts.read_buf,
                peer,
                slot,
                accepted,
                deadline,
            );
            if handed.is_ok() {
                Outcome::Upgraded
            } else {
                Outcome::Failed
            }
        }
        (Some(Err(refusal)), _) => {
            finish(parts.io.into_inner()).await;
            Outcome::Refused(refusal)
        }
        _ => Outcome::Failed,
    }
}

/// Gives the socket, with what was read beyond the HTTP head, to the shard that
/// holds the fewest.
fn hand_over(
    gateway: &Gateway,
    stream: TcpStream,
    unread: &Bytes,
    peer: SocketAddr,
    slot: ConnectionSlot,
    accepted: Accepted,
    deadline: Instant,
) -> io::Result<()> {
    // Through std, so that nothing of the front's reactor stays with it.
    let stream = mio::net::TcpStream::from_std(stream.into_std()?);
    let adopted = Adopted {
        stream,
        // A copy: the original would pin hyper's whole read buffer.
        unread: Box::from(unread.as_ref()),
        peer,
        slot,
        greeting: accepted.greeting,
        deadline,
    };
    gateway
        .least_loaded_shard()
        .mailbox
        .push(Mail::Adopt(Box::new(adopted)));
    Ok(())
}

/// Ends a refused connection so that the peer can read the answer.
async fn finish(mut stream: TcpStream) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    // Both may fail because the peer is gone already, which is as good.
    if stream.shutdown().await.is_ok() {
        let mut rest = [0; 512];
        while matches!(stream.read(&mut rest).await, Ok(1..)) {}
    }
}

impl Service<Request<Incoming>> for Upgrader<'_> {
    type Response = Response<Full<Bytes>>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let decision = if self.full {
            Err(Refusal::Full)
        } else {
            upgrade::decide(self.gateway, &mut request)
        };
        let (verdict, response) = match decision {
            Ok((accepted, response)) => (Ok(accepted), response),
            Err(refusal) => (Err(refusal), upgrade::refuse(refusal)),
        };
        *self.verdict.lock() = Some(verdict);
        std::future::ready(Ok(response))
    }
}
