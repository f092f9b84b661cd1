//! The configuration's part about tokens and keys.

use std::{fmt, time::Duration};

use anyhow::{Context, Result};
use auth::{
    Algorithm, KeyConfig, KeyMaterial, KeyPair, KeySet, Signer, TicketKey, TicketKeys,
    VerifierConfig,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

/// Tokens: who issues them, and the keys that sign and verify them.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// The `iss` that tokens must have; absent: any or none.
    pub issuer: Option<String>,
    /// The `aud` that tokens must have; absent: they must have none.
    pub audience: Option<String>,
    /// How much the clocks of issuers may differ from ours.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub leeway: Duration,
    /// Keys that verify tokens. The first with a `private_key` or `secret` also
    /// signs those that the control plane issues.
    pub key: Vec<KeyEntry>,
    /// Secrets that seal session tickets, the same at all gateways: 32 bytes at
    /// least, in base64url. The first seals, all open, so that they can be
    /// changed. None: a random one for each process, and no session outlives
    /// its gateway.
    pub ticket_secrets: Vec<Secret>,
}

/// A key. Its algorithm is pinned: a token that names another one is refused.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// The `kid` that tokens name it by.
    pub id: Option<String>,
    /// What it is for.
    pub algorithm: KeyAlgorithm,
    /// HS256: at least 32 bytes in base64url.
    pub secret: Option<Secret>,
    /// EdDSA: 32 bytes in base64url, or PEM.
    pub public_key: Option<String>,
    /// EdDSA, to sign as well: the seed of 32 bytes in base64url, or PEM.
    pub private_key: Option<Secret>,
}

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum KeyAlgorithm {
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// HMAC with SHA-256.
    #[serde(rename = "HS256")]
    Hs256,
}

/// A text that is never printed.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

// === impl AuthConfig ===

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: None,
            leeway: Duration::from_secs(10),
            key: Vec::new(),
            ticket_secrets: Vec::new(),
        }
    }
}

impl AuthConfig {
    /// The keys that verify.
    ///
    /// # Errors
    /// If one of them can't be read.
    pub fn keys(&self) -> Result<KeySet> {
        let keys: Vec<KeyConfig> = self.key.iter().map(KeyEntry::config).collect();
        KeySet::new(&keys).context("auth.key")
    }

    /// The keys of session tickets; without a secret one of this process alone.
    ///
    /// # Errors
    /// If a secret can't be read.
    pub fn tickets(&self) -> Result<TicketKeys> {
        let key = |secret: &Secret| TicketKey::new(&KeyMaterial::new(secret.expose()));
        let keys: Result<Vec<_>, _> = self.ticket_secrets.iter().map(key).collect();
        keys.map(TicketKeys::new).context("auth.ticket_secrets")
    }

    /// What is asked of tokens beside a signature.
    pub fn verifier(&self) -> VerifierConfig {
        VerifierConfig {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            leeway: self.leeway,
            ..VerifierConfig::default()
        }
    }

    /// Signs the tokens that the control plane issues; absent: no key can.
    ///
    /// # Errors
    /// If the key can't be read.
    pub fn signer(&self) -> Result<Option<Signer>> {
        let can_sign = |key: &&KeyEntry| key.secret.is_some() || key.private_key.is_some();
        let Some(key) = self.key.iter().find(can_sign) else {
            return Ok(None);
        };
        Signer::from_key(&key.config())
            .context("auth.key")
            .map(Some)
    }

    /// Adds a key that nobody else has and that ends with the process, if no
    /// key can sign yet.
    ///
    /// # Errors
    /// If a key that is there can't be read.
    pub fn add_generated_key(&mut self) -> Result<()> {
        if self.signer()?.is_none() {
            let KeyPair { signing, .. } = KeyPair::generate_ed25519("dev");
            let private_key = signing
                .private_key
                .map(|key| Secret(key.expose().to_owned()));
            let (algorithm, id) = (KeyAlgorithm::EdDsa, signing.id);
            self.key.push(KeyEntry {
                id,
                algorithm,
                secret: None,
                public_key: None,
                private_key,
            });
        }
        Ok(())
    }
}

// === impl KeyEntry ===

impl KeyEntry {
    fn config(&self) -> KeyConfig {
        let secret =
            |secret: &Option<Secret>| secret.as_ref().map(|text| KeyMaterial::new(&text.0));
        KeyConfig {
            id: self.id.clone(),
            algorithm: match self.algorithm {
                KeyAlgorithm::EdDsa => Algorithm::EdDsa,
                KeyAlgorithm::Hs256 => Algorithm::Hs256,
            },
            secret: secret(&self.secret),
            public_key: self.public_key.as_ref().map(KeyMaterial::new),
            private_key: secret(&self.private_key),
        }
    }
}

// === impl Secret ===

impl Secret {
    /// The text, for those who need it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(hidden)")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}
