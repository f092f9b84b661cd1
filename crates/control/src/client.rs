//! The way in for Rust callers: generated clients, and a connection whose
//! failure says what is wrong.

use std::{error::Error, io, time::Duration};

use thiserror::Error;
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

pub use crate::generated::{
    auth_service_client::AuthServiceClient, channel_service_client::ChannelServiceClient,
    connection_service_client::ConnectionServiceClient,
    gateway_service_client::GatewayServiceClient, publish_service_client::PublishServiceClient,
    send_service_client::SendServiceClient, will_service_client::WillServiceClient,
};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no connection to a control plane.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Not `host:port`, `http://host:port` or the like.
    #[error("{address:?} is not an address such as 127.0.0.1:7410")]
    Address {
        /// What was given.
        address: String,
    },
    /// Nobody listens there.
    #[error("connection refused on {address}: is the control plane running?")]
    Refused {
        /// `host:port`.
        address: String,
    },
    /// Anything else.
    #[error("connecting to {address}")]
    Failed {
        /// `host:port`.
        address: String,
        /// What went wrong.
        source: tonic::transport::Error,
    },
}

/// Connects to the control plane at `address`, `host:port` with or without
/// `http://` before it. The channel can be cloned and reconnects by itself.
///
/// # Errors
/// If `address` is none, or nobody answers there within 5 s.
pub async fn connect(address: &str) -> Result<Channel, ConnectError> {
    let address = address.strip_prefix("http://").unwrap_or(address);
    let endpoint = endpoint(address).ok_or_else(|| ConnectError::Address {
        address: address.to_owned(),
    })?;
    endpoint.connect().await.map_err(|source| {
        let address = address.to_owned();
        if is_refused(&source) {
            ConnectError::Refused { address }
        } else {
            ConnectError::Failed { address, source }
        }
    })
}

/// The stable name of what a control plane refused, e.g. `UNKNOWN_NAMESPACE`;
/// absent if the status has none, or comes from elsewhere.
pub fn reason(status: &Status) -> Option<String> {
    crate::status::reason(status)
}

fn endpoint(address: &str) -> Option<Endpoint> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).ok()?;
    endpoint.uri().port_u16()?;
    Some(endpoint.connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true))
}

fn is_refused(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::ConnectionRefused;
        }
        next = error.source();
    }
    false
}
