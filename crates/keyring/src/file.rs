//! The keys of an issuer that are in a file, which may change.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use auth::{Algorithm, IssuerId, KeySet, PublicKeysError, Verifier};
use tokio::{task::spawn_blocking, time::sleep};

use crate::{
    fetch::{FetchError, MAX_BYTES},
    metrics::SourceMetrics,
};

/// Reads a file again and again.
pub(crate) struct KeyFile {
    issuer: IssuerId,
    name: Box<str>,
    path: PathBuf,
    algorithms: Box<[Algorithm]>,
    period: Duration,
    text: String,
    metrics: SourceMetrics,
}

// === impl KeyFile ===

impl KeyFile {
    /// Reads it for the first time; blocks meanwhile.
    pub(crate) fn open(
        issuer: IssuerId,
        name: &str,
        path: PathBuf,
        algorithms: &[Algorithm],
        period: Duration,
        verifier: &Verifier,
    ) -> Result<Self, FetchError> {
        let mut file = Self {
            issuer,
            name: name.into(),
            text: read(&path)?,
            path,
            algorithms: algorithms.into(),
            period,
            metrics: SourceMetrics::new(name),
        };
        let text = std::mem::take(&mut file.text);
        file.take(text, verifier)?;
        Ok(file)
    }

    /// Takes what the file becomes; never ends.
    pub(crate) async fn keep_fresh(mut self, verifier: &Verifier) {
        let mut wrong = String::new();
        loop {
            sleep(self.period).await;
            let path = self.path.clone();
            let read = spawn_blocking(move || read(&path)).await;
            let text = match read.expect("reading a file does not panic") {
                Ok(text) if text == self.text || text == wrong => continue,
                Ok(text) => text,
                // It may be on its way: editors and mounts replace files in steps.
                Err(error) => {
                    self.complain(&error);
                    continue;
                }
            };
            if let Err(error) = self.take(text.clone(), verifier) {
                self.complain(&error);
                wrong = text;
            }
        }
    }

    fn take(&mut self, text: String, verifier: &Verifier) -> Result<(), FetchError> {
        let keys = KeySet::read_public(&text, &self.algorithms)?;
        self.metrics.updated(keys.len());
        let path = self.path.display();
        tracing::info!(issuer = &*self.name, %path, keys = keys.len(), "keys were read");
        verifier.replace_keys(self.issuer, keys);
        self.text = text;
        Ok(())
    }

    fn complain(&self, error: &FetchError) {
        self.metrics.failed(error);
        let path = self.path.display();
        tracing::warn!(issuer = &*self.name, %path, %error, "keys could not be read anew");
    }
}

fn read(path: &Path) -> Result<String, FetchError> {
    let file = File::open(path).map_err(FetchError::File)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(FetchError::File)?;
    if bytes.len() > MAX_BYTES {
        return Err(FetchError::TooLarge);
    }
    String::from_utf8(bytes).map_err(|_| PublicKeysError::Malformed.into())
}
