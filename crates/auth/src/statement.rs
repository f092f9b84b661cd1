//! What is said of a user beside his name: the claim `tg` of a token, or the answer
//! of whoever reads tokens for us. Not checked until an identity is made of it.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc};

use serde::{Deserialize, Deserializer};
use wire::UserId;

use crate::{
    Identity, Labels, PatternError, Patterns, Permissions, TokenError, TokenLimits,
    identity::Grants, limits::RateClass,
};

/// Lists of patterns, labels and limits, as they are read. Silence is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Statement {
    /// Channels to subscribe to.
    #[serde(deserialize_with = "present")]
    pub subscribe: Option<Vec<String>>,
    /// Channels to publish to.
    #[serde(deserialize_with = "present")]
    pub publish: Option<Vec<String>>,
    /// Channels whose members may be seen.
    #[serde(deserialize_with = "present")]
    pub presence: Option<Vec<String>>,
    /// Channels whose past may be read.
    #[serde(deserialize_with = "present")]
    pub history: Option<Vec<String>>,
    /// Routes to call.
    #[serde(deserialize_with = "present")]
    pub routes: Option<Vec<String>>,
    /// Names and values.
    #[serde(deserialize_with = "present")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Connections of the user at once.
    #[serde(deserialize_with = "present")]
    pub max_connections: Option<NonZeroU32>,
    /// Subscriptions of a connection at once.
    #[serde(deserialize_with = "present")]
    pub max_subscriptions: Option<NonZeroU32>,
    /// Name of a rate class.
    #[serde(deserialize_with = "present")]
    pub rate: Option<String>,
}

/// What an issuer's tokens may grant at most, whatever they say: lists of patterns,
/// where an absent one bounds nothing. That of `subscribe` bounds the lists
/// `presence` and `history` as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ceilings {
    /// Channels to subscribe to.
    pub subscribe: Option<Patterns>,
    /// Channels to publish to.
    pub publish: Option<Patterns>,
    /// Routes to call.
    pub routes: Option<Patterns>,
}

/// Reads what is there, so that `null` is a wrong type and not absence.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

// === impl Statement ===

impl Statement {
    /// What is said of `user`, if all of it is well-formed: an identity without
    /// times and token id.
    ///
    /// # Errors
    /// Says which part is malformed.
    pub fn of(self, user: UserId, ceilings: &Arc<Ceilings>) -> Result<Identity, TokenError> {
        let labels = self.labels.unwrap_or_default();
        let labels = Labels::new(labels).map_err(TokenError::Labels)?;
        let rate = self.rate.as_deref().map(RateClass::parse).transpose();
        let limits = TokenLimits::new(
            self.max_connections,
            self.max_subscriptions,
            rate.map_err(TokenError::Rate)?,
        );
        let list = |texts: Option<Vec<String>>| -> Result<Option<Patterns>, PatternError> {
            let patterns = texts.as_deref().map(Patterns::parse).transpose()?;
            Ok(patterns.map(|patterns| patterns.of_user(&user)))
        };
        let grants = || {
            Ok(Grants {
                subscribe: list(self.subscribe)?,
                publish: list(self.publish)?,
                presence: list(self.presence)?,
                history: list(self.history)?,
                routes: list(self.routes)?,
                ceilings: ceilings.of_user(&user),
            })
        };
        let permissions = Permissions::new(grants().map_err(TokenError::Permissions)?);
        Ok(Identity {
            user,
            expires_at: None,
            issued_at: None,
            token_id: None,
            permissions,
            labels,
            limits,
            anonymous: false,
        })
    }
}

// === impl Ceilings ===

impl Ceilings {
    /// With the user's own id in place of the variable; shared by all users where
    /// there is no variable.
    fn of_user(self: &Arc<Self>, user: &UserId) -> Option<Arc<Self>> {
        let lists = [&self.subscribe, &self.publish, &self.routes];
        let mut there = lists.into_iter().flatten().peekable();
        there.peek()?;
        if !there.any(Patterns::has_variable) {
            return Some(self.clone());
        }
        let list = |list: &Option<Patterns>| list.clone().map(|list| list.of_user(user));
        Some(Arc::new(Self {
            subscribe: list(&self.subscribe),
            publish: list(&self.publish),
            routes: list(&self.routes),
        }))
    }
}
