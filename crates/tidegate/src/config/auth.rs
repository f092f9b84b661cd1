//! The configuration's part about tokens and keys.

use std::{fmt, time::Duration};

use anyhow::{Context, Result};
use auth::{KeyConfig, KeyMaterial, KeyPair, KeySet, TicketKey, TicketKeys, VerifierConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroize;

use super::{
    hook::HookConfig,
    issuers::{KeySources, TrustedIssuer},
};

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
    /// Others whose tokens are taken.
    pub trusted_issuer: Vec<TrustedIssuer>,
    /// How their keys are kept fresh.
    pub key_sources: KeySources,
    /// Asks workers about tokens that can't be read here; absent: they are not valid.
    pub hook: Option<HookConfig>,
    /// Clients without a token.
    pub anonymous: AnonymousConfig,
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
    /// EdDSA, ES256, RS256: PEM or a JWK; of EdDSA also 32 bytes in base64url.
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
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSA of 2048 to 4096 bits, PKCS #1 v1.5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// HMAC with SHA-256.
    #[serde(rename = "HS256")]
    Hs256,
}

/// Whether clients get in that have no token.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnonymousConfig {
    /// They do, each as a user of its own whose id begins with `anon-`. They may only
    /// use namespaces with the access `anonymous` and routes with `anonymous = true`.
    pub enabled: bool,
}

/// A text that is never printed, and overwritten when it is let go.
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
            trusted_issuer: Vec::new(),
            key_sources: KeySources::default(),
            hook: None,
            anonymous: AnonymousConfig::default(),
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
        self.keys_and(Vec::new())
    }

    /// The keys that verify, and these, unless they are among them.
    ///
    /// # Errors
    /// If one of them can't be read.
    pub fn keys_and(&self, more: Vec<KeyConfig>) -> Result<KeySet> {
        let mut keys: Vec<KeyConfig> = self.key.iter().map(KeyEntry::config).collect();
        let more = more.into_iter();
        let more = more.filter(|one| self.key.iter().all(|own| own.id != one.id));
        keys.extend(more);
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

    /// The first key that can sign; absent: none can.
    pub(super) fn signing_key(&self) -> Option<KeyConfig> {
        let can_sign = |key: &&KeyEntry| key.secret.is_some() || key.private_key.is_some();
        self.key.iter().find(can_sign).map(KeyEntry::config)
    }

    /// Adds a key that nobody else has and that ends with the process, if no
    /// key can sign yet.
    pub fn add_generated_key(&mut self) {
        if self.signing_key().is_none() {
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
    }
}

// === impl KeyEntry ===

impl KeyEntry {
    pub(super) fn config(&self) -> KeyConfig {
        let secret =
            |secret: &Option<Secret>| secret.as_ref().map(|text| KeyMaterial::new(&text.0));
        KeyConfig {
            id: self.id.clone(),
            algorithm: self.algorithm.get(),
            secret: secret(&self.secret),
            public_key: self.public_key.as_ref().map(KeyMaterial::new),
            private_key: secret(&self.private_key),
        }
    }
}

// === impl Secret ===

impl Secret {
    #[cfg(test)]
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text, for those who need it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
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
