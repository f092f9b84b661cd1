//! What other threads have for the shard.

use std::mem;

use bus::{BusError, Published, Reply};
use bytes::Bytes;
use session::{Actions, Established};
use spans::Span;
use wire::{
    Channel,
    client::{ErrorCode, Failure, GapCause},
    failure,
};

use super::{
    Shard,
    channels::Waiting,
    connection::{Connection, Phase},
    mail::{ConnectionKey, Mail},
};
use crate::{fanout::Entry, mailbox::Lost, trace};

impl Shard {
    /// Takes everything that waits in the mailbox.
    pub(super) fn take_mail(&mut self) {
        let mut inbox = mem::take(&mut self.inbox);
        self.mailbox().take(&mut inbox);
        self.core.counters.pulse.finds(inbox.mail.len());
        let limits = self.core.gateway.config.outbox;
        let (mut publications, mut bytes) = (0, 0);
        for mail in inbox.mail.drain(..) {
            if let Mail::Publication(publication) = &mail {
                publications += 1;
                let at_us = publication.published_at_us();
                self.core.counters.pulse.carries(at_us);
                bytes += publication.encoded_len();
            }
            self.handle_mail(mail);
            // However much has gathered: a client that reads must not overflow
            // because nothing was written meanwhile.
            if publications >= limits.items / 4 || bytes >= limits.bytes / 4 {
                self.core.hub.fan_out();
                self.flush();
                (publications, bytes) = (0, 0);
            }
        }
        for (alias, Lost { dropped, to }) in inbox.lost.drain(..) {
            self.core.counters.lost += dropped;
            self.core
                .hub
                .gap(alias, dropped, GapCause::GatewayOverloaded, Some(to));
        }
        // Kept for its capacity.
        self.inbox = inbox;
    }

    fn handle_mail(&mut self, mail: Mail) {
        match mail {
            Mail::Publication(publication) => self.core.hub.publish(&publication),
            Mail::Delivering(span) => self.core.delivering.push(span),
            Mail::Missing { alias, dropped } => {
                self.core.hub.gap(alias, dropped, GapCause::Bus, None);
            }
            Mail::LogRead(ended) => self.end_read(*ended),
            Mail::BusIs { up } => self.bus_is(up),
            Mail::Replied {
                connection,
                id,
                outcome,
                span,
            } => self.replied(connection, id, outcome, span),
            Mail::Settled {
                connection,
                id,
                outcome,
                span,
            } => self.settled(connection, id, outcome, span),
            Mail::Published {
                connection,
                id,
                outcome,
            } => self.published(connection, id, outcome),
            Mail::Read(awaited, outcome) => self.read(awaited, outcome),
            Mail::Presence(channel, told) => self.core.tell_presence(&channel, &told),
            Mail::Seen {
                connection,
                id,
                outcome,
            } => self.seen(connection, id, outcome),
            Mail::Signalled {
                connection,
                id,
                outcome,
            } => self.signalled(connection, id, outcome),
            Mail::WillSettled {
                connection,
                id,
                outcome,
            } => self.will_settled(connection, id, outcome),
            Mail::Refreshed {
                connection,
                id,
                verdict,
            } => self.refreshed(connection, id, verdict),
            Mail::Revoked(revocation) => drop(self.revoke(&revocation)),
            Mail::State(read) => self.take_state(*read),
            Mail::Mailbox { connection, news } => self.hear(connection, news),
            Mail::Adopt(adopted) => self.adopt(*adopted),
            Mail::Joined { channel, entry } => self.joined(&channel, entry),
            Mail::Query(query) => self.answer(&query),
            Mail::Announce => self.announce(),
            Mail::Migrate { until } => self.migrate(until),
            Mail::End { spread } => self.close_all(spread),
        }
    }

