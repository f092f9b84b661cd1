//! One socket's life at the front: a single HTTP request that asks for an
//! upgrade, then Hello. Ends by handing the socket to a shard, or with an HTTP
//! answer and a close.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::Service};
use hyper_util::rt::TokioIo;
use lifecycle::Scope;
use parking_lot::Mutex;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use wire::{MAX_HEAD_BYTES, Subprotocol};

use super::{
    admission::Later,
    farewell::{self, finish},
    head::{self, Rewound},
    hello::{Caller, await_hello},
    places::ConnectionSlot,
    socket::{Parted, Socket},
    unfinished::Visit,
    upgrade::{self, Accepted, Refusal},
};
use crate::{
    fallback,
    gateway::Gateway,
    shard::{Adopted, Credential, Greeted, Mail},
    transport::Transport,
};

/// How a handshake ended; a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A shard has the socket.
    Upgraded,
    /// Its requests were answered, and it has ended.
    Served,
    /// Answered with an HTTP error.
    Refused(Refusal),
    /// Not done within the deadline.
    TimedOut,
    /// The peer left, or did not speak HTTP.
    Failed,
    /// No proxy that we trust brought it, where one has to.
    NotProxied,
    /// Dropped, because there were too many of them and it was among the slowest.
    Shed,
}

/// Answers the one request of a connection and remembers what it accepted.
struct Upgrader<'a> {
    gateway: &'a Gateway,
    // A lock because hyper's services are shared; never contended.
    request: Mutex<Asked>,
}

/// What is known of the request.
struct Asked {
    peer: SocketAddr,
    /// A place for it, or why nobody gets one at the moment.
    place: Result<ConnectionSlot, Refusal>,
    verdict: Option<Result<Accepted, Refusal>>,
}

/// A socket whose first request is known by its head.
struct Arrived {
    stream: Socket,
    head: Vec<u8>,
    peer: SocketAddr,
}

/// A socket that got its 101.
struct Upgraded {
    stream: Socket,
    /// What the peer sent right behind the HTTP head.
    unread: Vec<u8>,
    accepted: Accepted,
    /// Whose it is.
    peer: SocketAddr,
    slot: ConnectionSlot,
}

/// Runs the handshake, Hello included, within its deadline; or serves the requests of a
/// client that can have no WebSocket, for as long as they come.
pub(crate) async fn run(
    gateway: &Arc<Gateway>,
    scope: &Scope,
    stream: TcpStream,
    peer: SocketAddr,
    place: Result<ConnectionSlot, Refusal>,
    visit: Visit<'_>,
) -> Outcome {
    let deadline = Instant::now() + gateway.config.handshake_timeout;
    let arrived = match timeout_at(deadline, arrive(gateway, stream, peer, &visit)).await {
        Ok(Ok(arrived)) => arrived,
        Ok(Err(outcome)) => return outcome,
        Err(_) => return Outcome::TimedOut,
    };
    if gateway.config.fallbacks && fallback::is_meant(&arrived.head) {
        let Arrived { stream, head, peer } = arrived;
        // Boxed, so that it costs others nothing.
        let serving = fallback::serve(gateway, scope, (stream, head), peer, place, visit);
        return match Box::pin(serving).await {
            true => Outcome::Served,
            false => Outcome::Failed,
        };
    }
    take_over(gateway, arrived, place, visit, deadline).await
}

/// Upgrades, waits for Hello and hands the socket to a shard.
async fn take_over(
    gateway: &Gateway,
    arrived: Arrived,
    place: Result<ConnectionSlot, Refusal>,
    visit: Visit<'_>,
    deadline: Instant,
) -> Outcome {
    // Boxed, so that its buffers are not kept while waiting for Hello.
    let upgrade = Box::pin(upgrade(gateway, arrived, place, &visit));
    let Upgraded {
        mut stream,
        mut unread,
        accepted,
        peer,
        slot,
    } = match timeout_at(deadline, upgrade).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(outcome)) => return outcome,
        Err(_) => return Outcome::TimedOut,
    };
    let greeted = greet(gateway, &mut stream, &mut unread, accepted, deadline).await;
    let greeting = match greeted {
        Ok(greeting) => greeting,
        Err((subprotocol, later)) => {
            let farewell = Box::pin(farewell(gateway, stream, subprotocol, later));
            return timeout_at(deadline, farewell)
                .await
                .unwrap_or(Outcome::TimedOut);
        }
    };
    let parted = match timeout_at(deadline, stream.part()).await {
        Ok(Ok(parted)) => parted,
        Ok(Err(_)) => return Outcome::Failed,
        Err(_) => return Outcome::TimedOut,
    };
    let Parted {
        stream,
        link,
        plain,
    } = parted;
    unread.extend(plain);
    let deadline = deadline.into_std();
    let unread = unread.into_boxed_slice();
    let adopted = Adopted {
        stream,
        link,
        unread,
        peer,
        slot,
        greeting,
        transport: Transport::WebSocket,
        deadline,
    };
    drop(visit);
    let mailbox = &gateway.least_loaded_shard().mailbox;
    mailbox.push_quietly(Mail::Adopt(Box::new(adopted)));
    // Handshakes that end at the same time hand over first, and one wake-up
    // serves them all: in a storm the wake-ups would cost more than the rest.
    tokio::task::yield_now().await;
    mailbox.wake();
    Outcome::Upgraded
}

