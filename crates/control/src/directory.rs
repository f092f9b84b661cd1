//! Who knows where connections are.

use std::fmt;

use bus::BusError;
use wire::{GatewayId, SessionId, UserId, gateway::RegisteredGateway};

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
