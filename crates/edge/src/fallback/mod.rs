//! Where WebSocket is blocked: the protocol over server-sent events, long polling and
//! requests (`docs/fallbacks.md`).
//!
//! A carried connection is a connection of a shard like any other. Its socket is one end
//! of a pair, and the task that has the other end speaks WebSocket to the shard, and to
//! the client what gets through:
//!
//! ```text
//! GET, POST /v1/sse ----> Visitor --open--> Pair ==== shard
//!                <---- Streaming ------------'|
//! POST /v1/poll  ----> Visitor --ask--> Polling
//! POST /v1/send  ----> Visitor --ask--> either, here or at the gateway that the handle names
//! ```
//!
//! Nothing is read from the pair that the client has not made room for, so outboxes,
//! their policies and their counters are those of every connection.

mod carriers;
mod http;
mod opening;
mod pair;
mod polling;
mod streaming;
mod visitor;
mod watching;

use std::{future::poll_fn, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use lifecycle::Scope;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use wire::MAX_HEAD_BYTES;

pub(crate) use self::carriers::{Answer, Ask, Carriers};
use self::visitor::{Begun, Standing, Visitor};
use crate::{
    front::{ConnectionSlot, Refusal, Rewound, Socket, Visit},
    gateway::Gateway,
};

const SSE_PATH: &str = "/v1/sse";
const POLL_PATH: &str = "/v1/poll";
const SEND_PATH: &str = "/v1/send";

/// How long a connection of HTTP may be idle between two requests.
const IDLE: Duration = Duration::from_secs(60);

/// Whether a request with this head is one of ours.
pub(crate) fn is_meant(head: &[u8]) -> bool {
    let target = head.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
    [SSE_PATH, POLL_PATH, SEND_PATH].iter().any(|path| {
        let rest = target.strip_prefix(path.as_bytes());
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'?')))
    })
}

/// Serves the requests of one HTTP connection, of which the first head was read.
/// `false`: the peer left, or does not speak HTTP.
pub(crate) async fn serve(
    gateway: &Arc<Gateway>,
    scope: &Scope,
    (socket, head): (Socket, Vec<u8>),
    peer: SocketAddr,
    place: Result<ConnectionSlot, Refusal>,
    visit: Visit<'_>,
) -> bool {
    if let Err(error) = socket.give_up_after(gateway.config.heartbeat * 2) {
        tracing::debug!(%error, "a dead peer may be noticed late");
    }
    let _serving = gateway.carriers.serve();
    let visitor = Visitor {
        gateway,
        scope,
        peer,
        standing: Mutex::new(Standing {
            place: Some(place),
            visit: Some(visit),
            stream: None,
        }),
    };
    // Boxed, so that a stream holds nothing of what its request took.
    match Box::pin(requests(visitor, Rewound::new(head, socket))).await {
        Ok(Some((Begun { head, streaming }, socket))) => {
            Box::pin(streaming.run(head, socket)).await;
            true
        }
        Ok(None) => true,
        Err(_) => false,
    }
}

/// Answers requests until there are no more, or the connection becomes a stream.
async fn requests(
    visitor: Visitor<'_>,
    socket: Rewound<Socket>,
) -> hyper::Result<Option<(Begun, Socket)>> {
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(
            TokioIo::new(socket),
            service_fn(|request| Box::pin(visitor.answer(request))),
        );
    let served = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    let (mut socket, _) = connection.into_parts().io.into_inner().into_parts();
    let begun = visitor.standing.lock().stream.take();
    match begun {
        // Hyper has written nothing of an answer that it did not get.
        Some(begun) => Ok(Some((begun, socket))),
        None => {
            // The peer may be gone, which is as good.
            drop(socket.shutdown().await);
            served.map(|()| None)
        }
    }
}
