//! The grammar of channel names: the only way from a client's text to a subject.

use std::{fmt, sync::Arc};

use thiserror::Error;

/// Longest channel name that any configuration may allow, in bytes. Well under
/// what a NATS subject may hold with our prefixes.
pub const MAX_CHANNEL_BYTES: usize = 255;

/// A valid channel name: tokens of `[A-Za-z0-9_-]`, joined by dots, none empty,
/// at most [`MAX_CHANNEL_BYTES`] long. The first token is its namespace.
///
/// Cheap to clone. Having one is proof that it can stand in a NATS subject.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel(Arc<str>);

/// The first token of a channel name.
pub type NamespaceName = str;

/// Why a text is not a channel name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChannelError {
    /// Nothing there.
    #[error("channel name is empty")]
    Empty,
    /// Longer than the limit.
    #[error("channel name is longer than {max} bytes")]
    TooLong {
        /// The limit, in bytes.
        max: usize,
    },
    /// A dot at an end, or two in a row.
    #[error("channel name has an empty token")]
    EmptyToken,
    /// A character outside of `[A-Za-z0-9_-]`.
    #[error("channel name has a character outside of A-Z a-z 0-9 _ - and .")]
    Character,
}

// === impl Channel ===

impl Channel {
    /// Checks `name` against the grammar and `max_bytes`.
    pub fn parse(name: &str, max_bytes: usize) -> Result<Self, ChannelError> {
        let max = max_bytes.min(MAX_CHANNEL_BYTES);
        if name.is_empty() {
            return Err(ChannelError::Empty);
        }
        if name.len() > max {
            return Err(ChannelError::TooLong { max });
        }
        for token in name.as_bytes().split(|&byte| byte == b'.') {
            if token.is_empty() {
                return Err(ChannelError::EmptyToken);
            }
            if !is_token(token) {
                return Err(ChannelError::Character);
            }
        }
        Ok(Self(name.into()))
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first token.
    pub fn namespace(&self) -> &NamespaceName {
        self.0.split_once('.').map_or(&*self.0, |(first, _)| first)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::borrow::Borrow<str> for Channel {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Whether `bytes` is one non-empty token of `[A-Za-z0-9_-]`.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !bytes.is_empty() && bytes.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_allowed_tokens_are_channels() {
        for name in ["a", "market.BTC-USD.trades", "room_1", "0.0"] {
            assert_eq!(
                Channel::parse(name, 255).map(|channel| channel.to_string()),
                Ok(name.into())
            );
        }
        let channel = Channel::parse("market.BTC-USD.trades", 255).expect("valid");
        assert_eq!(channel.namespace(), "market");
    }

    #[test]
    fn wildcards_never_become_channels() {
        for name in [
            "market.*", "market.>", ">", "*", "a b", "a\0b", "ä", "$SYS.x", "a/b",
        ] {
            assert_eq!(
                Channel::parse(name, 255),
                Err(ChannelError::Character),
                "{name}"
            );
        }
        for name in [".a", "a.", "a..b", "."] {
            assert_eq!(
                Channel::parse(name, 255),
                Err(ChannelError::EmptyToken),
                "{name}"
            );
        }
    }

    #[test]
    fn long_names_are_refused_by_the_smaller_limit() {
        let name = "x".repeat(10_240);
        assert_eq!(
            Channel::parse(&name, 100_000),
            Err(ChannelError::TooLong {
                max: MAX_CHANNEL_BYTES
            })
        );
        assert_eq!(
            Channel::parse("abcd", 3),
            Err(ChannelError::TooLong { max: 3 })
        );
    }
}
