//! From the text of a key to something that signs and verifies.

use std::fmt;

use aws_lc_rs::{
    encoding::AsBigEndian,
    hmac,
    signature::{Ed25519KeyPair, KeyPair as _, ParsedPublicKey},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::EncodingKey;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{Algorithm, KeyConfig, KeyMaterial, jwk};

/// Bytes of an Ed25519 public key, and of the seed of a private one.
const ED25519_BYTES: usize = 32;

/// A shorter secret would be weaker than the hash (RFC 7518 section 3.2).
pub(crate) const MIN_SECRET_BYTES: usize = 32;

/// A new Ed25519 key pair, for development and tests.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// Signs: holds the private key.
    pub signing: KeyConfig,
    /// Verifies: holds the public key alone.
    pub verifying: KeyConfig,
}

/// Why a configured key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// This key needs something that is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The algorithm has no use for this.
    #[error("{0} does not belong to this algorithm")]
    Unexpected(&'static str),
    /// Neither base64url nor, where that is allowed, PEM.
    #[error("{0} is neither base64url nor PEM")]
    Encoding(&'static str),
    /// Too short to be safe.
    #[error("secret is shorter than {MIN_SECRET_BYTES} bytes")]
    ShortSecret,
    /// Readable, but not a key of the algorithm: of another kind, on another curve, or
    /// of RSA with less than 2048 or more than 4096 bits.
    #[error("{name} is not a key for {}", algorithm.name())]
    WrongKind {
        /// Where it was given.
        name: &'static str,
        /// What it was to be for.
        algorithm: Algorithm,
    },
    /// Readable, but no Ed25519 key.
    #[error("{0} is not an Ed25519 key")]
    NotEd25519(&'static str),
    /// Only EdDSA and HS256 are signed with.
    #[error("tokens are signed with EdDSA or HS256")]
    NotForSigning,
    /// The public key is not that of the private key.
    #[error("public_key and private_key do not belong together")]
    Mismatch,
}

/// A key that verifies, decoded once.
pub(crate) struct VerifyingKey {
    pub(crate) id: Option<Box<str>>,
    pub(crate) algorithm: Algorithm,
    pub(crate) check: Check,
}

/// How a signature is checked: of each kind by nothing but its own.
pub(crate) enum Check {
    /// HMAC with SHA-256.
    Secret(Box<hmac::Key>),
    /// With a public key, which knows its algorithm.
    Signature(ParsedPublicKey),
}

// === impl KeyPair ===

impl KeyPair {
    /// Makes a key pair with the id `id`.
    pub fn generate_ed25519(id: &str) -> Self {
        let pair = Ed25519KeyPair::generate().expect("the system has randomness");
        let seed = pair.seed().expect("a new pair has its seed");
        let seed =
            URL_SAFE_NO_PAD.encode(seed.as_be_bytes().expect("a seed is plain bytes").as_ref());
        let public = URL_SAFE_NO_PAD.encode(pair.public_key());
        let config = |public_key, private_key| KeyConfig {
            id: Some(id.to_owned()),
            algorithm: Algorithm::EdDsa,
            secret: None,
            public_key,
            private_key,
        };
        Self {
            signing: config(None, Some(KeyMaterial::new(seed))),
            verifying: config(Some(KeyMaterial::new(public)), None),
        }
    }
}

// === impl KeyConfig ===

impl KeyConfig {
    /// The key that verifies.
    pub(crate) fn verifying(&self) -> Result<VerifyingKey, KeyError> {
        let algorithm = self.algorithm;
        let (name, id) = ("public_key", self.id.as_deref().map(Into::into));
        let wrong_kind = KeyError::WrongKind { name, algorithm };
        let check = match (algorithm, &self.public_key) {
            (Algorithm::Hs256, _) => Check::Secret(Box::new(hmac::Key::new(
                hmac::HMAC_SHA256,
                &self.read_secret()?,
            ))),
            (_, Some(material)) if is_json(material) => {
                self.check_public_alone()?;
                let key = jwk::read_one(material.expose(), algorithm).ok_or(wrong_kind)?;
                let id = id.or(key.id);
                return Ok(VerifyingKey { id, ..key });
            }
            (Algorithm::EdDsa, _) => {
                let key = jwk::parse(algorithm, &self.read_public_key()?);
                Check::Signature(key.ok_or(wrong_kind)?)
            }
            (Algorithm::Es256 | Algorithm::Rs256, material) => {
                self.check_public_alone()?;
                let material = material.as_ref().ok_or(KeyError::Missing(name))?;
                if !is_pem(material) {
                    return Err(KeyError::Encoding(name));
                }
                let key = jwk::read_one_pem(material.expose(), algorithm);
                Check::Signature(key.ok_or(wrong_kind)?)
            }
        };
        Ok(VerifyingKey {
            id,
            algorithm,
            check,
        })
    }

    fn check_public_alone(&self) -> Result<(), KeyError> {
        match (&self.secret, &self.private_key) {
            (Some(_), _) => Err(KeyError::Unexpected("secret")),
            (_, Some(_)) => Err(KeyError::Unexpected("private_key")),
            (None, None) => Ok(()),
        }
    }

    /// The key that signs.
    pub(crate) fn signing(&self) -> Result<EncodingKey, KeyError> {
        match self.algorithm {
            Algorithm::Hs256 => Ok(EncodingKey::from_secret(&self.read_secret()?)),
            Algorithm::Es256 | Algorithm::Rs256 => Err(KeyError::NotForSigning),
            Algorithm::EdDsa => {
                // Refuses a public key that is not its own.
                self.read_public_key()?;
                let pair = self.read_pair()?.ok_or(KeyError::Missing("private_key"))?;
                let document = pair.to_pkcs8().expect("a pair can be written");
                Ok(EncodingKey::from_ed_der(document.as_ref()))
            }
        }
    }

    /// The private key of an Ed25519 pair as PEM (PKCS #8), to be kept out of logs;
    /// absent: there is none.
    pub fn private_pem(&self) -> Option<String> {
        let pair = self.read_pair().ok()??;
        let document = pair.to_pkcs8v1().ok()?;
        let text = STANDARD.encode(document.as_ref());
        let begin = "-----BEGIN PRIVATE KEY-----";
        Some(format!("{begin}\n{text}\n-----END PRIVATE KEY-----\n"))
    }

    /// What is published of a key that signs; absent: it is a secret.
    pub(crate) fn public_bytes(&self) -> Result<Option<Vec<u8>>, KeyError> {
        match self.algorithm {
            Algorithm::EdDsa => self.read_public_key().map(Some),
            Algorithm::Hs256 | Algorithm::Es256 | Algorithm::Rs256 => Ok(None),
        }
    }

    fn read_secret(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        if self.public_key.is_some() {
            return Err(KeyError::Unexpected("public_key"));
        }
        if self.private_key.is_some() {
            return Err(KeyError::Unexpected("private_key"));
        }
        let material = self.secret.as_ref().ok_or(KeyError::Missing("secret"))?;
        let secret = decode(material).ok_or(KeyError::Encoding("secret"))?;
        if secret.len() < MIN_SECRET_BYTES {
            Err(KeyError::ShortSecret)
        } else {
            Ok(secret)
        }
    }

    fn read_public_key(&self) -> Result<Vec<u8>, KeyError> {
        const NAME: &str = "public_key";
        if self.secret.is_some() {
            return Err(KeyError::Unexpected("secret"));
        }
        let of_pair = self
            .read_pair()?
            .map(|pair| pair.public_key().as_ref().to_vec());
        let Some(material) = &self.public_key else {
            return of_pair.ok_or(KeyError::Missing(NAME));
        };
        let public = if is_pem(material) {
            let key = jwk::read_one_pem(material.expose(), Algorithm::EdDsa);
            let key = key.ok_or(KeyError::NotEd25519(NAME))?;
            key.as_ref().to_vec()
        } else {
            decode(material).ok_or(KeyError::Encoding(NAME))?.to_vec()
        };
        if public.len() != ED25519_BYTES {
            return Err(KeyError::NotEd25519(NAME));
        }
        if of_pair.is_some_and(|own| own != public) {
            Err(KeyError::Mismatch)
        } else {
            Ok(public)
        }
    }

    fn read_pair(&self) -> Result<Option<Ed25519KeyPair>, KeyError> {
        const NAME: &str = "private_key";
        let Some(material) = &self.private_key else {
            return Ok(None);
        };
        let pair = if is_pem(material) {
            let key = EncodingKey::from_ed_pem(material.expose().as_bytes())
                .map_err(|_| KeyError::NotEd25519(NAME))?;
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.as_bytes())
        } else {
            Ed25519KeyPair::from_seed_unchecked(&decode(material).ok_or(KeyError::Encoding(NAME))?)
        };
        pair.map(Some).map_err(|_| KeyError::NotEd25519(NAME))
    }
}

fn is_json(material: &KeyMaterial) -> bool {
    material.expose().trim_start().starts_with('{')
}

fn is_pem(material: &KeyMaterial) -> bool {
    material.expose().trim_start().starts_with("-----BEGIN")
}

pub(crate) fn decode(material: &KeyMaterial) -> Option<Zeroizing<Vec<u8>>> {
    // Files end with a line break, and many tools pad.
    URL_SAFE_NO_PAD
        .decode(material.expose().trim().trim_end_matches('='))
        .ok()
        .map(Zeroizing::new)
}

// === impl VerifyingKey ===

impl VerifyingKey {
    /// Whether this key has signed `message`. Takes the same time whatever is wrong
    /// with a signature of HMAC.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.check {
            Check::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Check::Signature(key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish()
    }
}
