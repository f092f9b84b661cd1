//! Asking gateways: which there are, which are meant, and what they answer.

use std::{fmt, sync::Arc, time::Duration};

use bus::{Bus, BusError, BusExt, Request, RequestContext, Subject};
use bytes::Bytes;
use futures_util::future::join_all;
use prost::Message;
use thiserror::Error;
use tokio::time::timeout;
use tonic::{Code, Status};
use wire::{
    ConnectionId, GatewayId, UserId,
    gateway::{Command, CommandReply, Target, command, command_reply::Reply, target},
};

use crate::status::{invalid, rich};

/// Knows the gateways of the cluster.
pub trait Directory: Send + Sync + fmt::Debug + 'static {
    /// All gateways that may hold connections, in any order.
    fn gateways(&self) -> Vec<GatewayId>;
}

/// The way to the gateways. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gateways {
    bus: Arc<dyn Bus>,
    directory: Arc<dyn Directory>,
}

/// Whose connections are meant.
#[derive(Clone, Debug)]
pub(crate) enum Meant {
    Everybody,
    User(UserId),
    Connection(ConnectionId),
}

/// What one gateway said.
pub(crate) struct Answer<T> {
    pub(crate) gateway: GatewayId,
    pub(crate) outcome: Result<T, GatewayError>,
}

/// Why a gateway's answer is missing.
#[derive(Debug, Error)]
pub(crate) enum GatewayError {
    #[error("did not answer in time")]
    Timeout,
    #[error("can't be reached: {0}")]
    Unreachable(BusError),
    #[error("answered with something else than asked")]
    Malformed,
    #[error("could not do it: {0}")]
    Failed(String),
}

// === impl Directory ===

/// A cluster that never changes.
impl Directory for Vec<GatewayId> {
    fn gateways(&self) -> Vec<GatewayId> {
        self.clone()
    }
}

// === impl Gateways ===

impl Gateways {
    pub(crate) fn new(bus: Arc<dyn Bus>, directory: Arc<dyn Directory>) -> Self {
        Self { bus, directory }
    }

    /// The gateways that may hold what is meant, in order. None holds a
    /// connection whose gateway nobody knows.
    pub(crate) fn of(&self, meant: &Meant) -> Vec<GatewayId> {
        let mut gateways = self.directory.gateways();
        if let Meant::Connection(id) = meant {
            gateways.retain(|gateway| *gateway == id.gateway);
        }
        gateways.sort_unstable();
        gateways.dedup();
        gateways
    }

    /// Asks one gateway; `pick` takes the kind of reply that belongs to the
    /// command.
    pub(crate) async fn ask<T>(
        &self,
        gateway: &GatewayId,
        command: Bytes,
        deadline: Duration,
        pick: fn(Reply) -> Option<T>,
    ) -> Result<T, GatewayError> {
        let request = Request {
            subject: Subject::of_gateway(gateway),
            payload: command,
            deadline,
            context: RequestContext::default(),
        };
        // The bus enforces deadlines at its own pace; the caller's is exact.
        let reply = timeout(deadline, self.bus.ask(request))
            .await
            .map_err(|_| GatewayError::Timeout)??;
        match CommandReply::decode(reply.payload) {
            Ok(CommandReply {
                reply: Some(Reply::Failure(problem)),
            }) => Err(GatewayError::Failed(problem)),
            Ok(CommandReply { reply: Some(reply) }) => pick(reply).ok_or(GatewayError::Malformed),
            _ => Err(GatewayError::Malformed),
        }
    }

    /// Asks, at once, every gateway that may hold what is meant.
    pub(crate) async fn ask_all<T>(
        &self,
        meant: &Meant,
        command: command::Command,
        deadline: Duration,
        pick: fn(Reply) -> Option<T>,
    ) -> Vec<Answer<T>> {
        let command = encode(command);
        let asked = self.of(meant).into_iter().map(|gateway| {
            let command = command.clone();
            async move {
                let outcome = self.ask(&gateway, command, deadline, pick).await;
                Answer { gateway, outcome }
            }
        });
        join_all(asked).await
    }
}

/// A command as it travels.
pub(crate) fn encode(command: command::Command) -> Bytes {
    let command = Some(command);
    Command { command }.encode_to_vec().into()
}

// === impl Meant ===

impl Meant {
    /// # Errors
    /// INVALID_ARGUMENT if it can't be a user.
    pub(crate) fn user(user: &str) -> Result<Self, Status> {
        UserId::new(user)
            .map(Self::User)
            .ok_or_else(|| invalid("user", "must be 1 to 255 bytes without control characters"))
    }

    /// # Errors
    /// INVALID_ARGUMENT if it is no connection id.
    pub(crate) fn connection(id: &str) -> Result<Self, Status> {
        id.parse()
            .map(Self::Connection)
            .map_err(|error| invalid("connection_id", error))
    }

    /// The user, or everybody if there is none.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if it can't be a user.
    pub(crate) fn user_or_everybody(user: &str) -> Result<Self, Status> {
        if user.is_empty() {
            Ok(Self::Everybody)
        } else {
            Self::user(user)
        }
    }

    /// The same for gateways.
    pub(crate) fn target(&self) -> Target {
        let target = match self {
            Self::Everybody => target::Target::Everybody(true),
            Self::User(user) => target::Target::User(user.to_string()),
            Self::Connection(id) => target::Target::ConnectionId(id.to_string()),
        };
        Target {
            target: Some(target),
        }
    }
}

// === impl GatewayError ===

impl From<BusError> for GatewayError {
    fn from(error: BusError) -> Self {
        match error {
            BusError::DeadlineExceeded => Self::Timeout,
            error => Self::Unreachable(error),
        }
    }
}

impl GatewayError {
    /// The status of a call that can't do without this gateway.
    pub(crate) fn status(&self, gateway: &GatewayId) -> Status {
        let (code, reason) = match self {
            Self::Timeout => (Code::DeadlineExceeded, "GATEWAY_TIMEOUT"),
            Self::Unreachable(_) => (Code::Unavailable, "GATEWAY_UNREACHABLE"),
            Self::Malformed | Self::Failed(_) => (Code::Internal, "GATEWAY_FAILED"),
        };
        rich(code, reason, format!("gateway {gateway} {self}"))
    }
}
