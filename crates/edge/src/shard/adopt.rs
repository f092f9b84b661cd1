//! How a connection begins and ends its stay on a shard.

use std::{
    mem,
    sync::atomic::Ordering,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use auth::{Identity, TokenError};
use mio::{Interest, Token};
use session::{Greeting, Verifying};
use wire::{CloseCause, ConnectionId, SessionId, Subprotocol, websocket::Reader};

use super::{
    Core, Shard,
    connection::{Connection, Flow, Phase, Profile, slot_number},
    mail::{Adopted, Greeted},
    member,
};
use crate::namespace::ConnectionGrants;

impl Shard {
    /// Takes over a socket from the front.
    pub(super) fn adopt(&mut self, mut adopted: Adopted) {
        let slot = self.connections.vacant_key();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self
            .poll
            .registry()
            .register(&mut adopted.stream, Token(slot), interest);
        if let Err(error) = registered {
            tracing::warn!(%error, "socket could not be registered");
            self.core.load().fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let Adopted {
            stream,
            unread,
            peer,
            slot: place,
            greeting,
            deadline,
        } = adopted;
        let (phase, subprotocol, identity) = match greeting {
            Greeted::Echo => (Phase::Echo, Subprotocol::Protobuf, None),
            Greeted::Client {
                subprotocol,
                identity: None,
            } => (Phase::Greeting(Greeting), subprotocol, None),
            // A token in the upgrade request counts as a Hello with it.
            Greeted::Client {
                subprotocol,
                identity,
            } => (
                Phase::Verifying(Verifying::from_upgrade()),
                subprotocol,
                identity,
            ),
        };
        self.core.generation = self.core.generation.wrapping_add(1);
        let now = self.core.clock.now();
        let left = deadline.saturating_duration_since(Instant::now());
        let profile = Box::new(Profile {
            peer,
            subprotocol,
            session: self.core.new_session_id(),
            connected_at_ms: unix_ms(SystemTime::now()),
            handshake_deadline: now.after(left),
            client_name: Box::default(),
            client_version: Box::default(),
            identity: None,
            _slot: place,
        });
        self.connections.insert(Connection {
            stream,
            generation: self.core.generation,
            reader: Reader::default(),
            phase,
            flow: Flow::default(),
            heard: now,
            requests: Vec::new(),
            profile,
        });
        self.core.hub.join(member(slot), subprotocol);
        self.core.counters.opened += 1;
        if let Some(outcome) = identity {
            self.admit(slot, outcome);
        }
        self.begin_reading(slot, &unread);
        if self.draining {
            self.close(slot, CloseCause::Draining);
        }
    }

    /// Acts on the verdict on a connection's token.
    pub(super) fn admit(&mut self, slot: usize, outcome: Result<Box<Identity>, TokenError>) {
        let Self {
            connections, core, ..
        } = self;
        let Some(connection) = connections.get_mut(slot) else {
            return;
        };
        let identity = match outcome {
            Ok(identity) => identity,
            Err(error) => {
                core.counters.token_refused(&error);
                return self.close(slot, CloseCause::InvalidToken);
            }
        };
        let Phase::Verifying(verifying) = mem::replace(&mut connection.phase, Phase::Echo) else {
            unreachable!("a verdict came for a connection that did not wait for one");
        };
        core.users.insert(identity.user.clone(), slot_number(slot));
        let grants = ConnectionGrants {
            policies: &core.gateway.config.policies,
            identity: &identity,
        };
        let session = verifying.authenticated(&core.session, &grants, &mut core.actions);
        connection.phase = Phase::Established(session);
        connection.profile.identity = Some(identity);
        self.perform(slot);
    }

    fn begin_reading(&mut self, slot: usize, unread: &[u8]) {
        if !unread.is_empty() {
            // Never larger than hyper's read buffer, which is smaller.
            self.scratch[..unread.len()].copy_from_slice(unread);
            self.digest(slot, unread.len());
        }
        // New sockets may hold input from before they were registered; epoll
        // reports that at once, so there is no need to try.
    }

    /// Drops the socket and every trace of the connection.
    pub(super) fn remove(&mut self, slot: usize, cause: CloseCause) {
        let Some(mut connection) = self.connections.try_remove(slot) else {
            return;
        };
        // Fails only for a socket that was never registered.
        let _ = self.poll.registry().deregister(&mut connection.stream);
        for (_, token) in connection.requests.drain(..) {
            self.core.gateway.bus.cancel(token);
        }
        if let Some(identity) = &connection.profile.identity {
            self.core.users.remove(&identity.user, slot_number(slot));
        }
        self.core.deliveries.gone(slot_number(slot));
        for channel in self.core.hub.leave(member(slot)) {
            self.core.abandon(&channel);
        }
        self.core.counters.closed(cause);
        self.core.load().fetch_sub(1, Ordering::Relaxed);
        tracing::debug!(
            peer = %connection.profile.peer,
            phase = connection.phase.label(),
            cause = cause.label(),
            "connection ended"
        );
    }
}

impl Core {
    /// Unique in the cluster; not a secret: what resumes a session is a ticket.
    fn new_session_id(&self) -> SessionId {
        let within = u128::from(self.generation) << 16 | self.index as u128;
        SessionId(self.gateway.session_prefix << 64 | within)
    }

    pub(super) fn connection_id(&self, slot: usize, generation: u32) -> ConnectionId {
        ConnectionId {
            gateway: self.gateway.config.gateway.clone(),
            shard: u16::try_from(self.index).expect("there are at most 64 shards"),
            slot: slot_number(slot),
            generation,
        }
    }

    fn load(&self) -> &std::sync::atomic::AtomicUsize {
        &self.gateway.shards[self.index].load
    }
}

/// A time as the protocol writes it: milliseconds since the Unix epoch.
pub(super) fn unix_ms(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
