//! The configuration's part about the tokens that the control plane issues.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, ensure};
use auth::{Algorithm, KeyConfig, KeyMaterial, Rotation, SigningKey, SigningKeys};
use control::Lifetimes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Config, Secret};

/// Longest key file, in bytes; keys are far shorter.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// Tokens that the control plane issues.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TokensConfig {
    /// How long tokens last if the caller does not say.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub default_lifetime: Duration,
    /// How long they last at most; a longer one is hard to take back.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub max_lifetime: Duration,
    /// How long a key that comes while the process runs is published before it
    /// signs: longer than verifiers keep their copies.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub key_activation: Duration,
}

/// An Ed25519 key that signs tokens.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SigningKeyEntry {
    /// The `kid` that tokens name it by; absent: its thumbprint (RFC 7638).
    pub id: Option<String>,
    /// The file that holds it, PEM (PKCS #8) or base64url; read again and again.
    pub file: Option<PathBuf>,
    /// Or the key itself.
    pub private_key: Option<Secret>,
    /// It does not sign before, e.g. `2026-08-01T00:00:00Z`; absent: it may at once,
    /// and one that comes later after `control.tokens.key_activation`.
    #[serde(with = "humantime_serde", default)]
    #[schemars(with = "Option<String>")]
    pub not_before: Option<SystemTime>,
}

// === impl Config ===

impl Config {
    /// The keys that sign the tokens of the control plane: its own, or the first of
    /// `auth.key` that can. Absent: there is none.
    ///
    /// # Errors
    /// If one of them can't be read.
    pub fn signing(&self) -> Result<Option<SigningKeys>> {
        if self.control.signing_key.is_empty() {
            let key = self.auth.signing_key();
            let fixed = key.map(|key| SigningKeys::fixed(&key)).transpose();
            return fixed.context("auth.key");
        }
        let keys = SigningKeys::new(&self.read_signing_keys()?, self.control.tokens.rotation());
        keys.context("control.signing_key").map(Some)
    }

    /// `control.signing_key` as it is now, with what its files hold.
    ///
    /// # Errors
    /// If a file can't be read.
    pub fn read_signing_keys(&self) -> Result<Vec<SigningKey>> {
        let entries = self.control.signing_key.iter();
        entries.map(SigningKeyEntry::read).collect()
    }
}

// === impl TokensConfig ===

impl TokensConfig {
    /// How long tokens last.
    pub fn lifetimes(&self) -> Lifetimes {
        Lifetimes {
            default: self.default_lifetime,
            max: self.max_lifetime,
        }
    }

    fn rotation(&self) -> Rotation {
        Rotation {
            activation: self.key_activation,
            keep: self.max_lifetime,
        }
    }
}

impl Default for TokensConfig {
    fn default() -> Self {
        let Lifetimes { default, max } = Lifetimes::default();
        Self {
            default_lifetime: default,
            max_lifetime: max,
            // Twice as long as the answer with the public keys may be kept.
            key_activation: Duration::from_secs(600),
        }
    }
}

// === impl SigningKeyEntry ===

impl SigningKeyEntry {
    fn read(&self) -> Result<SigningKey> {
        let text = match (&self.file, &self.private_key) {
            (Some(file), None) => read_short(file)
                .with_context(|| format!("control.signing_key: {}", file.display()))?,
            (None, Some(key)) => key.expose().to_owned(),
            _ => anyhow::bail!("control.signing_key: needs either file or private_key"),
        };
        Ok(SigningKey {
            key: KeyConfig {
                id: self.id.clone(),
                algorithm: Algorithm::EdDsa,
                secret: None,
                public_key: None,
                private_key: Some(KeyMaterial::new(text)),
            },
            not_before: self.not_before,
        })
    }
}

fn read_short(file: &Path) -> Result<String> {
    let length = fs::metadata(file)?.len();
    ensure!(length <= MAX_FILE_BYTES, "is too long for a key");
    fs::read_to_string(file).map_err(|error: io::Error| error.into())
}
