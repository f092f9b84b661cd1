//! Who we are to clients, and which clients we take.

use std::{
    fmt, io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    RootCertStore,
    crypto::aws_lc_rs::{self, Ticketer},
    server::{VerifierBuilderError, WebPkiClientVerifier},
};
use thiserror::Error;

use crate::{
    certificates::{CertificateFiles, Certificates, Set, authorities},
    metrics::Metrics,
};

/// The only application protocol of the port (RFC 7301): browsers open WebSockets
/// over HTTP/1.1.
const ALPN: &[u8] = b"http/1.1";

/// Tickets that a client gets for later connections; each is written when it
/// connects.
const TICKETS: usize = 1;

/// What a port's TLS is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Our certificates; the first is for clients that name nobody we are.
    pub certificates: Vec<CertificateFiles>,
    /// Certificates of the authorities of clients, PEM; absent: clients show none.
    pub client_ca: Option<PathBuf>,
    /// Whether clients have to show a certificate.
    pub client_certificates: ClientCertificates,
    /// How often the files are looked at.
    pub period: Duration,
}

/// Whether clients show certificates, where there is an authority for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They may; one that is not valid is refused.
    #[default]
    Optional,
    /// They must.
    Required,
}

/// Why TLS can't be served.
#[derive(Debug, Error)]
pub enum ServerError {
    /// A file can't be used.
    #[error("{} can't be used", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The certificate and its key don't go together, or can't be used.
    #[error("{}: the certificate or its key can't be used", path.display())]
    Certificate {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The authorities of clients can't be used.
    #[error("the authorities of clients can't be used")]
    Authorities(#[from] VerifierBuilderError),
    /// None is configured.
    #[error("no certificate is configured")]
    NoCertificate,
    /// The library can't do what we ask for.
    #[error("TLS can't be set up")]
    Setup(#[from] rustls::Error),
}

/// The server's side of TLS: shared by all connections.
pub struct Server {
    config: ServerConfig,
    tls: Arc<rustls::ServerConfig>,
    certificates: Arc<Certificates>,
    metrics: Metrics,
}

// === impl Server ===

impl Server {
    /// Reads the files.
    ///
    /// # Errors
    /// If they can't be used.
    pub fn new(config: ServerConfig) -> Result<Self, ServerError> {
        let certificates = Arc::new(Certificates::new(Set::read(&config.certificates)?));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?;
        let builder = match &config.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(authorities(path)?);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match config.client_certificates {
                    ClientCertificates::Required => verifier,
                    ClientCertificates::Optional => verifier.allow_unauthenticated(),
                };
                builder.with_client_cert_verifier(verifier.build()?)
            }
        };
        let mut tls = builder.with_cert_resolver(certificates.clone());
        tls.alpn_protocols = vec![ALPN.to_vec()];
        // Without a cache of ours: the client holds what resumes its session, sealed.
        tls.ticketer = Ticketer::new()?;
        tls.send_tls13_tickets = TICKETS;
        tls.max_early_data_size = 0;
        let this = Self {
            config,
            tls: Arc::new(tls),
            certificates,
            metrics: Metrics::new(),
        };
        this.publish();
        Ok(this)
    }

    /// What connections are made with.
    pub fn tls(&self) -> Arc<rustls::ServerConfig> {
        self.tls.clone()
    }

    /// Reads the certificates again; whether they are others than before. Authorities
    /// of clients are read at the start only.
    ///
    /// # Errors
    /// If they can't be used; the old ones stay.
    pub fn reload(&self) -> Result<bool, ServerError> {
        let read = Set::read(&self.config.certificates);
        let outcome = read.map(|set| self.certificates.replace(set));
        self.metrics.looked(&outcome);
        self.publish();
        outcome
    }

    /// Does so again and again, until it is dropped.
    pub async fn keep_fresh(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.config.period).await;
            let this = self.clone();
            match tokio::task::spawn_blocking(move || this.reload()).await {
                Ok(Ok(false)) => {}
                Ok(Ok(true)) => tracing::info!("the certificates have changed"),
                Ok(Err(error)) => {
                    let reason = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, reason, "the certificates stay as they are");
                }
                Err(error) => tracing::error!(%error, "reading certificates failed"),
            }
        }
    }

    fn publish(&self) {
        let left = self.certificates.left(SystemTime::now());
        self.metrics.expires_in(left);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
