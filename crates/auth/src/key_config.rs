//! Keys as the configuration writes them.

use std::fmt;

use serde::Deserialize;
use zeroize::Zeroize;

/// A signature algorithm (RFC 7518 section 3.1, RFC 8037), by its JWA name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub enum Algorithm {
    /// `EdDSA`: Ed25519, a private key to sign and a public one to verify.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// `ES256`: ECDSA on P-256 with SHA-256; verifies only.
    #[serde(rename = "ES256")]
    Es256,
    /// `RS256`: RSA of 2048 to 4096 bits, PKCS #1 v1.5 with SHA-256; verifies only.
    #[serde(rename = "RS256")]
    Rs256,
    /// `HS256`: HMAC with SHA-256, one secret for both.
    #[serde(rename = "HS256")]
    Hs256,
}

/// One key: `secret` for HS256; `public_key` to verify the others; for EdDSA
/// `private_key` to sign, which can verify as well.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// The key's id, `kid` in the header of tokens; absent: that of the JWK, if it is
    /// one. A key without one is tried for tokens that name none.
    #[serde(default)]
    pub id: Option<String>,
    /// The one algorithm that this key is for.
    pub algorithm: Algorithm,
    /// At least 32 bytes, base64url.
    #[serde(default)]
    pub secret: Option<KeyMaterial>,
    /// PEM (SPKI) or a JWK; of EdDSA also 32 bytes in base64url.
    #[serde(default)]
    pub public_key: Option<KeyMaterial>,
    /// The seed of 32 bytes, base64url; or PEM (PKCS #8).
    #[serde(default)]
    pub private_key: Option<KeyMaterial>,
}

/// A key's text, base64url or PEM. Never printed, and overwritten when it is let go.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct KeyMaterial(String);

// === impl Algorithm ===

impl Algorithm {
    /// Those of public keys.
    pub const PUBLIC: [Self; 3] = [Self::EdDsa, Self::Es256, Self::Rs256];

    /// The name in a token's header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::Hs256 => "HS256",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::EdDsa, Self::Es256, Self::Rs256, Self::Hs256]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    pub(crate) const fn library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
        }
    }
}

// === impl KeyMaterial ===

impl KeyMaterial {
    /// Takes base64url or PEM; checked when a key is made of it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, to be kept out of logs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for KeyMaterial {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_printed() {
        let config: KeyConfig =
            serde_json::from_str(r#"{"algorithm":"HS256","secret":"hush"}"#).expect("valid");
        assert_eq!(
            config.secret.as_ref().map(KeyMaterial::expose),
            Some("hush")
        );
        assert!(!format!("{config:?}").contains("hush"));
    }

    #[test]
    fn unknown_keys_and_algorithms_are_refused() {
        for text in [
            r#"{"algorithm":"HS256","secrte":"x"}"#,
            r#"{"algorithm":"none"}"#,
            r#"{"algorithm":"RS512","public_key":"x"}"#,
            r#"{"secret":"x"}"#,
        ] {
            assert!(serde_json::from_str::<KeyConfig>(text).is_err(), "{text}");
        }
    }
}
