//! How much a connection may do, where its token allows less than the gateway.

use auth::Identity;
use wire::client::Limits;

use super::{Core, connection::Connection};
use crate::{allowance::UpstreamRates, config::EdgeConfig};

impl Core {
    /// Keeps the rates that the token entitles to, from now on.
    pub(super) fn entitle(&self, connection: &mut Connection) {
        let identity = connection.profile.identity.as_deref();
        let class = identity.map(|identity| self.gateway.config.rate_class_of(identity));
        connection.flow.rate_class = class.unwrap_or_default();
    }

    /// The limits in force for a connection, as Welcome tells them.
    pub(super) fn limits_of(&self, connection: &Connection) -> Limits {
        let mut limits = self.session.limits;
        let rates = self.gateway.config.rates_of(connection.flow.rate_class);
        limits.messages_per_second = rates.messages;
        limits.bytes_per_second = rates.bytes;
        let identity = connection.profile.identity.as_ref();
        if let Some(max) = identity.and_then(|it| it.limits.max_subscriptions()) {
            limits.max_subscriptions = match limits.max_subscriptions {
                0 => max.get(),
                own => own.min(max.get()),
            };
        }
        limits
    }
}

// === impl EdgeConfig ===

impl EdgeConfig {
    /// The class that the token names; 0, the default one, where there is none such.
    fn rate_class_of(&self, identity: &Identity) -> u8 {
        let Some(wanted) = identity.limits.rate() else {
            return 0;
        };
        let mut classes = (1..).zip(&self.rate_classes);
        let found = classes.find(|(_, (name, _))| name == wanted);
        found.map_or(0, |(class, _)| class)
    }

    /// How fast connections of this class may send.
    pub(crate) fn rates_of(&self, class: u8) -> &UpstreamRates {
        let index = usize::from(class).checked_sub(1);
        let class = index.and_then(|index| self.rate_classes.get(index));
        class.map_or(&self.upstream, |(_, rates)| rates)
    }
}
