//! Policy by name: what may be done in which namespace and by which route.

use std::{num::NonZeroU32, time::Duration};

use auth::{Identity, Permission};
use bus::Subject;
use foldhash::HashMap;
use hub::DeliveryPolicy;
use journal::Redelivery;
use session::Grants;
use wire::{Channel, client::ErrorCode};

/// Who may do something in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only backends, by the control plane.
    Server,
    /// Clients whose token allows it.
    Token,
    /// Every authenticated client whose token does not deny it.
    Anyone,
    /// The same, and clients without a token.
    Anonymous,
}

/// The policy shared by channels with the same first token.
#[derive(Clone, Copy, Debug)]
pub struct NamespacePolicy {
    /// Who may publish.
    pub publish: Access,
    /// Who may subscribe.
    pub subscribe: Access,
    /// What happens to slow connections.
    pub delivery: DeliveryPolicy,
    /// How publications reach this gateway.
    pub fanout: FanoutMode,
    /// Keep who is in its channels.
    pub presence: bool,
    /// Clients that may see who is there may send each other signals.
    pub signals: bool,
}

/// How the publications of a namespace reach a gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FanoutMode {
    /// By a bus subscription for each channel that somebody here listens to:
    /// only what is wanted comes, for some kilobytes a channel.
    #[default]
    Interest,
    /// By one for the whole namespace while somebody here listens to any of its
    /// channels: some tens of bytes a channel, but everything comes.
    Namespace,
}

/// A name that clients may call.
#[derive(Clone, Debug)]
pub struct RoutePolicy {
    /// Clients without a token may call it.
    pub anonymous: bool,
    /// Where its workers listen.
    pub subject: Subject,
    /// Deadline of requests that name none.
    pub deadline: Duration,
    /// Requests under way from this gateway; more are refused as overloaded.
    /// Zero: no limit.
    pub max_in_flight: u32,
    /// When to stop asking; absent: never.
    pub breaker: Option<BreakerPolicy>,
    /// What to do with a request that carries an idempotency key where nobody
    /// knows whether a worker has executed it.
    pub redelivery: Redelivery,
}

/// When a route's workers are no longer asked, each gateway by itself. Meanwhile
/// requests fail at once and can be retried.
#[derive(Clone, Copy, Debug)]
pub struct BreakerPolicy {
    /// So many failures in a row: no worker, a worker that ended without an
    /// answer, no answer within the route's own deadline, no bus. A worker that
    /// refuses is no failure, and neither is a shorter deadline that passed.
    pub failures: u32,
    /// For how long; then one request at a time is let through, until one
    /// succeeds.
    pub pause: Duration,
}

/// All namespaces and routes of a gateway. Anything not named here is refused.
#[derive(Debug, Default)]
pub struct Policies {
    /// By first token of the channel.
    pub namespaces: HashMap<Box<str>, NamespacePolicy>,
    /// By the name that clients call.
    pub routes: HashMap<Box<str>, RoutePolicy>,
}

/// What one connection may do: the policies narrowed by its token.
pub(crate) struct ConnectionGrants<'a> {
    pub(crate) policies: &'a Policies,
    pub(crate) identity: &'a Identity,
}

// === impl Policies ===

impl Policies {
    /// The policy of the channel's namespace.
    pub fn of(&self, channel: &Channel) -> Option<&NamespacePolicy> {
        self.namespaces.get(channel.namespace())
    }
}

// === impl Access ===

impl Access {
    fn check(self, identity: &Identity, by_token: Permission) -> Result<(), ErrorCode> {
        let allowed = match self {
            Self::Server => false,
            _ if identity.anonymous => self == Self::Anonymous,
            Self::Token => by_token == Permission::Allowed,
            Self::Anyone | Self::Anonymous => by_token != Permission::Denied,
        };
        if allowed {
            Ok(())
        } else {
            Err(ErrorCode::PermissionDenied)
        }
    }
}

// === impl ConnectionGrants ===

impl ConnectionGrants<'_> {
    fn namespace(&self, channel: &Channel) -> Result<&NamespacePolicy, ErrorCode> {
        self.policies.of(channel).ok_or(ErrorCode::UnknownNamespace)
    }
}

impl Grants for ConnectionGrants<'_> {
    fn max_subscriptions(&self) -> Option<NonZeroU32> {
        self.identity.limits.max_subscriptions()
    }

    fn subscribe(&self, channel: &Channel) -> Result<(), ErrorCode> {
        self.namespace(channel)?
            .subscribe
            .check(self.identity, self.identity.may_subscribe(channel))
    }

    fn history(&self, channel: &Channel) -> Result<(), ErrorCode> {
        self.namespace(channel)?
            .subscribe
            .check(self.identity, self.identity.may_read_history(channel))
    }

    fn presence(&self, channel: &Channel) -> Result<(), ErrorCode> {
        let namespace = self.namespace(channel)?;
        if !namespace.presence {
            return Err(ErrorCode::NoPresence);
        }
        let by_token = self.identity.may_see_presence(channel);
        namespace.subscribe.check(self.identity, by_token)
    }

    fn signal(&self, channel: &Channel) -> Result<(), ErrorCode> {
        match self.namespace(channel)?.signals {
            true => Ok(()),
            false => Err(ErrorCode::NoSignals),
        }
    }

    fn publish(&self, channel: &Channel) -> Result<(), ErrorCode> {
        self.namespace(channel)?
            .publish
            .check(self.identity, self.identity.may_publish(channel))
    }

    fn call(&self, route: &str) -> Result<(), ErrorCode> {
        let policy = self.policies.routes.get(route);
        let policy = policy.ok_or(ErrorCode::UnknownRoute)?;
        if self.identity.anonymous && !policy.anonymous {
            return Err(ErrorCode::PermissionDenied);
        }
        match self.identity.may_call(route) {
            Permission::Denied => Err(ErrorCode::PermissionDenied),
            Permission::Allowed | Permission::Unspecified => Ok(()),
        }
    }
}
