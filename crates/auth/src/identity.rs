//! What a verified token says: who the user is, until when, and what they may do.

use std::{sync::Arc, time::SystemTime};

use wire::{Channel, UserId};

use crate::{Labels, Patterns};

/// The content of a verified token. Small: a gateway keeps one per connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who it is.
    pub user: UserId,
    /// From when on the token no longer counts, leeway included; absent: never.
    pub expires_at: Option<SystemTime>,
    /// The token's own id, by which it can be revoked.
    pub token_id: Option<Box<str>>,
    /// What the token says about channels and routes.
    pub permissions: Permissions,
    /// What the token calls the connection.
    pub labels: Labels,
}

/// What a token says about channels and routes; often nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(Option<Arc<Grants>>);

/// What a token says about one name. What silence means is up to the
/// namespace's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// The token has no list for this.
    Unspecified,
    /// The token has a list, and a pattern of it matches.
    Allowed,
    /// The token has a list, and nothing in it matches.
    Denied,
}

/// The lists of the claim `tg`; an absent list says nothing, an empty one denies.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Grants {
    pub(crate) subscribe: Option<Patterns>,
    pub(crate) publish: Option<Patterns>,
    pub(crate) routes: Option<Patterns>,
}

// === impl Identity ===

impl Identity {
    /// Whether the user may subscribe to `channel`.
    pub fn may_subscribe(&self, channel: &Channel) -> Permission {
        self.permissions.may_subscribe(channel)
    }

    /// Whether the user may publish to `channel`.
    pub fn may_publish(&self, channel: &Channel) -> Permission {
        self.permissions.may_publish(channel)
    }

    /// Whether the user may send requests to `route`.
    pub fn may_call(&self, route: &str) -> Permission {
        self.permissions.may_call(route)
    }
}

// === impl Permissions ===

impl Permissions {
    pub(crate) fn new(grants: Grants) -> Self {
        Self((grants != Grants::default()).then(|| Arc::new(grants)))
    }

    /// Whether a client may subscribe to `channel`.
    pub fn may_subscribe(&self, channel: &Channel) -> Permission {
        self.check(|grants| &grants.subscribe, channel.as_str())
    }

    /// Whether a client may publish to `channel`.
    pub fn may_publish(&self, channel: &Channel) -> Permission {
        self.check(|grants| &grants.publish, channel.as_str())
    }

    /// Whether a client may send requests to `route`.
    pub fn may_call(&self, route: &str) -> Permission {
        self.check(|grants| &grants.routes, route)
    }

    fn check(&self, list: fn(&Grants) -> &Option<Patterns>, name: &str) -> Permission {
        match self.0.as_deref().and_then(|grants| list(grants).as_ref()) {
            None => Permission::Unspecified,
            Some(patterns) if patterns.matches(name) => Permission::Allowed,
            Some(_) => Permission::Denied,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_list_says_nothing_and_an_empty_one_denies() {
        let subscribe = Some(Patterns::parse(&["room.*"]).expect("valid"));
        let permissions = Permissions::new(Grants {
            subscribe,
            publish: Some(Patterns::default()),
            routes: None,
        });
        let channel = |name| Channel::parse(name, 255).expect("valid");
        assert_eq!(
            permissions.may_subscribe(&channel("room.1")),
            Permission::Allowed
        );
        assert_eq!(
            permissions.may_subscribe(&channel("hall.1")),
            Permission::Denied
        );
        assert_eq!(
            permissions.may_publish(&channel("room.1")),
            Permission::Denied
        );
        assert_eq!(
            permissions.may_call("orders.place"),
            Permission::Unspecified
        );
        assert_eq!(
            Permissions::default().may_publish(&channel("room.1")),
            Permission::Unspecified
        );
    }
}
