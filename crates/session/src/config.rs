//! What a session is told from outside: settings, rights and identity.

use std::num::NonZeroU32;

use bytes::Bytes;
use wire::{
    Channel, ConnectionId, GatewayId, MAX_CHANNEL_BYTES, SessionId, UserId,
    client::{ErrorCode, Limits},
};

/// Settings shared by all sessions of a gateway.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Name of the gateway.
    pub gateway: GatewayId,
    /// The limits in force, as Welcome tells them; zero means "no limit".
    /// Sessions keep those of subscriptions, operations in flight, channel
    /// names and deadlines. Those of sizes, rates and time are kept by the
    /// owner of the socket.
    pub limits: Limits,
    /// Deadline of requests that name none, in milliseconds. Zero leaves them
    /// without, so that the owner of the socket can put in the route's.
    pub default_deadline_ms: u32,
}

/// What an authenticated client may do.
///
/// Refusals are [`ErrorCode::UnknownNamespace`], [`ErrorCode::UnknownRoute`] and
/// [`ErrorCode::PermissionDenied`]; the client is told the code as it is.
pub trait Grants {
    /// Subscriptions that the client may have at once, where that is fewer than the
    /// settings of the gateway allow.
    fn max_subscriptions(&self) -> Option<NonZeroU32> {
        None
    }

    /// Whether the client may subscribe to the channel.
    fn subscribe(&self, channel: &Channel) -> Result<(), ErrorCode>;

    /// Whether the client may read the channel's past.
    fn history(&self, channel: &Channel) -> Result<(), ErrorCode>;

    /// Whether the client may see who is in the channel: [`ErrorCode::NoPresence`]
    /// where nobody keeps that.
    fn presence(&self, channel: &Channel) -> Result<(), ErrorCode>;

    /// Whether clients that may see who is in the channel may send each other
    /// signals there: otherwise [`ErrorCode::NoSignals`].
    fn signal(&self, channel: &Channel) -> Result<(), ErrorCode>;

    /// Whether the client may publish to the channel.
    fn publish(&self, channel: &Channel) -> Result<(), ErrorCode>;

    /// Whether the client may call the route, which is any text.
    fn call(&self, route: &str) -> Result<(), ErrorCode>;
}

/// Who a client turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// The subject of the token.
    pub user: UserId,
    /// Identity of the session.
    pub session: SessionId,
    /// Identity of the connection.
    pub connection: ConnectionId,
    /// When the token expires, Unix time in milliseconds; zero: never.
    pub token_expires_at_ms: i64,
    /// Takes the session up again, sealed.
    pub ticket: Bytes,
    /// The client follows `Migrate`.
    pub migrates: bool,
    /// The limits in force for this connection.
    pub limits: Limits,
}

// === impl SessionConfig ===

impl SessionConfig {
    /// Reads a channel name that a client sent.
    pub(crate) fn channel(&self, name: &str) -> Result<Channel, ErrorCode> {
        let max_bytes = match self.limits.max_channel_bytes {
            0 => MAX_CHANNEL_BYTES,
            limit => limit as usize,
        };
        Channel::parse(name, max_bytes).map_err(|_| ErrorCode::InvalidChannel)
    }

    /// The deadline of a request that asks for `asked_ms`.
    pub(crate) fn deadline_ms(&self, asked_ms: u32) -> u32 {
        let wanted = if asked_ms == 0 {
            self.default_deadline_ms
        } else {
            asked_ms
        };
        match self.limits.max_deadline_ms {
            0 => wanted,
            limit => wanted.min(limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(limits: Limits) -> SessionConfig {
        let gateway = GatewayId::new("gw-1").expect("valid");
        SessionConfig {
            gateway,
            limits,
            default_deadline_ms: 500,
        }
    }

    #[test]
    fn deadlines_are_filled_in_and_clamped() {
        let limited = config(Limits {
            max_deadline_ms: 1_000,
            ..Limits::default()
        });
        assert_eq!(limited.deadline_ms(0), 500);
        assert_eq!(limited.deadline_ms(1), 1);
        assert_eq!(limited.deadline_ms(1_001), 1_000);
        assert_eq!(config(Limits::default()).deadline_ms(u32::MAX), u32::MAX);
    }

    #[test]
    fn channel_names_are_bounded_by_limit_and_grammar() {
        let limited = config(Limits {
            max_channel_bytes: 3,
            ..Limits::default()
        });
        assert!(limited.channel("a.b").is_ok());
        assert_eq!(limited.channel("a.bc"), Err(ErrorCode::InvalidChannel));
        let unlimited = config(Limits::default());
        assert!(unlimited.channel("a.bc").is_ok());
        assert_eq!(unlimited.channel("a.*"), Err(ErrorCode::InvalidChannel));
    }
}
