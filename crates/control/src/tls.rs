//! TLS at the port: who we are, who callers are, and connections that are on their
//! way to it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::RwLock;
use thiserror::Error;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig, ServerConnection,
        crypto::aws_lc_rs,
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{self, PemObject},
        },
        server::{VerifierBuilderError, WebPkiClientVerifier},
    },
    server::TlsStream,
};
use webpki::EndEntityCert;

/// How long a handshake may take: callers are near, and have nothing to think about.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often files are read again.
const INTERVAL: Duration = Duration::from_secs(30);

/// Longest file, in bytes: some hundred certificates.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Names of a certificate that are looked at; more are passed over.
const MAX_NAMES: usize = 32;

/// The files that TLS is made of, all PEM. They are read again every 30 s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Our certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Certificates of the authorities of callers; absent: callers show none.
    pub client_ca: Option<PathBuf>,
    /// Refuse callers without a certificate before they have said anything.
    pub client_required: bool,
}

/// Why TLS can't be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("{}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// The certificate and the key can't be used.
    #[error("{}: the certificate or its key can't be used", path.display())]
    Certificate {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The authorities can't be used.
    #[error("{}: the authorities can't be used", path.display())]
    Authorities {
        /// Their file.
        path: PathBuf,
        /// Why.
        source: VerifierBuilderError,
    },
}

/// Makes connections of sockets.
#[derive(Clone)]
pub(crate) struct Tls {
    files: Arc<TlsFiles>,
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

// === impl Tls ===

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// If they can't be used.
    pub(crate) fn new(files: TlsFiles) -> Result<Self, TlsError> {
        let current = RwLock::new(Arc::new(files.read()?));
        Ok(Self {
            files: Arc::new(files),
            current: Arc::new(current),
        })
    }

    /// Reads the files again and again: connections that begin afterwards have what
    /// they hold then. What can't be used is said and changes nothing.
    pub(crate) async fn follow(self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let this = self.clone();
            match tokio::task::spawn_blocking(move || this.reread()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the certificates of the control plane stay as they are");
                }
                Err(error) => tracing::error!(%error, "reading the certificates failed"),
            }
        }
    }

    fn reread(&self) -> Result<(), TlsError> {
        let read = Arc::new(self.files.read()?);
        *self.current.write() = read;
        Ok(())
    }

    /// Shakes hands, within [`HANDSHAKE_TIMEOUT`].
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.current.read().clone());
        let shaken = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await;
        shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

// === impl TlsFiles ===

impl TlsFiles {
    fn read(&self) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the provider has what TLS 1.2 and 1.3 need");
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates(path)?);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match self.client_required {
                    true => verifier.build(),
                    false => verifier.allow_unauthenticated().build(),
                };
                let path = path.clone();
                builder.with_client_cert_verifier(
                    verifier.map_err(|source| TlsError::Authorities { path, source })?,
                )
            }
        };
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?);
        let key = key.map_err(|source| failed(&self.key, source))?;
        let path = &self.certificate;
        let mut config = builder
            .with_single_cert(certificates(path)?, key)
            .map_err(|source| TlsError::Certificate {
                path: path.clone(),
                source,
            })?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

/// The names of a caller's certificate, which is verified by now: URIs and DNS names
/// of its alternative names (RFC 5280 section 4.2.1.6). A common name is none (RFC
/// 9525 section 2).
pub(crate) fn names(connection: &ServerConnection) -> Arc<[Box<str>]> {
    let certificate = connection.peer_certificates().and_then(<[_]>::first);
    let parsed = certificate.map(EndEntityCert::try_from);
    let Some(Ok(parsed)) = parsed else {
        return Arc::default();
    };
    let names = parsed.valid_uri_names().chain(parsed.valid_dns_names());
    names.take(MAX_NAMES).map(Into::into).collect()
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    all.map_err(|source| failed(path, source))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let read = || {
        if fs::metadata(path)?.len() > MAX_FILE_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        fs::read(path)
    };
    read().map_err(|error| failed(path, pem::Error::Io(error)))
}

fn failed(path: &Path, source: pem::Error) -> TlsError {
    let path = path.to_owned();
    TlsError::File { path, source }
}
