//! What a token says about how much its user may do.

use std::{fmt, num::NonZeroU32, sync::Arc};

use serde::{Serialize, Serializer};
use thiserror::Error;

/// Limits that a token sets, each lower than or equal to the gateway's own to count;
/// often none. One pointer of each connection.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TokenLimits(Option<Arc<Bounds>>);

/// Name of a class of upstream rates, as gateways are configured with: one token of
/// `[A-Za-z0-9_-]` of 1 to [`Self::MAX_BYTES`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RateClass(Box<str>);

/// The text is no name of a rate class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a rate class must be 1 to {} of A-Z a-z 0-9 _ and -",
    RateClass::MAX_BYTES
)]
pub struct RateClassError;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bounds {
    max_connections: Option<NonZeroU32>,
    max_subscriptions: Option<NonZeroU32>,
    rate: Option<RateClass>,
}

// === impl TokenLimits ===

impl TokenLimits {
    /// Those that are there.
    pub fn new(
        max_connections: Option<NonZeroU32>,
        max_subscriptions: Option<NonZeroU32>,
        rate: Option<RateClass>,
    ) -> Self {
        let bounds = Bounds {
            max_connections,
            max_subscriptions,
            rate,
        };
        Self((bounds != Bounds::default()).then(|| Arc::new(bounds)))
    }

    /// Connections of the user at once, in the whole cluster.
    pub fn max_connections(&self) -> Option<NonZeroU32> {
        self.0.as_ref()?.max_connections
    }

    /// Subscriptions of a connection at once.
    pub fn max_subscriptions(&self) -> Option<NonZeroU32> {
        self.0.as_ref()?.max_subscriptions
    }

    /// How fast a connection may send.
    pub fn rate(&self) -> Option<&RateClass> {
        self.0.as_ref()?.rate.as_ref()
    }
}

impl fmt::Debug for TokenLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenLimits")
            .field("max_connections", &self.max_connections())
            .field("max_subscriptions", &self.max_subscriptions())
            .field("rate", &self.rate())
            .finish()
    }
}

// === impl RateClass ===

impl RateClass {
    /// Longest name, in bytes.
    pub const MAX_BYTES: usize = 32;

    /// Checks the name.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, RateClassError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        match fits && text.bytes().all(allowed) {
            true => Ok(Self(text.into())),
            false => Err(RateClassError),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for RateClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_say_nothing_take_no_memory() {
        let none = TokenLimits::new(None, None, None);
        assert_eq!(none, TokenLimits::default());
        assert!(none.0.is_none());
        let rate = RateClass::parse("gold").expect("valid");
        let some = TokenLimits::new(NonZeroU32::new(2), None, Some(rate.clone()));
        assert_eq!(some.max_connections().map(NonZeroU32::get), Some(2));
        assert_eq!(some.max_subscriptions(), None);
        assert_eq!(some.rate(), Some(&rate));
    }

    #[test]
    fn a_class_is_one_short_token() {
        for text in ["", "a.b", "a b", "$user", &"c".repeat(33)] {
            assert_eq!(RateClass::parse(text), Err(RateClassError), "{text}");
        }
        assert!(RateClass::parse(&"c".repeat(32)).is_ok());
    }
}
