//! The way in for Rust callers: generated clients, and a connection whose
//! failure says what is wrong.

use std::{error::Error, fmt, io, time::Duration};

use http::{HeaderValue, header::AUTHORIZATION};
use thiserror::Error;
use tonic::{
    Request, Status,
    metadata::MetadataMap,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

pub use crate::generated::{
    auth_service_client::AuthServiceClient, channel_service_client::ChannelServiceClient,
    connection_service_client::ConnectionServiceClient,
    gateway_service_client::GatewayServiceClient, publish_service_client::PublishServiceClient,
    send_service_client::SendServiceClient, will_service_client::WillServiceClient,
};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The environment variable that holds a caller's key.
pub const KEY_VARIABLE: &str = "TIDEGATE_API_KEY";

/// A connection to a control plane. It can be cloned and reconnects by itself.
pub type CallerChannel = InterceptedService<Channel, Bearer>;

/// Shows the key with every call.
#[derive(Clone, Default)]
pub struct Bearer(Option<HeaderValue>);

/// What a caller shows, and whom it trusts.
#[derive(Clone, Default)]
pub struct CallerOptions {
    /// A bearer key; absent: none is shown.
    pub key: Option<String>,
    /// Certificates of the authorities to trust, PEM; absent: an address with
    /// `https://` can't be connected to.
    pub ca: Option<Vec<u8>>,
    /// Our certificate and its private key, PEM; absent: none is shown.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Why there is no connection to a control plane.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Not `host:port`, `http://host:port` or the like.
    #[error("{address:?} is not an address such as 127.0.0.1:7410")]
    Address {
        /// What was given.
        address: String,
    },
    /// The key can't be one: it has characters that no key has.
    #[error("the API key has characters that no key has")]
    Key,
    /// Certificates that can't be used with this address.
    #[error("https:// and the certificates of authorities to trust belong together")]
    Trust,
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
/// `http://` before it, without credentials. The channel can be cloned and
/// reconnects by itself.
///
/// # Errors
/// If `address` is none, or nobody answers there within 5 s.
pub async fn connect(address: &str) -> Result<Channel, ConnectError> {
    open(address, &CallerOptions::default()).await
}

/// The same as somebody: with a key, by TLS (`https://`), with a certificate.
///
/// # Errors
/// If `address` or an option is none, or nobody answers there within 5 s.
pub async fn connect_as(
    address: &str,
    options: &CallerOptions,
) -> Result<CallerChannel, ConnectError> {
    let bearer = options.bearer()?;
    let channel = open(address, options).await?;
    Ok(InterceptedService::new(channel, bearer))
}

async fn open(address: &str, options: &CallerOptions) -> Result<Channel, ConnectError> {
    let (scheme, address) = match address.split_once("://") {
        Some((scheme, address)) => (scheme, address),
        None if options.ca.is_some() => ("https", address),
        None => ("http", address),
    };
    let failed = |source| {
        let address = address.to_owned();
        if is_refused(&source) {
            ConnectError::Refused { address }
        } else {
            ConnectError::Failed { address, source }
        }
    };
    let mut endpoint = endpoint(scheme, address).ok_or_else(|| ConnectError::Address {
        address: address.to_owned(),
    })?;
    if let Some(tls) = options.tls(scheme)? {
        endpoint = endpoint.tls_config(tls).map_err(failed)?;
    }
    endpoint.connect().await.map_err(failed)
}

/// The stable name of what a control plane refused, e.g. `UNKNOWN_NAMESPACE`;
/// absent if the status has none, or comes from elsewhere.
pub fn reason(status: &Status) -> Option<String> {
    crate::status::reason(status)
}

// === impl Bearer ===

impl Bearer {
    /// Puts the key into a call's metadata.
    pub fn show(&self, metadata: &mut MetadataMap) {
        if let Some(value) = &self.0 {
            metadata.as_mut().insert(AUTHORIZATION, value.clone());
        }
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        self.show(request.metadata_mut());
        Ok(request)
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref().map_or("none", |_| "[redacted]"))
    }
}

// === impl CallerOptions ===

impl CallerOptions {
    /// With the key in [`KEY_VARIABLE`], if there is one.
    pub fn from_environment() -> Self {
        let key = std::env::var(KEY_VARIABLE).ok();
        Self {
            key: key.filter(|key| !key.is_empty()),
            ..Self::default()
        }
    }

    /// The key as calls show it.
    ///
    /// # Errors
    /// If it has characters that no key has.
    pub fn bearer(&self) -> Result<Bearer, ConnectError> {
        let Some(key) = &self.key else {
            return Ok(Bearer(None));
        };
        let value = HeaderValue::try_from(format!("Bearer {}", key.trim()));
        let mut value = value.map_err(|_| ConnectError::Key)?;
        // Keeps it out of logs, and out of the table of HPACK.
        value.set_sensitive(true);
        Ok(Bearer(Some(value)))
    }

    fn tls(&self, scheme: &str) -> Result<Option<ClientTlsConfig>, ConnectError> {
        match (scheme, &self.ca, &self.identity) {
            ("http", None, None) => Ok(None),
            ("https", Some(ca), identity) => {
                let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
                Ok(Some(match identity {
                    Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key)),
                    None => tls,
                }))
            }
            _ => Err(ConnectError::Trust),
        }
    }
}

impl fmt::Debug for CallerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerOptions").finish_non_exhaustive()
    }
}

fn endpoint(scheme: &str, address: &str) -> Option<Endpoint> {
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}")).ok()?;
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
