//! Accepts sockets, within the caps. Ends when its scope is cancelled.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use lifecycle::Scope;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::{
    handshake::{self, Outcome},
    upgrade::Refusal,
};
use crate::{config::EdgeConfig, gateway::Gateway};

/// Connections the kernel completes before we accept them.
const BACKLOG: i32 = 4096;

/// Pause after an accept error such as "too many open files", which would
/// otherwise be retried in a hot loop.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// A bound port for client traffic.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
}

// === impl Listener ===

impl Listener {
    /// Binds. `TCP_NODELAY` and the send buffer are set on the listening
    /// socket, from which Linux hands them down: no call per connection.
    pub(crate) fn bind(config: &EdgeConfig) -> io::Result<Self> {
        let address = config.listen;
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_send_buffer_size(config.send_buffer_bytes)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self {
            socket: TcpListener::from_std(socket.into())?,
        })
    }

    /// Where clients connect.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until the scope is cancelled.
    pub(crate) async fn run(self, gateway: Arc<Gateway>, scope: Scope) {
        loop {
            let accepted = tokio::select! {
                () = scope.cancelled() => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let shaking = shake_hands(gateway.clone(), scope.clone(), stream, peer);
                    scope.spawn_cancellable("handshake", shaking);
                }
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ERROR_PAUSE).await;
                }
            }
        }
    }
}

/// Brings one socket through the handshake, or lets it go.
async fn shake_hands(gateway: Arc<Gateway>, scope: Scope, stream: TcpStream, peer: SocketAddr) {
    let place = if gateway.drain.refuses() {
        Err(Refusal::Draining)
    } else {
        gateway.places.take().ok_or(Refusal::Full)
    };
    let refusing = match place {
        Ok(_) => None,
        Err(_) => gateway.refusals.try_acquire().ok(),
    };
    let outcome = match place {
        // Not even the descriptor that an answer takes: dropped unheard.
        Err(refusal) if refusing.is_none() => Outcome::Refused(refusal),
        place => {
            let (visit, is_shed) = gateway.unfinished.enter(gateway.door.prefix(peer.ip()));
            tokio::select! {
                outcome = handshake::run(&gateway, &scope, stream, peer, place, visit) => outcome,
                Ok(()) = is_shed => Outcome::Shed,
            }
        }
    };
    gateway.metrics.handshake(outcome);
}
