//! Builds the events that sessions and their owners send.

use bytes::Bytes;
use wire::{
    Channel, CloseCause, Offset,
    client::{
        Accepted, Closing, Error, ErrorCode, Failure, Migrate, Notice, Pong, Refreshed, Response,
        ServerEvent, Unsubscribed, Welcome, response::Outcome, server_event::Event,
    },
};

use crate::{
    config::{Authenticated, SessionConfig},
    introduction::MIGRATE,
};

/// The event that precedes every close the gateway starts. `retry_after_ms` is
/// the earliest time to reconnect, in milliseconds from now, if that is allowed
/// at all.
/// `resumable`: the client has a ticket that other gateways take.
pub fn closing(cause: CloseCause, retry_after_ms: u32, resumable: bool) -> ServerEvent {
    event(Event::Closing(Closing {
        close_code: cause.code().into(),
        cause: cause.label().into(),
        message: cause.message().into(),
        retry_after_ms,
        resumable,
    }))
}

/// The event for [`crate::Action::Welcome`]. `server_time_ms` is the gateway's
/// clock, Unix time in milliseconds.
pub fn welcome(who: &Authenticated, config: &SessionConfig, server_time_ms: i64) -> ServerEvent {
    event(Event::Welcome(Welcome {
        connection_id: who.connection.to_string(),
        session_id: who.session.to_string(),
        user: who.user.to_string(),
        session_ticket: who.ticket.clone(),
        limits: Some(who.limits),
        capabilities: who
            .migrates
            .then(|| MIGRATE.to_owned())
            .into_iter()
            .collect(),
        token_expires_at_ms: who.token_expires_at_ms,
        server_time_ms,
        gateway: config.gateway.to_string(),
    }))
}

/// Asks a client to go elsewhere with this ticket, at a time of its choice within
/// `spread_ms`; its connection is closed after `deadline_ms`.
pub fn migrate(ticket: Bytes, spread_ms: u32, deadline_ms: u32) -> ServerEvent {
    event(Event::Migrate(Migrate {
        session_ticket: ticket,
        spread_ms,
        deadline_ms,
        hint: String::new(),
    }))
}

/// Told when the gateway has lost its bus: publications pause, and what needs
/// the bus is refused until [`recovered`].
pub fn degraded() -> ServerEvent {
    notice("degraded", "the gateway can't reach its message bus")
}

/// Told when the bus is back; there is nothing for the client to do.
pub fn recovered() -> ServerEvent {
    notice("recovered", "the gateway reaches its message bus again")
}

/// Told some time before the token expires, which closes the connection in
/// `in_ms`, unless a newer token has come by then.
pub fn token_expiring(in_ms: u32) -> ServerEvent {
    notice_in("token_expiring", "refresh the token, which expires", in_ms)
}

/// Told when the token was revoked and a newer one may come: meanwhile it permits
/// nothing, and the connection is closed in `in_ms`.
pub fn token_revoked(in_ms: u32) -> ServerEvent {
    notice_in(
        "token_revoked",
        "refresh the token, which was revoked",
        in_ms,
    )
}

fn notice(kind: &str, message: &str) -> ServerEvent {
    notice_in(kind, message, 0)
}

fn notice_in(kind: &str, message: &str, in_ms: u32) -> ServerEvent {
    event(Event::Notice(Notice {
        kind: kind.into(),
        message: message.into(),
        in_ms,
    }))
}

pub(crate) fn refreshed(id: u32, token_expires_at_ms: i64) -> ServerEvent {
    event(Event::Refreshed(Refreshed {
        id,
        token_expires_at_ms,
    }))
}

pub(crate) fn error(id: u32, code: ErrorCode) -> ServerEvent {
    failed(id, wire::failure(code, ""))
}

pub(crate) fn failed(id: u32, failure: Failure) -> ServerEvent {
    let failure = Some(failure);
    event(Event::Error(Error { id, failure }))
}

pub(crate) fn response(id: u32, outcome: Result<Bytes, Failure>) -> ServerEvent {
    let outcome = match outcome {
        Ok(payload) => Outcome::Payload(payload),
        Err(failure) => Outcome::Failure(failure),
    };
    event(Event::Response(Response {
        id,
        outcome: Some(outcome),
    }))
}

pub(crate) fn accepted(id: u32, offset: Offset) -> ServerEvent {
    event(Event::Accepted(Accepted {
        id,
        offset: offset.0,
        reached: 0,
    }))
}

pub(crate) fn reached(id: u32, reached: u32) -> ServerEvent {
    event(Event::Accepted(Accepted {
        id,
        offset: 0,
        reached,
    }))
}

pub(crate) fn unsubscribed(id: u32, channel: &Channel, alias: u32, code: ErrorCode) -> ServerEvent {
    event(Event::Unsubscribed(Unsubscribed {
        id,
        channel: channel.to_string(),
        code: code.into(),
        alias,
    }))
}

pub(crate) fn pong(nonce: u32) -> ServerEvent {
    event(Event::Pong(Pong { nonce }))
}

pub(crate) fn event(event: Event) -> ServerEvent {
    ServerEvent { event: Some(event) }
}

#[cfg(test)]
mod tests {
    use wire::{ConnectionId, GatewayId, SessionId, UserId, client::Limits};

    use super::*;

    #[test]
    fn closing_tells_code_word_and_time_of_every_cause() {
        for &cause in CloseCause::ALL {
            let Some(Event::Closing(closing)) = closing(cause, 1_500, true).event else {
                panic!("not Closing")
            };
            assert_eq!(closing.close_code, u32::from(cause.code()));
            assert_eq!(closing.cause, cause.label());
            assert_eq!(closing.message, cause.message());
            assert_eq!(closing.retry_after_ms, 1_500);
            assert!(closing.resumable);
        }
    }

    #[test]
    fn welcome_tells_identity_limits_and_times() {
        let gateway = GatewayId::new("gw-1").expect("valid");
        let connection = ConnectionId {
            gateway: gateway.clone(),
            shard: 1,
            slot: 2,
            generation: 3,
        };
        let user = UserId::new("alice").expect("valid");
        let limits = Limits {
            max_in_flight: 16,
            ..Limits::default()
        };
        let who = Authenticated {
            user,
            session: SessionId(0xab),
            connection,
            token_expires_at_ms: 7,
            ticket: Bytes::from_static(b"ticket"),
            migrates: true,
            limits,
        };
        let config = SessionConfig {
            gateway,
            limits,
            default_deadline_ms: 0,
        };
        let expected = Welcome {
            connection_id: "gw-1.1.2.3".into(),
            session_id: format!("{:032x}", 0xab),
            user: "alice".into(),
            session_ticket: Bytes::from_static(b"ticket"),
            capabilities: vec!["migrate".into()],
            limits: Some(limits),
            token_expires_at_ms: 7,
            server_time_ms: 99,
            gateway: "gw-1".into(),
        };
        assert_eq!(welcome(&who, &config, 99), event(Event::Welcome(expected)));
    }
}
