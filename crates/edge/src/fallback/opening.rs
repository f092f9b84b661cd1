//! From a client's first message to a connection of a shard: the same tokens, limits
//! and places as for a WebSocket.

use std::{net::SocketAddr, sync::Arc};

use tokio::time::{Instant, timeout_at};
use wire::{Subprotocol, websocket};

use super::{carriers::message_opcode, pair::Pair};
use crate::{
    front::{Caller, ConnectionSlot, Later, await_hello},
    gateway::Gateway,
    shard::{Adopted, Credential, Greeted, Mail},
    transport::Transport,
};

/// What a client begins with.
pub(super) struct Opening {
    pub(super) transport: Transport,
    pub(super) codec: Subprotocol,
    /// A ClientMessage with Hello, or whatever else it is.
    pub(super) message: Vec<u8>,
    pub(super) caller: Caller,
    pub(super) peer: SocketAddr,
}

/// Why there is no connection.
pub(super) enum NotOpened {
    /// Its user must stay away for a while.
    Later(Later),
    /// The gateway has no descriptors.
    Exhausted,
}

impl Opening {
    /// Verifies the token and gives the connection to a shard. What the shard has against
    /// it, an invalid token too, it says as to everybody, by Closing.
    pub(super) async fn go(
        self,
        gateway: &Arc<Gateway>,
        slot: ConnectionSlot,
    ) -> Result<Pair, NotOpened> {
        let deadline = Instant::now() + gateway.config.handshake_timeout;
        let opcode = message_opcode(self.codec);
        let mut first = Vec::new();
        websocket::client_frame(opcode, [0; 4], &self.message, &mut first);
        // There is no more of it.
        let mut silence = tokio::io::empty();
        let verifying = await_hello(gateway, &self.caller, &mut silence, self.codec, &mut first);
        let verdict = timeout_at(deadline, verifying).await.ok().flatten();
        if let Some(Ok(identity)) = &verdict {
            gateway
                .door
                .greet(&identity.user)
                .map_err(NotOpened::Later)?;
        }
        let pair = Pair::new(gateway.config.send_buffer_bytes);
        let (pair, stream) = pair.map_err(|error| {
            tracing::warn!(%error, "no pair of sockets");
            NotOpened::Exhausted
        })?;
        let adopted = Adopted {
            stream,
            link: None,
            unread: first.into_boxed_slice(),
            peer: self.peer,
            slot,
            greeting: Greeted::Client {
                subprotocol: self.codec,
                credential: verdict.map_or(Credential::Absent, Credential::InHello),
            },
            transport: self.transport,
            deadline: deadline.into_std(),
        };
        let mailbox = &gateway.least_loaded_shard().mailbox;
        mailbox.push(Mail::Adopt(Box::new(adopted)));
        Ok(pair)
    }
}
