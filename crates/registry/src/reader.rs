//! The control plane's look into the registry.

use std::{fmt, sync::Arc};

use bus::{Bus, BusError, BusExt, Entry, Pattern};
use prost::Message;
use wire::{
    GatewayId, SessionId, UserId,
    gateway::{RegisteredConnection, RegisteredGateway},
};

use crate::{GATEWAYS, LABELS, REGISTRY, key};

/// Reads the registry. Cheap to clone; each call asks the bus once.
#[derive(Clone)]
pub struct Reader(Arc<dyn Bus>);

// === impl Reader ===

impl Reader {
    /// Reads what is on this bus.
    pub fn new(bus: Arc<dyn Bus>) -> Self {
        Self(bus)
    }

    /// The gateways that are registered, with what they say of themselves.
    ///
    /// # Errors
    /// If the bus can't say; never stands for "none".
    pub async fn gateways(&self) -> Result<Vec<(GatewayId, RegisteredGateway)>, BusError> {
        let all = Pattern::new("*").expect("a constant");
        let entries = self.0.look_up(GATEWAYS, vec![all]).await?;
        let read = |entry: Entry| {
            let gateway = key::gateway_of(&entry.key)?;
            Some((gateway, RegisteredGateway::decode(entry.value).ok()?))
        };
        Ok(entries.into_iter().filter_map(read).collect())
    }

    /// The user's connections.
    ///
    /// # Errors
    /// If the bus can't say.
    pub async fn of_user(&self, user: &UserId) -> Result<Vec<RegisteredConnection>, BusError> {
        self.connections(key::of_user(user)).await
    }

    /// The session's connections: one, or two while it moves.
    ///
    /// # Errors
    /// If the bus can't say.
    pub async fn of_session(
        &self,
        session: SessionId,
    ) -> Result<Vec<RegisteredConnection>, BusError> {
        self.connections(key::of_session(session)).await
    }

    /// Gateways with a connection that has the label.
    ///
    /// # Errors
    /// If the bus can't say.
    pub async fn of_label(&self, name: &str, value: &str) -> Result<Vec<GatewayId>, BusError> {
        let entries = self.0.look_up(LABELS, vec![key::with_label(name, value)]);
        let entries = entries.await?;
        Ok(entries
            .iter()
            .filter_map(|entry| key::gateway_of(&entry.key))
            .collect())
    }

    /// The gateway's connections.
    pub(crate) async fn at_gateway(
        &self,
        gateway: &GatewayId,
    ) -> Result<Vec<(Entry, Option<RegisteredConnection>)>, BusError> {
        let entries = self.0.look_up(REGISTRY, vec![key::at_gateway(gateway)]);
        let read = |entry: Entry| {
            let connection = RegisteredConnection::decode(entry.value.clone()).ok();
            (entry, connection)
        };
        Ok(entries.await?.into_iter().map(read).collect())
    }

    /// What can't be read was not written by us, and is left out.
    async fn connections(&self, keys: Pattern) -> Result<Vec<RegisteredConnection>, BusError> {
        let entries = self.0.look_up(REGISTRY, vec![keys]).await?;
        let read = |entry: Entry| RegisteredConnection::decode(entry.value).ok();
        Ok(entries.into_iter().filter_map(read).collect())
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}
