//! How a connection begins and ends its stay on a shard.

use std::{
    mem,
    time::{Duration, Instant, SystemTime},
};

use mio::{Interest, Token};
use session::{Greeting, Verifying};
use wire::{CloseCause, ConnectionId, SessionId, Side, Subprotocol, websocket::Reader};

use super::{
    Core, Shard,
    connection::{Connection, Flow, Phase, Profile, slot_number},
    mail::{Adopted, Credential, Greeted},
    member,
    perform::Ending,
    secured::Secured,
};
use crate::{
    allowance::Allowance,
    authenticate::Verdict,
    clock::{Tick, unix_ms},
    namespace::ConnectionGrants,
};

/// How a connection begins, by what the front learned.
struct Beginning {
    phase: Phase,
    subprotocol: Subprotocol,
    in_request: Option<Verdict>,
    in_hello: Option<Verdict>,
}

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
            self.core.give_back();
            return;
        }
        let Adopted {
            stream,
            link,
            unread,
            peer,
            slot: place,
            greeting,
            transport,
            deadline,
        } = adopted;
        let Beginning {
            phase,
            subprotocol,
            in_request,
            in_hello,
        } = begin(greeting);
        self.core.generation = self.core.generation.wrapping_add(1);
        let now = self.core.clock.now();
        let left = deadline.saturating_duration_since(Instant::now());
        let session = self.core.new_session_id();
        let profile = Box::new(Profile {
            verdict: in_hello.map(Box::new),
            transport,
            ..Profile::new(peer, subprotocol, session, place, [now, now.after(left)])
        });
        self.connections.insert(Connection {
            stream,
            generation: self.core.generation,
            reader: Reader::default(),
            phase,
            flow: Flow::default(),
            heard: now,
            token_due: Tick::NEVER,
            allowance: Allowance::default(),
            requests: Vec::new(),
            profile,
            tls: link.map(|link| Box::new(Secured::new(*link))),
        });
        self.core.hub.join(member(slot), subprotocol);
        self.core.counters.opened += 1;
        if let Some(verdict) = in_request {
            self.admit(slot, verdict);
        }
        self.core.counters.bytes_in += unread.len() as u64;
        for piece in unread.chunks(self.scratch.len()) {
            self.scratch[..piece.len()].copy_from_slice(piece);
            self.digest(slot, piece.len());
        }
        self.turn_away(slot);
    }

    /// Acts on the verdict on a token that came with the upgrade request.
    fn admit(&mut self, slot: usize, verdict: Verdict) {
        let Self {
            connections, core, ..
        } = self;
        let Some(connection) = connections.get_mut(slot) else {
            return;
        };
        let admitted = core.admit(slot, connection, verdict);
        match admitted.and_then(|()| core.perform(slot, connection)) {
            Ok(()) => {}
            Err(ending) => self.end(slot, ending),
        }
    }

    /// Drops the socket and every trace of the connection.
    pub(super) fn remove(&mut self, slot: usize, cause: CloseCause) {
        // What the socket took before its end counts as written, and the next
        // connection in this slot must not hear of it.
        self.note_facts();
        let Some(mut connection) = self.connections.try_remove(slot) else {
            return;
        };
        // Fails only for a socket that was never registered.
        let _ = self.poll.registry().deregister(&mut connection.stream);
        for (_, token) in connection.requests.drain(..) {
            self.core.gateway.bus.cancel(token);
        }
        self.core.deregister(slot, &connection, cause);
        if let Some(identity) = &connection.profile.identity {
            let session = connection.profile.session;
            let directory = &mut self.core.directory;
            directory.remove(identity, session, slot_number(slot));
        }
        self.core.deliveries.gone(slot_number(slot));
        self.core.readers.remove(slot_number(slot));
        self.core.absent_everywhere(slot, &connection, cause);
        for channel in self.core.hub.leave(member(slot)) {
            self.core.abandon(&channel);
        }
        self.core.note_visit(&connection, cause);
        self.core.recordings -= usize::from(connection.flow.recorded);
        self.core.counters.closed(cause);
        self.core.left(&connection, cause);
        tracing::debug!(
            peer = %connection.profile.peer,
            phase = connection.phase.label(),
            cause = cause.label(),
            "connection ended"
        );
    }
}

impl Core {
    /// Lets the connection in, if its token is valid.
    pub(super) fn admit(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        verdict: Verdict,
    ) -> Result<(), Ending> {
        let identity = verdict.map_err(|rejection| {
            self.counters.token_refused(rejection);
            rejection.cause()
        })?;
        let session = connection.profile.session;
        if self.is_shut_out(&identity, session) {
            return Err(CloseCause::Revoked.into());
        }
        let Phase::Verifying(verifying) = mem::replace(&mut connection.phase, Phase::Echo) else {
            unreachable!("a verdict is for a connection that waits for one");
        };
        self.directory.insert(&identity, session, slot_number(slot));
        let policies = &self.gateway.config.policies;
        let grants = ConnectionGrants {
            policies,
            identity: &identity,
        };
        let session = verifying.authenticated(&self.session, &grants, &mut self.actions);
        connection.phase = Phase::Established(session);
        connection.profile.identity = Some(identity);
        self.entitle(connection);
        self.watch_token(connection);
        self.register(slot, connection);
        Ok(())
    }

    /// Remembers how a user's connection ended, and has the front remember users
    /// whose connections are too short.
    fn note_visit(&self, connection: &Connection, cause: CloseCause) {
        let profile = &connection.profile;
        let Some(identity) = &profile.identity else {
            return;
        };
        let now_ms = unix_ms(SystemTime::now());
        let lived = now_ms - profile.connected_at_ms;
        let lived = Duration::from_millis(lived.try_into().unwrap_or(0));
        self.gateway.past.note(&identity.user, cause, lived);
        // Who was asked to go did what he was asked.
        if cause.side() == Side::Peer && !connection.flow.asked_to_move {
            self.gateway.door.left(&identity.user, lived);
        }
    }

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
}

fn begin(greeting: Greeted) -> Beginning {
    let (phase, subprotocol, in_request, in_hello) = match greeting {
        Greeted::Echo => (Phase::Echo, Subprotocol::Protobuf, None, None),
        Greeted::Client {
            subprotocol,
            credential,
        } => match credential {
            Credential::Absent => (
                Phase::Greeting(Greeting::default()),
                subprotocol,
                None,
                None,
            ),
            Credential::InHello(verdict) => {
                let greeting = match &verdict {
                    Ok(identity) if identity.anonymous => Greeting::tokenless(),
                    _ => Greeting::default(),
                };
                (Phase::Greeting(greeting), subprotocol, None, Some(verdict))
            }
            Credential::InRequest(verdict) => {
                let phase = Phase::Verifying(Verifying::from_upgrade());
                (phase, subprotocol, Some(verdict), None)
            }
        },
    };
    Beginning {
        phase,
        subprotocol,
        in_request,
        in_hello,
    }
}
