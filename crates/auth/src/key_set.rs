//! The keys that tokens may be signed with.

use thiserror::Error;

use crate::{Algorithm, KeyConfig, KeyError, TokenError, key::VerifyingKey};

/// All keys of a verifier, decoded once. Keys from elsewhere, such as a JWKS
/// address, would be another way to build one.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<VerifyingKey>);

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
        Ok(Self(keys))
    }

    /// The keys that may have signed a token with this header: the one it names
    /// or, if it names none, all of its algorithm.
    pub(crate) fn candidates(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<impl Iterator<Item = &VerifyingKey>, TokenError> {
        let named = match id {
            Some(_) => Some(
                self.0
                    .iter()
                    .find(|key| key.id.as_deref() == id)
                    .ok_or(TokenError::UnknownKey)?,
            ),
            None => None,
        };
        let fits = move |key: &&VerifyingKey| key.algorithm == algorithm;
        let all = if named.is_some() {
            &[]
        } else {
            self.0.as_slice()
        };
        let mut candidates = named.into_iter().chain(all).filter(fits).peekable();
        if candidates.peek().is_none() {
            Err(TokenError::Algorithm)
        } else {
            Ok(candidates)
        }
    }
}

#[cfg(test)]
mod tests;
