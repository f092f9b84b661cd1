//! Scopes: what a caller may call.

use std::fmt;

use auth::{Pattern, PatternError, Patterns};
use thiserror::Error;

/// One thing that callers may be allowed. docs/control-plane-auth.md shows the
/// methods of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallScope {
    /// `publish`: to channels; `publish:<pattern>`: to those that fit.
    Publish,
    /// `send`: to users, sessions, connections and labels.
    Send,
    /// `broadcast`: to everybody.
    Broadcast,
    /// `connections.read`: see who is connected, to what, and how well.
    ConnectionsRead,
    /// `connections.write`: disconnect, subscribe and unsubscribe.
    ConnectionsWrite,
    /// `channels.read`: read what channels had.
    ChannelsRead,
    /// `mailboxes.read`: see what waits for users.
    MailboxesRead,
    /// `wills.read`: see what sessions left to be done.
    WillsRead,
    /// `gateways.read`: see which gateways there are.
    GatewaysRead,
    /// `gateways.write`: drain them.
    GatewaysWrite,
    /// `tokens.issue`: make tokens, for whomever.
    TokensIssue,
    /// `tokens.revoke`: take back tokens, users and sessions.
    TokensRevoke,
    /// `tokens.introspect`: see what a token says, and whether it counts.
    TokensIntrospect,
}

/// What one caller may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallScopes {
    allowed: u32,
    /// Channels that may be published to, beside [`CallScope::Publish`] for all.
    publish: Option<Patterns>,
}

/// Why a list of scopes can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScopeError {
    /// No scope has that name.
    #[error("{0:?} is not a scope; there are admin, publish:<pattern>, {names}", names = names())]
    Unknown(String),
    /// After `publish:` stands no pattern.
    #[error("{scope:?}: {source}")]
    Pattern {
        /// As it was written.
        scope: String,
        /// What is wrong.
        source: PatternError,
    },
    /// Too many patterns.
    #[error(transparent)]
    Patterns(#[from] PatternError),
}

// === impl CallScope ===

impl CallScope {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Publish,
        Self::Send,
        Self::Broadcast,
        Self::ConnectionsRead,
        Self::ConnectionsWrite,
        Self::ChannelsRead,
        Self::MailboxesRead,
        Self::WillsRead,
        Self::GatewaysRead,
        Self::GatewaysWrite,
        Self::TokensIssue,
        Self::TokensRevoke,
        Self::TokensIntrospect,
    ];

    /// Its name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Send => "send",
            Self::Broadcast => "broadcast",
            Self::ConnectionsRead => "connections.read",
            Self::ConnectionsWrite => "connections.write",
            Self::ChannelsRead => "channels.read",
            Self::MailboxesRead => "mailboxes.read",
            Self::WillsRead => "wills.read",
            Self::GatewaysRead => "gateways.read",
            Self::GatewaysWrite => "gateways.write",
            Self::TokensIssue => "tokens.issue",
            Self::TokensRevoke => "tokens.revoke",
            Self::TokensIntrospect => "tokens.introspect",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for CallScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl CallScopes ===

impl CallScopes {
    /// Everything: `admin`.
    pub const ADMIN: Self = Self {
        allowed: u32::MAX,
        publish: None,
    };

    /// Reads scopes as configurations write them.
    ///
    /// # Errors
    /// If one is unknown.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, ScopeError> {
        let (mut allowed, mut patterns) = (0, Vec::new());
        for text in texts.iter().map(AsRef::as_ref) {
            if text == "admin" {
                allowed = u32::MAX;
            } else if let Some(pattern) = text.strip_prefix("publish:") {
                Pattern::parse(pattern).map_err(|source| ScopeError::Pattern {
                    scope: text.to_owned(),
                    source,
                })?;
                patterns.push(pattern);
            } else {
                let scope = CallScope::ALL.into_iter().find(|it| it.name() == text);
                allowed |= scope
                    .ok_or_else(|| ScopeError::Unknown(text.to_owned()))?
                    .bit();
            }
        }
        let publish = match patterns.is_empty() {
            true => None,
            false => Some(Patterns::parse(&patterns)?),
        };
        Ok(Self { allowed, publish })
    }

    /// Whether calls that need `scope` are allowed at all.
    pub fn allow(&self, scope: CallScope) -> bool {
        self.allow_all(scope) || (scope == CallScope::Publish && self.publish.is_some())
    }

    /// Whether publications to `channel` are allowed.
    pub fn allow_publishing(&self, channel: &str) -> bool {
        let fits = |patterns: &Patterns| patterns.matches(channel);
        self.allow_all(CallScope::Publish) || self.publish.as_ref().is_some_and(fits)
    }

    fn allow_all(&self, scope: CallScope) -> bool {
        self.allowed & scope.bit() != 0
    }
}

fn names() -> String {
    CallScope::ALL.map(CallScope::name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_allow_what_they_name_and_nothing_else() {
        for scope in CallScope::ALL {
            let only = CallScopes::parse(&[scope.name()]).expect("a scope");
            for other in CallScope::ALL {
                assert_eq!(only.allow(other), scope == other, "{scope} {other}");
                assert!(CallScopes::ADMIN.allow(other));
                assert!(!CallScopes::default().allow(other));
            }
        }
        let admin = CallScopes::parse(&["admin"]).expect("a scope");
        assert_eq!(admin, CallScopes::ADMIN);
    }

    #[test]
    fn publishing_can_be_narrowed_to_patterns() {
        let scopes = CallScopes::parse(&["publish:market.>", "publish:room.*"]).expect("scopes");
        assert!(scopes.allow(CallScope::Publish));
        assert!(scopes.allow_publishing("market.eu.gold"));
        assert!(scopes.allow_publishing("room.1"));
        assert!(!scopes.allow_publishing("room.1.a"));
        assert!(!scopes.allow_publishing("market"));
        let all = CallScopes::parse(&["publish:market.>", "publish"]).expect("scopes");
        assert!(all.allow_publishing("room.1.a"));
    }

    #[test]
    fn what_is_no_scope_is_refused_by_name() {
        for text in [
            "",
            "Publish",
            "publish:",
            "publish:a.>.b",
            "tokens",
            "admin:x",
        ] {
            let error = CallScopes::parse(&[text]).expect_err(text).to_string();
            assert!(error.starts_with(&format!("{text:?}")), "{error}");
        }
    }
}
