//! Identities and positions, each a type of its own.

use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;

/// Name of a gateway process; unique in the cluster. Letters, digits, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GatewayId(Arc<str>);

/// The authenticated subject (`sub`) of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

/// Identity of a session, which outlives its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u128);

/// A publication's position in its channel; grows, need not be contiguous.
/// Zero means "the channel keeps no log".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Offset(pub u64);

/// Identity of a channel's log; offsets of another epoch say nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(Arc<str>);

/// Where a connection lives: `(gateway, shard, slot, generation)`, so that a
/// targeted send finds it without a map.
///
/// Written `<gateway>.<shard>.<slot>.<generation>`, numbers in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    /// The gateway that holds the socket.
    pub gateway: GatewayId,
    /// The shard in that gateway.
    pub shard: u16,
    /// The slot in that shard.
    pub slot: u32,
    /// How often the slot was used before; tells a connection from its successor.
    pub generation: u32,
}

/// The text is not a connection id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a connection id: expected <gateway>.<shard>.<slot>.<generation>")]
pub struct ConnectionIdError;

/// The text is not a session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a session id: expected 32 hexadecimal digits")]
pub struct SessionIdError;

// === impl GatewayId ===

impl GatewayId {
    /// Takes `name` if it can stand in a NATS subject as one token.
    pub fn new(name: &str) -> Option<Self> {
        crate::channel::is_token(name.as_bytes()).then(|| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GatewayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl UserId ===

impl UserId {
    /// Longest user id, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Takes any text of 1 to [`Self::MAX_BYTES`] bytes without control characters.
    pub fn new(name: &str) -> Option<Self> {
        let fits = !name.is_empty() && name.len() <= Self::MAX_BYTES;
        (fits && !name.chars().any(char::is_control)).then(|| Self(name.into()))
    }

    /// The id as the token gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl SessionId ===

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for SessionId {
    type Err = SessionIdError;

    fn from_str(text: &str) -> Result<Self, SessionIdError> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = u128::from_str_radix(text, 16).ok().filter(|_| digits);
        id.map(Self).ok_or(SessionIdError)
    }
}

// === impl Offset ===

impl Offset {
    /// No position: the channel keeps no log.
    pub const NONE: Self = Self(0);
}

// === impl Epoch ===

impl Epoch {
    /// Takes an epoch as the bus names it.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The epoch's name; empty if the channel keeps no log.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl ConnectionId ===

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:x}.{:x}.{:x}",
            self.gateway, self.shard, self.slot, self.generation
        )
    }
}

impl FromStr for ConnectionId {
    type Err = ConnectionIdError;

    fn from_str(text: &str) -> Result<Self, ConnectionIdError> {
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(ConnectionIdError);
        let gateway = GatewayId::new(next()?).ok_or(ConnectionIdError)?;
        let shard = u16::from_str_radix(next()?, 16).map_err(|_| ConnectionIdError)?;
        let slot = u32::from_str_radix(next()?, 16).map_err(|_| ConnectionIdError)?;
        let generation = u32::from_str_radix(next()?, 16).map_err(|_| ConnectionIdError)?;
        match parts.next() {
            None => Ok(Self {
                gateway,
                shard,
                slot,
                generation,
            }),
            Some(_) => Err(ConnectionIdError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_id_survives_a_round_trip() {
        let gateway = GatewayId::new("gw-1").expect("valid");
        let id = ConnectionId {
            gateway,
            shard: 3,
            slot: 0x1a2b,
            generation: 7,
        };
        assert_eq!(id.to_string(), "gw-1.3.1a2b.7");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn a_session_id_is_32_digits_and_nothing_else() {
        let id = SessionId(0xab << 96 | 7);
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "7", &"0".repeat(33), &format!("+{}", "0".repeat(31))] {
            assert_eq!(text.parse::<SessionId>(), Err(SessionIdError), "{text}");
        }
    }

    #[test]
    fn malformed_connection_ids_are_refused() {
        for text in [
            "",
            "gw",
            "gw.0.0",
            "gw.0.0.0.0",
            "g w.0.0.0",
            ".0.0.0",
            "gw.x.0.0",
            "gw.10000.0.0",
        ] {
            assert_eq!(
                text.parse::<ConnectionId>(),
                Err(ConnectionIdError),
                "{text}"
            );
        }
    }
}
