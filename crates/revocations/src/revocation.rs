//! What is taken back.

use bus::Subject;
use thiserror::Error;
use wire::{SessionId, UserId, gateway};

/// Access that was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// From whom.
    pub whom: Whom,
    /// Of a user: tokens issued up to then, Unix time in milliseconds, and those
    /// of unknown age.
    pub issued_before_ms: i64,
    /// When nothing counts any more that is meant, Unix time in milliseconds.
    pub until_ms: i64,
    /// How long connections that are meant stay, without their permissions, so that
    /// their clients can refresh their token, in milliseconds; zero: they are closed at
    /// once. Who comes anew is refused either way.
    pub grace_ms: u32,
}

/// From whom access is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Whom {
    /// A user, with the tokens that exist.
    User(UserId),
    /// Whoever has the token with this id (`jti`).
    Token(Box<str>),
    /// A session.
    Session(SessionId),
}

/// What was read is no revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a revocation")]
pub struct Malformed;

// === impl Revocation ===

impl Revocation {
    /// Reads one as it travels.
    ///
    /// # Errors
    /// If it names nobody, or somebody whom there can't be.
    pub fn read(message: gateway::Revocation) -> Result<Self, Malformed> {
        use gateway::revocation::Subject;
        let whom = match message.subject.ok_or(Malformed)? {
            Subject::User(user) => Whom::User(UserId::new(&user).ok_or(Malformed)?),
            Subject::TokenId(id) if !id.is_empty() => Whom::Token(id.into()),
            Subject::TokenId(_) => return Err(Malformed),
            Subject::SessionId(id) => Whom::Session(id.parse().map_err(|_| Malformed)?),
        };
        Ok(Self {
            whom,
            issued_before_ms: message.issued_before_ms,
            until_ms: message.until_ms,
            grace_ms: message.grace_ms,
        })
    }

    /// As it travels.
    pub fn message(&self) -> gateway::Revocation {
        use gateway::revocation::Subject;
        let subject = match &self.whom {
            Whom::User(user) => Subject::User(user.to_string()),
            Whom::Token(id) => Subject::TokenId(id.to_string()),
            Whom::Session(id) => Subject::SessionId(id.to_string()),
        };
        gateway::Revocation {
            subject: Some(subject),
            issued_before_ms: self.issued_before_ms,
            until_ms: self.until_ms,
            grace_ms: self.grace_ms,
        }
    }

    /// Both of them.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.issued_before_ms = self.issued_before_ms.max(other.issued_before_ms);
        self.until_ms = self.until_ms.max(other.until_ms);
        self
    }
}

// === impl Whom ===

impl Whom {
    /// The entry's key.
    pub(crate) fn key(&self) -> Subject {
        let key = match self {
            Self::User(user) => format!("user.{}", registry::user_token(user)),
            Self::Token(id) => format!("token.{}", registry::token(id)),
            Self::Session(id) => format!("session.{id}"),
        };
        Subject::new(&key).expect("made of two tokens")
    }
}
