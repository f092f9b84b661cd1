//! Certificates in files, and which of them a client gets.

use std::{
    collections::HashMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::RwLock;
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

use crate::ServerError;

/// Longest file, in bytes: some hundred certificates.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A certificate and its key, in files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// Our certificate and those between it and its authority, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// The certificates in force. Replaced as a whole; connections that are there keep
/// what they have.
#[derive(Debug)]
pub(crate) struct Certificates(RwLock<Arc<Set>>);

/// Some certificates.
pub(crate) struct Set {
    /// For clients that name nobody we are.
    default: Arc<CertifiedKey>,
    /// By names, as they are in the certificates: in lower case, and `*.` for one
    /// label.
    by_name: HashMap<String, Arc<CertifiedKey>>,
    /// When the first of them expires.
    expires_at: SystemTime,
}

// === impl CertificateFiles ===

impl CertificateFiles {
    fn read(&self) -> Result<CertifiedKey, ServerError> {
        let certificate = |source| ServerError::File {
            path: self.certificate.clone(),
            source,
        };
        let key = |source| ServerError::File {
            path: self.key.clone(),
            source,
        };
        let chain = CertificateDer::pem_slice_iter(&file(&self.certificate).map_err(certificate)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| certificate(io::Error::other(error)))?;
        if chain.is_empty() {
            return Err(certificate(io::ErrorKind::UnexpectedEof.into()));
        }
        let private = PrivateKeyDer::from_pem_slice(&file(&self.key).map_err(key)?)
            .map_err(|error| key(io::Error::other(error)))?;
        CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider()).map_err(|source| {
            ServerError::Certificate {
                path: self.certificate.clone(),
                source,
            }
        })
    }
}

// === impl Certificates ===

impl Certificates {
    pub(crate) fn new(set: Set) -> Self {
        Self(RwLock::new(Arc::new(set)))
    }

    /// Takes these from now on; whether they are others than before.
    pub(crate) fn replace(&self, set: Set) -> bool {
        let mut current = self.0.write();
        let is_news = !current.is_same(&set);
        *current = Arc::new(set);
        is_news
    }

    /// How long the first of them counts.
    pub(crate) fn left(&self, now: SystemTime) -> Duration {
        let expires_at = self.0.read().expires_at;
        expires_at.duration_since(now).unwrap_or_default()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let set = self.0.read().clone();
        Some(set.of(hello.server_name()).clone())
    }
}

// === impl Set ===

impl Set {
    /// Reads the files; the first ones are for clients that name nobody we are.
    pub(crate) fn read(files: &[CertificateFiles]) -> Result<Self, ServerError> {
        let mut by_name = HashMap::new();
        let mut default = None;
        let mut expires_at = None;
        for pair in files {
            let key = Arc::new(pair.read()?);
            let (names, until) = about(&key, &pair.certificate)?;
            for name in names {
                by_name.entry(name).or_insert_with(|| key.clone());
            }
            default.get_or_insert(key);
            expires_at = expires_at.into_iter().chain([until]).min();
        }
        let (Some(default), Some(expires_at)) = (default, expires_at) else {
            return Err(ServerError::NoCertificate);
        };
        Ok(Self {
            default,
            by_name,
            expires_at,
        })
    }

    fn of(&self, name: Option<&str>) -> &Arc<CertifiedKey> {
        let found = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            self.by_name.get(&name).or_else(|| {
                let (_, parent) = name.split_once('.')?;
                self.by_name.get(&format!("*.{parent}"))
            })
        });
        found.unwrap_or(&self.default)
    }

    fn is_same(&self, other: &Self) -> bool {
        let same = |one: &CertifiedKey, other: &CertifiedKey| one.cert == other.cert;
        same(&self.default, &other.default)
            && self.by_name.len() == other.by_name.len()
            && self.by_name.iter().all(|(name, key)| {
                let others = other.by_name.get(name);
                others.is_some_and(|others| same(key, others))
            })
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Set")
            .field("names", &self.by_name.keys())
            .finish_non_exhaustive()
    }
}

/// The names of a certificate, and until when it counts.
fn about(key: &CertifiedKey, path: &Path) -> Result<(Vec<String>, SystemTime), ServerError> {
    let unreadable = || ServerError::File {
        path: path.to_owned(),
        source: io::ErrorKind::InvalidData.into(),
    };
    let (_, certificate) = X509Certificate::from_der(&key.cert[0]).map_err(|_| unreadable())?;
    let names = certificate.subject_alternative_name();
    let names = names.map_err(|_| unreadable())?.into_iter();
    let names = names.flat_map(|extension| &extension.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let until = certificate.validity().not_after.timestamp();
    let until = Duration::from_secs(until.try_into().unwrap_or_default());
    Ok((names.collect(), SystemTime::UNIX_EPOCH + until))
}

fn file(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > MAX_FILE_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    fs::read(path)
}

/// The certificates in a file.
pub(crate) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    let failed = |source| ServerError::File {
        path: path.to_owned(),
        source,
    };
    CertificateDer::pem_slice_iter(&file(path).map_err(failed)?)
        .collect::<Result<_, _>>()
        .map_err(|error| failed(io::Error::other(error)))
}