    /// The connection with this key, if it still lives.
    pub(super) fn connection(&mut self, key: ConnectionKey) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(key.slot as usize)?;
        (connection.generation == key.generation).then_some(connection)
    }

    /// Tells an established session something, then does what it asks for.
    pub(super) fn tell(
        &mut self,
        key: ConnectionKey,
        tell: impl FnOnce(&mut Established, &mut Actions),
    ) {
        let Self {
            connections, core, ..
        } = self;
        let slot = key.slot as usize;
        let Some(connection) = connections.get_mut(slot) else {
            return;
        };
        if connection.generation != key.generation {
            return;
        }
        let Phase::Established(session) = &mut connection.phase else {
            return;
        };
        tell(session, &mut core.actions);
        self.perform(slot);
    }

    /// Does what a session asked for, then reads on if it wants more.
    pub(super) fn perform(&mut self, slot: usize) {
        let Self {
            connections, core, ..
        } = self;
        let Some(connection) = connections.get_mut(slot) else {
            return;
        };
        match core.perform(slot, connection) {
            Ok(()) => {
                self.resume(slot);
                self.close_if_answered(slot);
            }
            Err(ending) => self.end(slot, ending),
        }
    }

    fn replied(
        &mut self,
        key: ConnectionKey,
        id: u32,
        outcome: Result<Reply, BusError>,
        span: Option<Span>,
    ) {
        if let Some(connection) = self.connection(key)
            && let Some(at) = connection
                .requests
                .iter()
                .position(|(request, _)| *request == id)
        {
            connection.requests.swap_remove(at);
        }
        let outcome = outcome.map(|reply| reply.payload);
        let outcome = outcome.map_err(|error| request_failure(&error));
        self.settled(key, id, outcome, span);
    }

    /// A request has its outcome, whoever asked the worker.
    fn settled(
        &mut self,
        key: ConnectionKey,
        id: u32,
        outcome: Result<Bytes, Failure>,
        span: Option<Span>,
    ) {
        let outcome = match outcome {
            Ok(payload) if !self.core.can_hold(payload.len()) => {
                Err(failure(ErrorCode::WorkerError, "its answer is too large"))
            }
            outcome => outcome,
        };
        self.core.counters.request_ended(&outcome);
        if let (Some(span), Err(failure)) = (&span, &outcome) {
            trace::fail(span, failure.code());
        }
        self.tell(key, |session, actions| {
            session.replied(id, outcome, actions)
        });
    }

    fn published(&mut self, key: ConnectionKey, id: u32, outcome: Result<Published, BusError>) {
        let outcome = outcome
            .map(|published| published.offset)
            .map_err(|error| code_of(&error));
        self.tell(key, |session, actions| {
            session.published(id, outcome, actions)
        });
    }

    fn joined(&mut self, channel: &Channel, entry: Result<Entry, BusError>) {
        match entry {
            Ok(entry) => {
                for waiting in self
                    .core
                    .channels
                    .activate(channel, entry)
                    .unwrap_or_default()
                {
                    self.enter(channel, waiting);
                }
                // Everybody who waited may be gone by now.
                self.core.leave_unused(channel);
            }
            Err(error) => {
                let code = code_of(&error);
                for waiting in self.core.channels.remove(channel) {
                    self.tell(waiting.connection, |session, actions| {
                        session.subscribe_failed(waiting.id, channel, code, actions);
                    });
                }
            }
        }
    }

    fn enter(&mut self, channel: &Channel, waiting: Waiting) {
        let Self {
            connections, core, ..
        } = self;
        let slot = waiting.connection.slot as usize;
        if let Some(connection) = connections.get_mut(slot)
            && connection.generation == waiting.connection.generation
        {
            core.enter(slot, connection, channel, waiting);
            self.perform(slot);
        }
    }
}

pub(super) fn request_failure(error: &BusError) -> Failure {
    match error {
        BusError::Worker(worker) => Failure {
            message: worker.message.to_string(),
            retryable: worker.retryable,
            worker_code: worker.code.to_string(),
            ..failure(ErrorCode::WorkerError, "")
        },
        BusError::HandlerGone => failure(ErrorCode::WorkerError, "it ended without answering"),
        error => failure(code_of(error), ""),
    }
}

pub(crate) fn code_of(error: &BusError) -> ErrorCode {
    match error {
        BusError::NoResponders => ErrorCode::NoWorker,
        BusError::DeadlineExceeded => ErrorCode::DeadlineExceeded,
        BusError::Cancelled => ErrorCode::Cancelled,
        BusError::HandlerGone | BusError::Worker(_) => ErrorCode::WorkerError,
        BusError::Overloaded => ErrorCode::Overloaded,
        BusError::Unavailable => ErrorCode::Unavailable,
        BusError::NoLog => ErrorCode::NoHistory,
        BusError::NoTable | BusError::Conflict => ErrorCode::Internal,
        BusError::TooLarge => ErrorCode::MessageTooLarge,
    }
}
