//! From the text of a token to an identity, or to the reason why not.
//!
//! The order of the checks is the rule: nothing of a token is believed before
//! its signature is.

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::de::DeserializeOwned;
use thiserror::Error;
use wire::UserId;

use crate::{
    Algorithm, Identity, KeySet, LabelError, Labels, PatternError, Patterns, Permissions,
    claims::{Claims, Header, Object},
    identity::Grants,
};

/// Longest token id, in bytes: it goes into logs and the list of revoked ones.
const MAX_TOKEN_ID_BYTES: usize = 255;

/// Verifies tokens. Shared by all threads; holds no state but its keys.
#[derive(Debug)]
pub struct Verifier {
    keys: KeySet,
    config: VerifierConfig,
}

/// What a verifier asks of tokens beside a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierConfig {
    /// The `iss` that tokens must have; absent: any or none.
    pub issuer: Option<String>,
    /// The `aud` that tokens must have; absent: they must have none, as a token
    /// for somebody else must not be taken (RFC 7519 section 4.1.3).
    pub audience: Option<String>,
    /// How much the clocks of issuers may differ from ours. Default: 10 s.
    pub leeway: Duration,
    /// Longest token, in bytes. Default: 8192.
    pub max_token_bytes: usize,
    /// Whether tokens without `exp` are taken. Default: no.
    pub allow_no_expiry: bool,
}

/// Why a token is refused. Holds nothing of the token, so it can be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Longer than the limit.
    #[error("token is too long")]
    TooLong,
    /// Not three parts of base64url, or the header is no JSON header.
    #[error("token is malformed")]
    Malformed,
    /// An algorithm that we don't use, `none` included, or not that of its key.
    #[error("token has an algorithm that none of its keys is for")]
    Algorithm,
    /// The header demands extensions.
    #[error("token has a critical header")]
    CriticalHeader,
    /// The header names a key that we don't have.
    #[error("token is of an unknown key")]
    UnknownKey,
    /// No key has signed this.
    #[error("token has a wrong signature")]
    Signature,
    /// The claims are no JSON object, or one has the wrong type.
    #[error("token has malformed claims")]
    Claims,
    /// `sub` is absent or no user id.
    #[error("token has no valid subject")]
    Subject,
    /// `jti` is empty or too long.
    #[error("token has no valid id")]
    TokenId,
    /// `exp` is absent.
    #[error("token has no expiry")]
    NoExpiry,
    /// `exp` has passed.
    #[error("token has expired")]
    Expired,
    /// `nbf` is to come.
    #[error("token is not valid yet")]
    NotYetValid,
    /// `iss` is not the one we ask for.
    #[error("token is of another issuer")]
    Issuer,
    /// `aud` does not name us.
    #[error("token is for another audience")]
    Audience,
    /// A list in `tg` is not one of patterns.
    #[error("token has malformed permissions")]
    Permissions(#[source] PatternError),
    /// `tg.labels` are none.
    #[error("token has malformed labels")]
    Labels(#[source] LabelError),
}

// === impl VerifierConfig ===

impl Default for VerifierConfig {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: None,
            // Synchronised clocks differ by milliseconds; ten seconds forgive a bad day.
            leeway: Duration::from_secs(10),
            // What common proxies allow for a whole header.
            max_token_bytes: 8192,
            allow_no_expiry: false,
        }
    }
}

// === impl Verifier ===

impl Verifier {
    /// Makes a verifier of these keys. Without any it refuses every token.
    pub fn new(keys: KeySet, config: VerifierConfig) -> Self {
        Self { keys, config }
    }

