//! What a verified token says: who the user is, until when, and what they may do.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use wire::{Channel, UserId};

use crate::{Ceilings, Labels, Patterns, TokenLimits};

/// The content of a verified token, or what stands for it. Small: a gateway keeps one per connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who it is.
    pub user: UserId,
    /// From when on the token no longer counts, leeway included; absent: never.
    pub expires_at: Option<SystemTime>,
    /// When it was issued; absent: nobody knows, so that every revocation of its
    /// user's tokens is of this one, too.
    pub issued_at: Option<SystemTime>,
    /// The token's own id, by which it can be revoked.
    pub token_id: Option<Box<str>>,
    /// What the token says about channels and routes.
    pub permissions: Permissions,
    /// What the token calls the connection.
    pub labels: Labels,
    /// What the token allows less of than the gateway does.
    pub limits: TokenLimits,
    /// There was no token: this is nobody in particular.
    pub anonymous: bool,
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
    pub(crate) presence: Option<Patterns>,
    pub(crate) history: Option<Patterns>,
    pub(crate) routes: Option<Patterns>,
    /// What the token can't grant, whatever its lists say.
    pub(crate) ceilings: Option<Arc<Ceilings>>,
}

// === impl Identity ===

impl Identity {
    /// Somebody without a token, whom nobody else is: `anon-` and 128 random bits.
    pub fn anonymous() -> Self {
        let mut id = [0; 16];
        rand::fill(&mut id).expect("the system has randomness");
        let id = format!("anon-{}", URL_SAFE_NO_PAD.encode(id));
        Self {
            user: UserId::new(&id).expect("letters and digits"),
            expires_at: None,
            issued_at: Some(SystemTime::now()),
            token_id: None,
            permissions: Permissions::default(),
            labels: Labels::default(),
            limits: TokenLimits::default(),
            anonymous: true,
        }
    }

    /// How long the token still counts; [`Duration::MAX`]: for ever.
    pub fn left(&self, now: SystemTime) -> Duration {
        let left = |until: SystemTime| until.duration_since(now).unwrap_or_default();
        self.expires_at.map_or(Duration::MAX, left)
    }

    /// Whether the user may subscribe to `channel`.
    pub fn may_subscribe(&self, channel: &Channel) -> Permission {
        self.permissions.may_subscribe(channel)
    }

    /// Whether the user may publish to `channel`.
    pub fn may_publish(&self, channel: &Channel) -> Permission {
        self.permissions.may_publish(channel)
    }

    /// Whether the user may see who is in `channel`.
    pub fn may_see_presence(&self, channel: &Channel) -> Permission {
        self.permissions.may_see_presence(channel)
    }

    /// Whether the user may read the past of `channel`.
    pub fn may_read_history(&self, channel: &Channel) -> Permission {
        self.permissions.may_read_history(channel)
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

    /// Permits nothing, whatever the namespaces would.
    pub fn nothing() -> Self {
        let none = || Some(Patterns::default());
        Self::new(Grants {
            subscribe: none(),
            publish: none(),
            presence: none(),
            history: none(),
            routes: none(),
            ceilings: None,
        })
    }

    /// Whether a client may subscribe to `channel`.
    pub fn may_subscribe(&self, channel: &Channel) -> Permission {
        let own = |grants: &Grants| check(&grants.subscribe, channel.as_str());
        self.check(own, |most| &most.subscribe, channel.as_str())
    }

    /// Whether a client may publish to `channel`.
    pub fn may_publish(&self, channel: &Channel) -> Permission {
        let own = |grants: &Grants| check(&grants.publish, channel.as_str());
        self.check(own, |most| &most.publish, channel.as_str())
    }

    /// Whether a client may see who is in `channel`: who may subscribe, where the
    /// token has no list for this.
    pub fn may_see_presence(&self, channel: &Channel) -> Permission {
        self.may_know(|grants| &grants.presence, channel)
    }

    /// Whether a client may read the past of `channel`: who may subscribe, where
    /// the token has no list for this.
    pub fn may_read_history(&self, channel: &Channel) -> Permission {
        self.may_know(|grants| &grants.history, channel)
    }

    /// Whether a client may send requests to `route`.
    pub fn may_call(&self, route: &str) -> Permission {
        let own = |grants: &Grants| check(&grants.routes, route);
        self.check(own, |most| &most.routes, route)
    }

    fn may_know(&self, list: fn(&Grants) -> &Option<Patterns>, channel: &Channel) -> Permission {
        let own = |grants: &Grants| match list(grants) {
            None => check(&grants.subscribe, channel.as_str()),
            list => check(list, channel.as_str()),
        };
        self.check(own, |most| &most.subscribe, channel.as_str())
    }

    fn check(
        &self,
        own: impl Fn(&Grants) -> Permission,
        ceiling: fn(&Ceilings) -> &Option<Patterns>,
        name: &str,
    ) -> Permission {
        let Some(grants) = self.0.as_deref() else {
            return Permission::Unspecified;
        };
        let ceiling = grants.ceilings.as_deref().map(ceiling);
        match ceiling.map(|ceiling| check(ceiling, name)) {
            Some(Permission::Denied) => Permission::Denied,
            _ => own(grants),
        }
    }
}

fn check(list: &Option<Patterns>, name: &str) -> Permission {
    match list {
        None => Permission::Unspecified,
        Some(patterns) if patterns.matches(name) => Permission::Allowed,
        Some(_) => Permission::Denied,
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
            ..Grants::default()
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
