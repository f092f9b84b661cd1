//! API keys: what backends show to the control plane.

use std::fmt;

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest, rand};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// What keys begin with, so that scanners for secrets find them.
const PREFIX: &str = "tgk_";

/// Random bytes in a key: nobody guesses one, so no slow hash is needed.
const KEY_BYTES: usize = 32;

/// Bytes of a SHA-256.
const HASH_BYTES: usize = 32;

/// A key's text, `tgk_` and 43 characters of base64url. Never printed.
#[derive(Clone)]
pub struct ApiKey(String);

/// The SHA-256 of a key's text: all that a configuration holds of it. Two of them
/// are compared in a time that does not depend on where they differ.
#[derive(Clone, Copy)]
pub struct ApiKeyHash([u8; HASH_BYTES]);

// === impl ApiKey ===

impl ApiKey {
    /// Makes a new one of 32 random bytes.
    pub fn generate() -> Self {
        let mut bytes = [0; KEY_BYTES];
        rand::fill(&mut bytes).expect("the system has randomness");
        Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The text, to be kept out of logs.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the configuration holds of it.
    pub fn hash(&self) -> ApiKeyHash {
        ApiKeyHash::of(&self.0)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

// === impl ApiKeyHash ===

impl ApiKeyHash {
    /// Hashes what a caller shows, whatever it is.
    pub fn of(text: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, text.as_bytes());
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// Reads 64 hexadecimal digits, or 43 characters of base64url; absent: it is
    /// neither.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = if text.len() == 2 * HASH_BYTES {
            let digit = |pair: &[u8]| {
                let digits = std::str::from_utf8(pair).ok()?;
                // from_str_radix would take a sign.
                let is_hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                is_hexadecimal.then(|| u8::from_str_radix(digits, 16).ok())?
            };
            text.as_bytes()
                .chunks(2)
                .map(digit)
                .collect::<Option<_>>()?
        } else {
            URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?
        };
        Vec::try_into(bytes).ok().map(Self)
    }

    /// A part of it to look it up by. Nobody can make a key whose hash begins as
    /// another's by watching how long a look-up takes.
    pub fn bucket(&self) -> u64 {
        let (head, _) = self.0.split_first_chunk().expect("longer than that");
        u64::from_be_bytes(*head)
    }
}

impl PartialEq for ApiKeyHash {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for ApiKeyHash {}

impl fmt::Display for ApiKeyHash {
    /// As configurations write it: base64url.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_as_hexadecimal_and_as_base64url() {
        // printf %s abc | sha256sum
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let abc = ApiKeyHash::of("abc");
        assert_eq!(ApiKeyHash::parse(hex), Some(abc));
        assert_eq!(ApiKeyHash::parse(&abc.to_string()), Some(abc));
        assert_ne!(ApiKeyHash::of("abd"), abc);
        let signed = format!("+7{}", &hex[2..]);
        for text in ["", "abc", &hex[1..], &signed, &"é".repeat(32)] {
            assert_eq!(ApiKeyHash::parse(text), None, "{text}");
        }
    }

    #[test]
    fn keys_differ_and_are_not_printed() {
        let (one, other) = (ApiKey::generate(), ApiKey::generate());
        assert_ne!(one.hash(), other.hash());
        assert_eq!(one.expose().len(), 47);
        assert!(one.expose().starts_with("tgk_"));
        assert_eq!(format!("{one:?}"), "[redacted]");
    }
}
