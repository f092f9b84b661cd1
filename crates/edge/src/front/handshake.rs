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
use wire::Subprotocol;

use super::{
    admission::Later,
    farewell::{self, finish},
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
    peer: SocketAddr,
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
    let upgrade = Box::pin(upgrade(
        gateway,
        stream,
        peer,
        place.as_ref().err().copied(),
    ));
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
    let mut greeting = match accepted {
        Accepted::Client(greeting) => greeting,
        Accepted::PutOff { subprotocol, later } => {
            let farewell = Box::pin(farewell(gateway, stream, subprotocol, later));
            return timeout_at(deadline, farewell)
                .await
                .unwrap_or(Outcome::TimedOut);
        }
    };
    await_token(gateway, &mut stream, &mut unread, &mut greeting, deadline).await;
    if let Some((subprotocol, later)) = unwelcome(gateway, &greeting) {
        let farewell = Box::pin(farewell(gateway, stream, subprotocol, later));
        return timeout_at(deadline, farewell)
            .await
            .unwrap_or(Outcome::TimedOut);
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

/// Waits for Hello, if the token has not come with the request.
async fn await_token(
    gateway: &Gateway,
    stream: &mut TcpStream,
    unread: &mut Vec<u8>,
    greeting: &mut Greeted,
    deadline: Instant,
) {
    let Greeted::Client {
        subprotocol,
        credential,
    } = greeting
    else {
        return;
    };
    if !matches!(credential, Credential::Absent) {
        return;
    }
    let hello = await_hello(gateway, stream, *subprotocol, unread);
    // In vain if it is late: the shard says so to the client.
    if let Ok(Some(verdict)) = timeout_at(deadline, hello).await {
        *credential = Credential::InHello(verdict);
    }
}

/// Tells the client when to come back. To be boxed, as handshakes that go well do
/// not need its buffer.
async fn farewell(
    gateway: &Gateway,
    stream: TcpStream,
    subprotocol: Subprotocol,
    later: Later,
) -> Outcome {
    let resumable = gateway.config.tickets.are_shared();
    farewell::say(stream, subprotocol, later, resumable).await;
    Outcome::Refused(later.reason.into())
}

/// Whether this is a user who must stay away for a while.
fn unwelcome(gateway: &Gateway, greeting: &Greeted) -> Option<(Subprotocol, Later)> {
    let Greeted::Client {
        subprotocol,
        credential: Credential::InRequest(Ok(identity)) | Credential::InHello(Ok(identity)),
    } = greeting
    else {
        return None;
    };
    let later = gateway.door.greet(&identity.user).err()?;
    Some((*subprotocol, later))
}

/// Serves the one HTTP request.
async fn upgrade(
    gateway: &Gateway,
    stream: TcpStream,
    peer: SocketAddr,
    closed: Option<Refusal>,
) -> Result<Upgraded, Outcome> {
    // A silent socket shall cost a task and no buffers, so it waits outside. By
    // peeking: a new socket counts as readable until a read has been tried.
    let waited = stream.peek(&mut [0]).await;
    if !matches!(waited, Ok(1..)) {
        return Err(Outcome::Failed);
    }
    // First among those from its own address, so that no address holds all.
    let queue = gateway.door.queue_up(peer.ip());
    let turn = queue.come().await;
    let permit = gateway
        .handshakes
        .acquire()
        .await
        .expect("the semaphore is never closed");
    let upgrader = Upgrader {
        gateway,
        peer,
        closed,
        verdict: Mutex::new(None),
    };
    let parts = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), upgrader)
        .without_shutdown()
        .await
        .map_err(|_| Outcome::Failed)?;
    drop((permit, turn));
    drop(queue);
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

impl Service<Request<Incoming>> for Upgrader<'_> {
    type Response = Response<Full<Bytes>>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let drains = || self.gateway.drain.refuses().then_some(Refusal::Draining);
        let decision = match self.closed.or_else(drains) {
            Some(refusal) => Err(refusal.turned(self.gateway)),
            None => upgrade::decide(self.gateway, self.peer.ip(), &mut request),
        };
        let (verdict, response) = match decision {
            Ok((accepted, response)) => (Ok(accepted), response),
            Err(turned) => (Err(turned.refusal), upgrade::refuse(&turned)),
        };
        *self.verdict.lock() = Some(verdict);
        std::future::ready(Ok(response))
    }
}
