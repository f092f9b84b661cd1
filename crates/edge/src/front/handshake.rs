//! One socket's life at the front: a single HTTP request that asks for an
//! upgrade, then Hello. Ends by handing the socket to a shard, or with an HTTP
//! answer and a close.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::Service};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use super::{
    hello::await_hello,
    listener::ConnectionSlot,
    upgrade::{self, Accepted, Refusal},
};
use crate::{
    gateway::Gateway,
    shard::{Adopted, Credential, Greeted, Mail},
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
    /// Why nobody gets in at the moment.
    closed: Option<Refusal>,
    // A lock because hyper's services are shared; never contended.
    verdict: Mutex<Option<Result<Accepted, Refusal>>>,
}

/// A socket that got its 101.
struct Upgraded {
    stream: TcpStream,
    /// What the peer sent right behind the HTTP head.
    unread: Vec<u8>,
    accepted: Accepted,
}

/// Runs the handshake, Hello included, within its deadline.
pub(crate) async fn run(
    gateway: &Arc<Gateway>,
    stream: TcpStream,
    peer: SocketAddr,
    place: Result<ConnectionSlot, Refusal>,
) -> Outcome {
    let deadline = Instant::now() + gateway.config.handshake_timeout;
    // Boxed, so that its buffers are not kept while waiting for Hello.
    let upgrade = Box::pin(upgrade(gateway, stream, place.as_ref().err().copied()));
    let Upgraded {
        mut stream,
        mut unread,
        accepted,
    } = match timeout_at(deadline, upgrade).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(outcome)) => return outcome,
        Err(_) => return Outcome::TimedOut,
    };
    let slot = match place {
        Ok(slot) => slot,
        Err(refusal) => return Outcome::Refused(refusal),
    };
    let mut greeting = accepted.greeting;
    if let Greeted::Client {
        subprotocol,
        credential: Credential::Absent,
    } = greeting
    {
        let hello = await_hello(gateway, &mut stream, subprotocol, &mut unread);
        // In vain if it is late: the shard says so to the client.
        if let Ok(Some(verdict)) = timeout_at(deadline, hello).await {
            greeting = Greeted::Client {
                subprotocol,
                credential: Credential::InHello(verdict),
            };
        }
    }
    // Through std, so that nothing of the front's reactor stays with it.
    let Ok(stream) = stream.into_std() else {
        return Outcome::Failed;
    };
    let stream = mio::net::TcpStream::from_std(stream);
    let deadline = deadline.into_std();
    let unread = unread.into_boxed_slice();
    let adopted = Adopted {
        stream,
        unread,
        peer,
        slot,
        greeting,
        deadline,
    };
    let mailbox = &gateway.least_loaded_shard().mailbox;
    mailbox.push_quietly(Mail::Adopt(Box::new(adopted)));
    // Handshakes that end at the same time hand over first, and one wake-up
    // serves them all: in a storm the wake-ups would cost more than the rest.
    tokio::task::yield_now().await;
    mailbox.wake();
    Outcome::Upgraded
}

/// Serves the one HTTP request.
async fn upgrade(
    gateway: &Gateway,
    stream: TcpStream,
    closed: Option<Refusal>,
) -> Result<Upgraded, Outcome> {
    // A silent socket shall cost a task and no buffers, so it waits outside. By
    // peeking: a new socket counts as readable until a read has been tried.
    let waited = stream.peek(&mut [0]).await;
    if !matches!(waited, Ok(1..)) {
        return Err(Outcome::Failed);
    }
    let permit = gateway
        .handshakes
        .acquire()
        .await
        .expect("the semaphore is never closed");
    let upgrader = Upgrader {
        gateway,
        closed,
        verdict: Mutex::new(None),
    };
    let parts = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), upgrader)
        .without_shutdown()
        .await
        .map_err(|_| Outcome::Failed)?;
    drop(permit);
    let stream = parts.io.into_inner();
    match parts.service.verdict.into_inner() {
        // A copy: the original would pin hyper's whole read buffer.
        Some(Ok(accepted)) => Ok(Upgraded {
            stream,
            unread: parts.read_buf.to_vec(),
            accepted,
        }),
        Some(Err(refusal)) => {
            finish(stream).await;
            Err(Outcome::Refused(refusal))
        }
        None => Err(Outcome::Failed),
    }
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
        let drains = || self.gateway.drain.refuses().then_some(Refusal::Draining);
        let decision = match self.closed.or_else(drains) {
            Some(refusal) => Err(refusal),
            None => upgrade::decide(self.gateway, &mut request),
        };
        let (verdict, response) = match decision {
            Ok((accepted, response)) => (Ok(accepted), response),
            Err(refusal) => (Err(refusal), upgrade::refuse(refusal)),
        };
        *self.verdict.lock() = Some(verdict);
        std::future::ready(Ok(response))
    }
}
