//! The look into the registry, of control planes and of gateways.

use std::{collections::HashSet, fmt, sync::Arc};

use ::metrics::Counter;
use bus::{Bus, BusError, BusExt, Entry, Pattern};
use prost::Message;
use wire::{
    GatewayId, SessionId, UserId,
    gateway::{RegisteredConnection, RegisteredGateway},
};

use crate::{GATEWAYS, LABELS, REGISTRY, key, metrics};

/// Reads the registry. Cheap to clone; each call asks the bus once.
#[derive(Clone)]
pub struct Reader {
    bus: Arc<dyn Bus>,
    malformed: Counter,
}

// === impl Reader ===

impl Reader {
    /// Reads what is on this bus.
    pub fn new(bus: Arc<dyn Bus>) -> Self {
        Self {
            bus,
            malformed: metrics::malformed(),
        }
    }

    /// The gateways that are registered, with what they say of themselves.
    ///
    /// # Errors
    /// If the bus can't say; never stands for "none".
    pub async fn gateways(&self) -> Result<Vec<(GatewayId, RegisteredGateway)>, BusError> {
        let all = Pattern::new("*").expect("a constant");
        let entries = self.bus.look_up(GATEWAYS, vec![all]).await?;
        let read = |entry: Entry| {
            let gateway = key::gateway_of(&entry.key)?;
            Some((gateway, RegisteredGateway::decode(entry.value).ok()?))
        };
        Ok(self.readable(entries, read))
    }

    /// The user's connections.
    ///
    /// # Errors
    /// If the bus can't say.
    pub async fn of_user(&self, user: &UserId) -> Result<Vec<RegisteredConnection>, BusError> {
        self.connections(vec![key::of_user(user)]).await
    }

    /// The session's connections: one, or two while it moves.
    ///
    /// # Errors
    /// If the bus can't say.
    pub async fn of_session(
        &self,
        session: SessionId,
    ) -> Result<Vec<RegisteredConnection>, BusError> {
        self.connections(vec![key::of_session(session)]).await
    }

    /// The connections of all these sessions.
    ///
    /// # Errors
    /// If the bus can't say.
    pub async fn of_sessions(
        &self,
        sessions: &[(UserId, SessionId)],
    ) -> Result<Vec<RegisteredConnection>, BusError> {
        let keys = sessions
            .iter()
            .map(|(user, session)| key::of_user_session(user, *session));
        self.connections(keys.collect()).await
    }

    /// The connections of a session of this user.
    ///
    /// # Errors
    /// If the bus can't say.
    pub async fn of_user_session(
        &self,
        user: &UserId,
        session: SessionId,
    ) -> Result<Vec<RegisteredConnection>, BusError> {
        self.connections(vec![key::of_user_session(user, session)])
            .await
    }

    /// Gateways with a connection that has the label.
    ///
    /// # Errors
    /// If the bus can't say.
    pub async fn of_label(&self, name: &str, value: &str) -> Result<Vec<GatewayId>, BusError> {
        let entries = self.bus.look_up(LABELS, vec![key::with_label(name, value)]);
        let entries = entries.await?;
        Ok(self.readable(entries, |entry| key::gateway_of(&entry.key)))
    }

    /// Gateways that entries of connections or labels name.
    pub(crate) async fn holders(&self) -> Result<HashSet<GatewayId>, BusError> {
        let all = || vec![Pattern::new(">").expect("a constant")];
        let connections = self.bus.look_up(REGISTRY, all()).await?;
        let labels = self.bus.look_up(LABELS, all()).await?;
        let mut holders: HashSet<_> = self
            .readable(connections, |entry| key::holder_of(&entry.key))
            .into_iter()
            .collect();
        holders.extend(self.readable(labels, |entry| key::gateway_of(&entry.key)));
        Ok(holders)
    }

    /// The gateway's connections.
    pub(crate) async fn at_gateway(
        &self,
        gateway: &GatewayId,
    ) -> Result<Vec<(Entry, Option<RegisteredConnection>)>, BusError> {
        let entries = self.bus.look_up(REGISTRY, vec![key::at_gateway(gateway)]);
        let read = |entry: Entry| {
            let connection = RegisteredConnection::decode(entry.value.clone()).ok();
            (entry, connection)
        };
        Ok(entries.await?.into_iter().map(read).collect())
    }

    /// What can't be read was not written by us, and is left out.
    async fn connections(&self, keys: Vec<Pattern>) -> Result<Vec<RegisteredConnection>, BusError> {
        let entries = self.bus.look_up(REGISTRY, keys).await?;
        let read = |entry: Entry| RegisteredConnection::decode(entry.value).ok();
        Ok(self.readable(entries, read))
    }

    fn readable<T>(&self, entries: Vec<Entry>, read: impl Fn(Entry) -> Option<T>) -> Vec<T> {
        let all = entries.len();
        let read: Vec<_> = entries.into_iter().filter_map(read).collect();
        self.malformed.increment((all - read.len()) as u64);
        read
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}
