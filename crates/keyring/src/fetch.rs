//! One fetch of a set: bounded in time and size.

use std::{
    error::Error as StdError,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use auth::PublicKeysError;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Request, StatusCode, Uri,
    header::{ACCEPT, CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH, USER_AGENT},
};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use thiserror::Error;
use tokio::time::timeout;

use crate::{cache_control::max_age, keyring::KeyringError};

/// Longest answer or file, in bytes: many times a set of 64 keys.
pub(crate) const MAX_BYTES: usize = 256 << 10;

/// Fetches over HTTP, with TLS but for this machine's own addresses.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    deadline: Duration,
}

/// An answer.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The text of a set.
    Set(Document),
    /// The one that the tag names is still good.
    Unchanged { max_age: Option<Duration> },
}

/// A set as it came.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) text: String,
    pub(crate) tag: Option<HeaderValue>,
    pub(crate) max_age: Option<Duration>,
}

/// Why a set could not be had. The last good one stays.
#[derive(Debug, Error)]
pub enum FetchError {
    /// Nobody there, or nobody who can be trusted.
    #[error("the issuer can't be reached")]
    Connection(#[source] Box<dyn StdError + Send + Sync>),
    /// Neither 200 nor 304. Redirects are not followed.
    #[error("the issuer answered with the status {0}")]
    Status(StatusCode),
    /// More than 256 KiB.
    #[error("the set is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// No set of keys, or none that can be used.
    #[error("the set can't be used")]
    Malformed(#[from] PublicKeysError),
    /// Not within the deadline.
    #[error("the issuer did not answer in time")]
    Timeout,
    /// The file can't be read.
    #[error("the file can't be read")]
    File(#[source] std::io::Error),
}

// === impl Fetcher ===

impl Fetcher {
    /// Trusts the certificates of `ca_file` or, without one, the system's.
    pub(crate) fn new(ca_file: Option<&Path>, deadline: Duration) -> Result<Self, KeyringError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has what these versions need");
        let config = match ca_file {
            Some(path) => config.with_root_certificates(roots(path)?),
            None => config.with_native_roots().map_err(|source| {
                let path = PathBuf::from("the system's certificates");
                KeyringError::Certificates { path, source }
            })?,
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .build();
        // Fetches are minutes apart: nothing is kept open between them.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Ok(Self { client, deadline })
    }

    /// Asks for the set, unless it is the one with this tag.
    pub(crate) async fn fetch(
        &self,
        url: &Uri,
        tag: Option<&HeaderValue>,
    ) -> Result<Answer, FetchError> {
        let fetched = timeout(self.deadline, self.ask(url, tag)).await;
        fetched.unwrap_or(Err(FetchError::Timeout))
    }

    async fn ask(&self, url: &Uri, tag: Option<&HeaderValue>) -> Result<Answer, FetchError> {
        let mut request = Request::get(url.clone())
            .header(ACCEPT, "application/jwk-set+json, application/json")
            .header(USER_AGENT, concat!("tidegate/", env!("CARGO_PKG_VERSION")));
        if let Some(tag) = tag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let request = request.body(Empty::new()).expect("made of valid parts");
        let response = self.client.request(request).await;
        let response = response.map_err(|error| FetchError::Connection(error.into()))?;
        let max_age = age_of(response.headers());
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED => return Ok(Answer::Unchanged { max_age }),
            status => return Err(FetchError::Status(status)),
        }
        let tag = response.headers().get(ETAG).cloned();
        let body = Limited::new(response.into_body(), MAX_BYTES);
        let body = body
            .collect()
            .await
            .map_err(|error| match error.is::<LengthLimitError>() {
                true => FetchError::TooLarge,
                false => FetchError::Connection(error),
            })?;
        let text = String::from_utf8(body.to_bytes().into())
            .map_err(|_| FetchError::Malformed(PublicKeysError::Malformed))?;
        Ok(Answer::Set(Document { text, tag, max_age }))
    }
}

fn age_of(headers: &HeaderMap) -> Option<Duration> {
    max_age(headers.get(CACHE_CONTROL)?.to_str().ok()?)
}

fn roots(path: &Path) -> Result<RootCertStore, KeyringError> {
    let certificates = |source| KeyringError::Certificates {
        path: path.to_owned(),
        source,
    };
    let invalid =
        |reason: String| certificates(std::io::Error::new(std::io::ErrorKind::InvalidData, reason));
    let pem = fs::read(path).map_err(certificates)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| invalid(error.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(invalid("no certificate in it".to_owned())),
        false => Ok(roots),
    }
}

// === impl FetchError ===

impl FetchError {
    /// Stable name; a metric label.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Connection(_) => "connection",
            Self::Status(_) => "status",
            Self::TooLarge => "too_large",
            Self::Malformed(_) => "malformed",
            Self::Timeout => "timeout",
            Self::File(_) => "file",
        }
    }
}
