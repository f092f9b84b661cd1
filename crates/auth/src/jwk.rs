//! Public keys as others write them: JWK, sets of them (RFC 7517, RFC 7518 section
//! 6, RFC 8037) and PEM. What we have no use for is passed over, as an issuer may
//! have keys for other things; a set that is no set is an error.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rsa::PublicEncryptingKey,
    signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
        RsaPublicKeyComponents,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::{
    Algorithm,
    key::{Check, VerifyingKey},
};

/// Longest `kid`, in bytes: they are compared with what strangers send.
const MAX_ID_BYTES: usize = 255;

/// Bits of the modulus: fewer are too weak (RFC 7518 section 3.3), more cost too
/// much to verify.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// Bytes of a coordinate of P-256.
const P256_BYTES: usize = 32;

/// Why a text gives no public keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PublicKeysError {
    /// Neither JSON with `keys`, nor a JWK, nor PEM.
    #[error("neither a set of JWKs, nor a JWK, nor PEM")]
    Malformed,
    /// More than `KeySet::MAX_PUBLIC_KEYS`.
    #[error("too many keys")]
    TooMany,
    /// None of the keys is of an algorithm that is allowed.
    #[error("none of the keys can be used")]
    Useless,
}

/// A key, as far as we look at it (RFC 7517 section 4).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

/// Reads the keys of `text` that are for one of `allowed`.
pub(crate) fn read(
    text: &str,
    allowed: &[Algorithm],
    max: usize,
) -> Result<Vec<VerifyingKey>, PublicKeysError> {
    let keys = match text.trim_start().starts_with('{') {
        true => read_json(text, allowed, max)?,
        false => read_pem(text, allowed, max)?,
    };
    match keys.is_empty() {
        true => Err(PublicKeysError::Useless),
        false => Ok(keys),
    }
}

/// Reads one JWK that is for `algorithm`.
pub(crate) fn read_one(text: &str, algorithm: Algorithm) -> Option<VerifyingKey> {
    let jwk: Jwk = serde_json::from_str(text).ok()?;
    jwk.verifying(&[algorithm])
}

/// Reads one public key in PEM that is for `algorithm`.
pub(crate) fn read_one_pem(text: &str, algorithm: Algorithm) -> Option<ParsedPublicKey> {
    let text = text.as_bytes();
    let key = match algorithm {
        Algorithm::EdDsa => DecodingKey::from_ed_pem(text),
        Algorithm::Es256 => DecodingKey::from_ec_pem(text),
        Algorithm::Rs256 => DecodingKey::from_rsa_pem(text),
        Algorithm::Hs256 => return None,
    };
    parse(algorithm, key.ok()?.try_get_as_bytes().ok()?)
}

/// Takes the bytes of a public key: 32 for EdDSA, an uncompressed point for ES256,
/// DER for RS256.
pub(crate) fn parse(algorithm: Algorithm, bytes: &[u8]) -> Option<ParsedPublicKey> {
    let key = match algorithm {
        Algorithm::EdDsa => ParsedPublicKey::new(&ED25519, bytes),
        Algorithm::Es256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes),
        Algorithm::Rs256 => ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, bytes),
        Algorithm::Hs256 => return None,
    };
    key.ok()
        .filter(|key| algorithm != Algorithm::Rs256 || has_fit_size(key))
}

fn has_fit_size(key: &ParsedPublicKey) -> bool {
    let der: Result<PublicKeyX509Der<'_>, _> = key.as_der();
    der.ok()
        .and_then(|der| PublicEncryptingKey::from_der(der.as_ref()).ok())
        .is_some_and(|key| RSA_BITS.contains(&key.key_size_bits()))
}

fn read_json(
    text: &str,
    allowed: &[Algorithm],
    max: usize,
) -> Result<Vec<VerifyingKey>, PublicKeysError> {
    let mut json: Value = serde_json::from_str(text).map_err(|_| PublicKeysError::Malformed)?;
    let jwks = match json.get_mut("keys").map(Value::take) {
        Some(Value::Array(jwks)) => jwks,
        None if json.get("kty").is_some() => vec![json],
        _ => return Err(PublicKeysError::Malformed),
    };
    if jwks.len() > max {
        return Err(PublicKeysError::TooMany);
    }
    let read = |jwk| serde_json::from_value::<Jwk>(jwk).ok()?.verifying(allowed);
    Ok(jwks.into_iter().filter_map(read).collect())
}

fn read_pem(
    text: &str,
    allowed: &[Algorithm],
    max: usize,
) -> Result<Vec<VerifyingKey>, PublicKeysError> {
    const BEGIN: &str = "-----BEGIN ";
    let mut keys = Vec::new();
    let mut blocks = text.match_indices(BEGIN).map(|(at, _)| at).peekable();
    if blocks.peek().is_none() {
        return Err(PublicKeysError::Malformed);
    }
    while let Some(begin) = blocks.next() {
        let end = blocks.peek().copied().unwrap_or(text.len());
        let block = &text[begin..end];
        let read = |&algorithm| Some((algorithm, read_one_pem(block, algorithm)?));
        let Some((algorithm, key)) = allowed.iter().find_map(read) else {
            continue;
        };
        if keys.len() == max {
            return Err(PublicKeysError::TooMany);
        }
        keys.push(VerifyingKey {
            id: None,
            algorithm,
            check: Check::Signature(key),
        });
    }
    Ok(keys)
}

// === impl Jwk ===

impl Jwk {
    /// The key, if it is one that verifies what one of `allowed` signs. Never a
    /// secret one: who can read a set could sign with it.
    fn verifying(&self, allowed: &[Algorithm]) -> Option<VerifyingKey> {
        let algorithm = match (&*self.kty, self.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
            ("EC", Some("P-256")) => Algorithm::Es256,
            ("RSA", None) => Algorithm::Rs256,
            _ => return None,
        };
        let says =
            |said: &Option<String>, wanted: &str| said.as_deref().is_none_or(|said| said == wanted);
        let verifies = |operations: &Vec<String>| operations.iter().any(|one| one == "verify");
        let fits = allowed.contains(&algorithm)
            && says(&self.alg, algorithm.name())
            && says(&self.purpose, "sig")
            && self.key_ops.as_ref().is_none_or(verifies)
            && self.kid.as_ref().is_none_or(|id| id.len() <= MAX_ID_BYTES);
        let key = fits.then(|| self.parse(algorithm))??;
        Some(VerifyingKey {
            id: self.kid.as_deref().map(Into::into),
            algorithm,
            check: Check::Signature(key),
        })
    }

    fn parse(&self, algorithm: Algorithm) -> Option<ParsedPublicKey> {
        match algorithm {
            Algorithm::EdDsa => parse(algorithm, &decode(&self.x)?),
            Algorithm::Es256 => {
                let (x, y) = (decode(&self.x)?, decode(&self.y)?);
                if [x.len(), y.len()] != [P256_BYTES; 2] {
                    return None;
                }
                // An uncompressed point (SEC 1 section 2.3.3).
                parse(algorithm, &[&[4], &*x, &*y].concat())
            }
            Algorithm::Rs256 => {
                let (n, e) = (decode(&self.n)?, decode(&self.e)?);
                // Some write a zero before a first bit that is set.
                let n = n.strip_prefix(&[0]).unwrap_or(&n);
                let components = RsaPublicKeyComponents { n, e: &*e };
                let key = components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256);
                key.ok().filter(has_fit_size)
            }
            Algorithm::Hs256 => None,
        }
    }
}

fn decode(part: &Option<String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part.as_deref()?).ok()
}

#[cfg(test)]
mod tests;
