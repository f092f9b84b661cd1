//! A verifier whose keys are kept fresh.

use std::{
    fmt, io,
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use auth::{Algorithm, Identity, IssuerId, TokenError, Verifier};
use futures_util::future::{join, join_all};
use hyper::Uri;
use parking_lot::Mutex;
use thiserror::Error;

use crate::{
    fetch::{FetchError, Fetcher},
    file::KeyFile,
    remote::Remote,
};

/// Verifies tokens, and fetches keys where they are missing.
pub struct Keyring {
    verifier: Arc<Verifier>,
    remotes: Vec<Remote>,
    /// Until it runs.
    files: Mutex<Vec<KeyFile>>,
}

/// Where the keys of an issuer come from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Whose keys they are.
    pub issuer: IssuerId,
    /// The issuer's name, for metrics and logs.
    pub name: String,
    /// What its keys may be for; others are passed over.
    pub algorithms: Vec<Algorithm>,
    /// Where they are.
    pub origin: Origin,
}

/// A place where keys are.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A file with PEM, a JWK or a set of them.
    File(PathBuf),
    /// An address that answers with a set of JWKs: `https`, or `http` on this
    /// machine alone.
    Url(String),
}

/// How keys are kept fresh.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Certificates that addresses must show, in PEM; absent: the system's.
    pub ca_file: Option<PathBuf>,
    /// Between fetches; shorter where an answer's `max-age` is, but a minute at
    /// least. Default: 15 minutes.
    pub refresh: Duration,
    /// Least time between fetches for unknown keys, of each issuer. Default: 10 s.
    pub gap: Duration,
    /// For a fetch. Default: 5 s.
    pub deadline: Duration,
    /// How often files are looked at. Default: 5 s.
    pub poll: Duration,
}

/// Why a keyring could not be made.
#[derive(Debug, Error)]
pub enum KeyringError {
    /// Not an address, or one without TLS that is not this machine's.
    #[error("{0} is no https address, nor an http address of this machine")]
    Url(String),
    /// The certificates to trust can't be used.
    #[error("{path} can't be used")]
    Certificates {
        /// Where they were looked for.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file has no keys.
    #[error("{path} has no keys")]
    File {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: FetchError,
    },
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// It is not valid.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It is of a key that we do not have, and its issuer can't be asked now.
    #[error("the key of the token can't be fetched now")]
    Unavailable,
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            ca_file: None,
            refresh: Duration::from_secs(15 * 60),
            gap: Duration::from_secs(10),
            deadline: Duration::from_secs(5),
            poll: Duration::from_secs(5),
        }
    }
}

// === impl Keyring ===

impl Keyring {
    /// A keyring of this verifier; reads the files and fetches nothing yet.
    ///
    /// # Errors
    /// If a file has no keys, an address is none, or certificates can't be read.
    pub fn new(
        verifier: Arc<Verifier>,
        sources: &[Source],
        settings: &Settings,
    ) -> Result<Self, KeyringError> {
        let mut fetcher = None;
        let (mut remotes, mut files) = (Vec::new(), Vec::new());
        for source in sources {
            let (issuer, name, algorithms) = (source.issuer, &*source.name, &*source.algorithms);
            match &source.origin {
                Origin::File(path) => {
                    let (path, poll) = (path.clone(), settings.poll);
                    let file =
                        KeyFile::open(issuer, name, path.clone(), algorithms, poll, &verifier);
                    files.push(file.map_err(|source| KeyringError::File { path, source })?);
                }
                Origin::Url(url) => {
                    let url = parse_url(url)?;
                    let fetcher = match &fetcher {
                        Some(fetcher) => fetcher,
                        // Certificates are read only where somebody needs them.
                        None => fetcher.insert(Fetcher::new(
                            settings.ca_file.as_deref(),
                            settings.deadline,
                        )?),
                    };
                    let fetcher = fetcher.clone();
                    remotes.push(Remote::new(
                        issuer, name, url, algorithms, fetcher, settings,
                    ));
                }
            }
        }
        Ok(Self {
            verifier,
            remotes,
            files: Mutex::new(files),
        })
    }

    /// A keyring whose keys never change.
    pub fn fixed(verifier: Arc<Verifier>) -> Self {
        Self {
            verifier,
            remotes: Vec::new(),
            files: Mutex::default(),
        }
    }

    /// What it verifies with.
    pub fn verifier(&self) -> &Arc<Verifier> {
        &self.verifier
    }

    /// Verifies `token` as of `now`. Waits only for keys that are not known and may
    /// be looked for now, for half a second longer than a fetch may take at most.
    ///
    /// # Errors
    /// If the token is not valid, or its key can't be fetched now.
    pub async fn verify(&self, token: &str, now: SystemTime) -> Result<Identity, VerifyError> {
        match self.verifier.verify(token, now) {
            Err(TokenError::UnknownKey) => {}
            verdict => return Ok(verdict?),
        }
        let Some((issuer, id)) = self.verifier.unknown_key(token) else {
            // The keys have changed meanwhile.
            return Ok(self.verifier.verify(token, now)?);
        };
        let remote = self.remotes.iter().find(|remote| remote.issuer == issuer);
        let remote = remote.ok_or(TokenError::UnknownKey)?;
        let asked_since = remote.look_for(&id).await?;
        match self.verifier.verify(token, now) {
            // The key may be newer than the answer.
            Err(TokenError::UnknownKey) if !asked_since => Err(VerifyError::Unavailable),
            Err(TokenError::UnknownKey) => {
                remote.remember(&id);
                Err(TokenError::UnknownKey.into())
            }
            verdict => Ok(verdict?),
        }
    }

    /// Keeps the keys fresh; never ends. To be called once.
    pub async fn run(self: Arc<Self>) {
        let files = std::mem::take(&mut *self.files.lock());
        let files = files
            .into_iter()
            .map(|file| file.keep_fresh(&self.verifier));
        let remotes = self
            .remotes
            .iter()
            .map(|remote| remote.keep_fresh(&self.verifier));
        join(join_all(files), join_all(remotes)).await;
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("remotes", &self.remotes.len())
            .finish_non_exhaustive()
    }
}

fn parse_url(text: &str) -> Result<Uri, KeyringError> {
    let refused = || KeyringError::Url(text.to_owned());
    let url: Uri = text.parse().map_err(|_| refused())?;
    let host = url.host().ok_or_else(refused)?;
    let here = || {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    };
    match url.scheme_str() {
        Some("https") => Ok(url),
        Some("http") if here() => Ok(url),
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_tls_or_are_of_this_machine() {
        for url in [
            "https://issuer.example/keys",
            "http://127.0.0.1:8080/keys",
            "http://[::1]/keys",
            "http://localhost/keys",
        ] {
            assert!(parse_url(url).is_ok(), "{url}");
        }
        for url in [
            "http://issuer.example/keys",
            "http://localhost.example/keys",
            "http://10.0.0.1/keys",
            "ftp://localhost/keys",
            "/keys",
            "",
        ] {
            assert!(parse_url(url).is_err(), "{url}");
        }
    }
}