    /// Verifies `token` as of `now`. Costs one signature check; an Ed25519 one
    /// takes tens of microseconds, so it should not run on a shard.
    ///
    /// # Errors
    /// Says what is wrong with the token; nothing else can fail.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Identity, TokenError> {
        if token.len() > self.config.max_token_bytes {
            return Err(TokenError::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(TokenError::Malformed)?;
        if payload.contains('.') {
            return Err(TokenError::Malformed);
        }
        self.check_signature(header, message, signature)?;
        self.identify(decode(payload, TokenError::Claims)?, now)
    }

    fn check_signature(
        &self,
        header: &str,
        message: &str,
        signature: &str,
    ) -> Result<(), TokenError> {
        let header: Header = decode(header, TokenError::Malformed)?;
        if header.crit.is_some() {
            return Err(TokenError::CriticalHeader);
        }
        let algorithm = Algorithm::from_name(&header.alg).ok_or(TokenError::Algorithm)?;
        for candidate in self.keys.candidates(header.kid.as_deref(), algorithm)? {
            let outcome = jsonwebtoken::crypto::verify(
                signature,
                message.as_bytes(),
                &candidate.key,
                algorithm.library(),
            );
            // The only failure left is a signature that is no base64url.
            if outcome.map_err(|_| TokenError::Malformed)? {
                return Ok(());
            }
        }
        Err(TokenError::Signature)
    }

    fn identify(&self, claims: Claims, now: SystemTime) -> Result<Identity, TokenError> {
        let expires_at = self.check_times(&claims, now)?;
        self.check_parties(&claims)?;
        let user = claims
            .sub
            .as_deref()
            .and_then(UserId::new)
            .ok_or(TokenError::Subject)?;
        let in_range = |id: &str| (1..=MAX_TOKEN_ID_BYTES).contains(&id.len());
        if !claims.jti.as_deref().is_none_or(in_range) {
            return Err(TokenError::TokenId);
        }
        let Object(claim) = claims.tg.unwrap_or_default();
        let labels = Labels::new(claim.labels.unwrap_or_default()).map_err(TokenError::Labels)?;
        let lists = [claim.subscribe, claim.publish, claim.routes];
        Ok(Identity {
            user,
            expires_at,
            token_id: claims.jti,
            permissions: permissions(lists).map_err(TokenError::Permissions)?,
            labels,
        })
    }

    fn check_times(
        &self,
        claims: &Claims,
        now: SystemTime,
    ) -> Result<Option<SystemTime>, TokenError> {
        let leeway = self.config.leeway;
        if claims.nbf.is_some_and(|not_before| {
            now.checked_add(leeway)
                .is_some_and(|now| now < not_before.0)
        }) {
            return Err(TokenError::NotYetValid);
        }
        // Too far for the clock to say is as good as never.
        let expires_at = claims.exp.and_then(|expiry| expiry.0.checked_add(leeway));
        if claims.exp.is_none() && !self.config.allow_no_expiry {
            return Err(TokenError::NoExpiry);
        }
        if expires_at.is_some_and(|expires_at| now >= expires_at) {
            Err(TokenError::Expired)
        } else {
            Ok(expires_at)
        }
    }

    fn check_parties(&self, claims: &Claims) -> Result<(), TokenError> {
        if self.config.issuer.is_some() && self.config.issuer != claims.iss {
            return Err(TokenError::Issuer);
        }
        let named = match (&self.config.audience, &claims.aud) {
            (None, None) => true,
            (Some(ours), Some(theirs)) => theirs.contains(ours),
            (None, Some(_)) | (Some(_), None) => false,
        };
        if named {
            Ok(())
        } else {
            Err(TokenError::Audience)
        }
    }
}

fn permissions(lists: [Option<Vec<String>>; 3]) -> Result<Permissions, PatternError> {
    let parse = |texts: Option<Vec<String>>| texts.as_deref().map(Patterns::parse).transpose();
    let [subscribe, publish, routes] = lists;
    Ok(Permissions::new(Grants {
        subscribe: parse(subscribe)?,
        publish: parse(publish)?,
        routes: parse(routes)?,
    }))
}

fn decode<T: DeserializeOwned>(part: &str, error: TokenError) -> Result<T, TokenError> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| error)?;
    serde_json::from_slice(&json)
        .map(|Object(part)| part)
        .map_err(|_| error)
}

// === impl TokenError ===

impl TokenError {
    /// The stable name in metrics and logs.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::CriticalHeader => "critical_header",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Subject => "subject",
            Self::TokenId => "token_id",
            Self::NoExpiry => "no_expiry",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Permissions(_) => "permissions",
            Self::Labels(_) => "labels",
        }
    }
}

#[cfg(test)]
mod tests;