/// Waits until it is known who the client is, or that it is to come back later.
async fn greet(
    gateway: &Gateway,
    stream: &mut Socket,
    unread: &mut Vec<u8>,
    accepted: Accepted,
    deadline: Instant,
) -> Result<Greeted, (Subprotocol, Later)> {
    let (subprotocol, token, caller) = match accepted {
        Accepted::Echo => return Ok(Greeted::Echo),
        Accepted::PutOff { subprotocol, later } => return Err((subprotocol, later)),
        Accepted::Client {
            subprotocol,
            token,
            caller,
        } => (subprotocol, token, caller),
    };
    let hearing = hear(gateway, stream, unread, subprotocol, token, caller);
    // In vain if it is late: the shard says so to the client.
    let heard = timeout_at(deadline, hearing).await;
    let greeting = Greeted::Client {
        subprotocol,
        credential: heard.unwrap_or(Credential::Absent),
    };
    match unwelcome(gateway, &greeting) {
        Some(put_off) => Err(put_off),
        None => Ok(greeting),
    }
}

/// Verifies the token of the request or, if there is none, that of Hello. An
/// invalid one has been upgraded all the same: browsers can read a close code but
/// no HTTP status.
async fn hear(
    gateway: &Gateway,
    stream: &mut Socket,
    unread: &mut Vec<u8>,
    subprotocol: Subprotocol,
    token: Option<String>,
    caller: Caller,
) -> Credential {
    let Some(token) = token else {
        let verdict = await_hello(gateway, &caller, stream, subprotocol, unread).await;
        return verdict.map_or(Credential::Absent, Credential::InHello);
    };
    let verdict = gateway.authenticate(caller.attempt(&token, ""));
    Credential::InRequest(verdict.await)
}

/// Tells the client when to come back. To be boxed, as handshakes that go well do
/// not need its buffer.
async fn farewell(
    gateway: &Gateway,
    stream: Socket,
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

/// Waits for the head of the first request.
async fn arrive(
    gateway: &Gateway,
    mut stream: TcpStream,
    peer: SocketAddr,
    visit: &Visit<'_>,
) -> Result<Arrived, Outcome> {
    let peer = gateway
        .config
        .proxies
        .of_connection(&mut stream, peer)
        .await?;
    visit.comes_from(gateway.door.prefix(peer.ip()));
    let (stream, head) = read_head(gateway, stream, peer).await?;
    Ok(Arrived { stream, head, peer })
}

/// Serves the one HTTP request.
async fn upgrade(
    gateway: &Gateway,
    Arrived { stream, head, peer }: Arrived,
    place: Result<ConnectionSlot, Refusal>,
    visit: &Visit<'_>,
) -> Result<Upgraded, Outcome> {
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
        request: Mutex::new(Asked {
            peer,
            place,
            verdict: None,
        }),
    };
    let parts = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(Rewound::new(head, stream)), upgrader)
        .without_shutdown()
        .await
        .map_err(|_| Outcome::Failed)?;
    drop((permit, turn));
    drop(queue);
    let (stream, behind) = parts.io.into_inner().into_parts();
    let Asked {
        peer,
        place,
        verdict,
    } = parts.service.request.into_inner();
    visit.comes_from(gateway.door.prefix(peer.ip()));
    match (verdict, place) {
        // A copy: the original would pin hyper's whole read buffer.
        (Some(Ok(accepted)), Ok(slot)) => Ok(Upgraded {
            stream,
            unread: [&parts.read_buf[..], &behind].concat(),
            accepted,
            peer,
            slot,
        }),
        (Some(Err(refusal)), _) => {
            finish(stream).await;
            Err(Outcome::Refused(refusal))
        }
        (Some(Ok(_)), Err(_)) | (None, _) => Err(Outcome::Failed),
    }
}

/// Waits for the head of a request, behind a handshake of TLS if the port has it.
async fn read_head(
    gateway: &Gateway,
    stream: TcpStream,
    peer: SocketAddr,
) -> Result<(Socket, Vec<u8>), Outcome> {
    // A silent socket shall cost a task and no buffers, so it waits outside. By
    // peeking: a new socket counts as readable until a read has been tried.
    let waited = stream.peek(&mut [0]).await;
    if !matches!(waited, Ok(1..)) {
        return Err(Outcome::Failed);
    }
    let secured = Socket::open(stream, gateway.tls.as_deref()).await;
    let mut stream = secured.map_err(|error| {
        tracing::debug!(%peer, %error, "no handshake of TLS");
        Outcome::Failed
    })?;
    let head = head::read(&mut stream).await.ok_or(Outcome::Failed)?;
    Ok((stream, head))
}

impl Service<Request<Incoming>> for Upgrader<'_> {
    type Response = Response<Full<Bytes>>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let mut asked = self.request.lock();
        asked.peer = (self.gateway.config.proxies).of_request(asked.peer, request.headers());
        let peer = asked.peer.ip();
        let decision = match &mut asked.place {
            Err(refusal) => Err(refusal.turned(self.gateway)),
            Ok(_) if self.gateway.drain.refuses() => Err(Refusal::Draining.turned(self.gateway)),
            Ok(slot) => upgrade::decide(self.gateway, peer, slot, &mut request),
        };
        let (verdict, response) = match decision {
            Ok((accepted, response)) => (Ok(accepted), response),
            Err(turned) => (Err(turned.refusal), upgrade::refuse(&turned)),
        };
        asked.verdict = Some(verdict);
        std::future::ready(Ok(response))
    }
}
