//! Who knows where connections are.

use std::fmt;

use bus::BusError;
use registry::Reader;
use wire::{
    ConnectionId, GatewayId, SessionId, UserId,
    gateway::{RegisteredConnection, RegisteredGateway},
};

/// Knows the gateways of the cluster, and which of them hold whom. An error
/// means that nobody can say; it never stands for "none".
#[tonic::async_trait]
pub trait Directory: Send + Sync + fmt::Debug + 'static {
    /// All gateways that may hold connections, in any order.
    async fn gateways(&self) -> Result<Vec<(GatewayId, RegisteredGateway)>, BusError>;

    /// Gateways that hold connections of a user; each may be named repeatedly.
    async fn of_user(&self, user: &UserId) -> Result<Vec<GatewayId>, BusError>;

    /// Gateways that hold connections of a session, likewise.
    async fn of_session(&self, session: SessionId) -> Result<Vec<GatewayId>, BusError>;

    /// Gateways that hold connections with a label.
    async fn of_label(&self, name: &str, value: &str) -> Result<Vec<GatewayId>, BusError>;
}

/// The registry that gateways write.
#[tonic::async_trait]
impl Directory for Reader {
    async fn gateways(&self) -> Result<Vec<(GatewayId, RegisteredGateway)>, BusError> {
        Self::gateways(self).await
    }

    async fn of_user(&self, user: &UserId) -> Result<Vec<GatewayId>, BusError> {
        let connections = Self::of_user(self, user).await?;
        Ok(holders(&connections))
    }

    async fn of_session(&self, session: SessionId) -> Result<Vec<GatewayId>, BusError> {
        let connections = Self::of_session(self, session).await?;
        Ok(holders(&connections))
    }

    async fn of_label(&self, name: &str, value: &str) -> Result<Vec<GatewayId>, BusError> {
        Self::of_label(self, name, value).await
    }
}

/// A connection's id names its gateway.
fn holders(connections: &[RegisteredConnection]) -> Vec<GatewayId> {
    let ids = connections
        .iter()
        .filter_map(|connection| connection.connection_id.parse::<ConnectionId>().ok());
    ids.map(|id| id.gateway).collect()
}

/// A cluster that never changes, where anybody may be anywhere.
#[tonic::async_trait]
impl Directory for Vec<GatewayId> {
    async fn gateways(&self) -> Result<Vec<(GatewayId, RegisteredGateway)>, BusError> {
        let unknown = RegisteredGateway::default();
        let gateways = self.iter();
        Ok(gateways.map(|id| (id.clone(), unknown.clone())).collect())
    }

    async fn of_user(&self, _: &UserId) -> Result<Vec<GatewayId>, BusError> {
        Ok(self.clone())
    }

    async fn of_session(&self, _: SessionId) -> Result<Vec<GatewayId>, BusError> {
        Ok(self.clone())
    }

    async fn of_label(&self, _: &str, _: &str) -> Result<Vec<GatewayId>, BusError> {
        Ok(self.clone())
    }
}
