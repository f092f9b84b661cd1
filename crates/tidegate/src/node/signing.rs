//! The keys that sign tokens, in a process: published, and read again.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use auth::{IssuerId, SigningKeys, Verifier};
use lifecycle::Scope;
use telemetry::Page;

use crate::config::Config;

/// How often the files of keys are read again. Cheap, and far shorter than the time
/// from a key's publication to its first signature.
const INTERVAL: Duration = Duration::from_secs(30);

/// How long verifiers may keep the public keys.
const MAX_AGE: Duration = Duration::from_secs(300);

/// What reading the files again needs.
struct Following {
    config: Config,
    keys: Arc<SigningKeys>,
    verifier: Arc<Verifier>,
}

/// The page with the public keys (RFC 7517 section 8.5).
pub(super) fn page(keys: &Arc<SigningKeys>) -> Page {
    let keys = keys.clone();
    Page {
        path: "/.well-known/jwks.json",
        content_type: "application/jwk-set+json",
        max_age: MAX_AGE,
        render: Arc::new(move || keys.jwks()),
    }
}

/// Takes tokens that these keys sign in this process, and reads the files again and
/// again; what can't be used is said and changes nothing.
///
/// # Errors
/// If the keys and those of `auth.key` can't be used together.
pub(super) fn follow(
    config: &Config,
    keys: Arc<SigningKeys>,
    verifier: &Arc<Verifier>,
    scope: &Scope,
) -> Result<()> {
    let following = Following {
        config: config.clone(),
        keys,
        verifier: verifier.clone(),
    };
    following.trust()?;
    let mut entries = config.control.signing_key.iter();
    if entries.any(|entry| entry.file.is_some()) {
        scope.spawn_cancellable("signing-keys", Arc::new(following).run());
    }
    Ok(())
}

// === impl Following ===

impl Following {
    async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let this = self.clone();
            match tokio::task::spawn_blocking(move || this.reread()).await {
                Ok(Ok(true)) => tracing::info!("the signing keys have changed"),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "the signing keys stay as they are");
                }
                Err(error) => tracing::error!(%error, "reading the signing keys failed"),
            }
        }
    }

    /// Takes what the files hold now, and says whether that is something else.
    fn reread(&self) -> Result<bool> {
        let read = self.config.read_signing_keys()?;
        let changed = self.keys.replace(&read, SystemTime::now());
        let changed = changed.context("control.signing_key")?;
        if changed {
            self.trust()?;
        }
        Ok(changed)
    }

    fn trust(&self) -> Result<()> {
        let keys = self.config.auth.keys_and(self.keys.verifying())?;
        self.verifier.replace_keys(IssuerId::FIRST, keys);
        Ok(())
    }
}
