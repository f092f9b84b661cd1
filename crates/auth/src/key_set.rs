//! The keys that tokens may be signed with.

use std::sync::Arc;

use thiserror::Error;

use crate::{Algorithm, KeyConfig, KeyError, PublicKeysError, TokenError, jwk, key::VerifyingKey};

/// All keys of an issuer, decoded once.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Arc<[VerifyingKey]>);

/// Why a list of keys cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeySetError {
    /// One of them cannot be used.
    #[error("key {index} cannot be used")]
    Key {
        /// Which one, from 0.
        index: usize,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The id of this key is taken by one before it.
    #[error("key {index} has the id of another key")]
    DuplicateId {
        /// Which one, from 0.
        index: usize,
    },
}

// === impl KeySet ===

impl KeySet {
    /// Most keys of a set that is read with [`Self::read_public`].
    pub const MAX_PUBLIC_KEYS: usize = 64;

    /// Decodes all keys.
    ///
    /// # Errors
    /// If a key cannot be used, or two have the same id.
    pub fn new(configs: &[KeyConfig]) -> Result<Self, KeySetError> {
        let mut keys: Vec<VerifyingKey> = Vec::with_capacity(configs.len());
        for (index, config) in configs.iter().enumerate() {
            let key = config
                .verifying()
                .map_err(|source| KeySetError::Key { index, source })?;
            if key.id.is_some() && keys.iter().any(|other| other.id == key.id) {
                return Err(KeySetError::DuplicateId { index });
            }
            keys.push(key);
        }
        Ok(Self(keys.into()))
    }

    /// Reads the public keys that others publish: a set of JWKs (RFC 7517 section 5),
    /// one JWK, or PEM. Keys for anything but to verify with one of `allowed` are
    /// passed over, secret ones always.
    ///
    /// # Errors
    /// If it is none of these, has too many keys, or none that can be used.
    pub fn read_public(text: &str, allowed: &[Algorithm]) -> Result<Self, PublicKeysError> {
        let keys = jwk::read(text, allowed, Self::MAX_PUBLIC_KEYS)?;
        Ok(Self(keys.into()))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys that may have signed a token with this header: those of its
    /// algorithm that it names or, if it names none, all of its algorithm.
    pub(crate) fn candidates(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<impl Iterator<Item = &VerifyingKey>, TokenError> {
        let named = move |key: &&VerifyingKey| id.is_none() || key.id.as_deref() == id;
        // Those without any may get some.
        if self.is_empty() || !self.0.iter().any(|key| named(&key)) {
            return Err(TokenError::UnknownKey);
        }
        let fits = move |key: &&VerifyingKey| named(key) && key.algorithm == algorithm;
        let mut candidates = self.0.iter().filter(fits).peekable();
        if candidates.peek().is_none() {
            Err(TokenError::Algorithm)
        } else {
            Ok(candidates)
        }
    }
}

#[cfg(test)]
mod tests;
