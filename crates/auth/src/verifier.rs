//! From the text of a token to an identity, or to the reason why not.
//!
//! The order of the checks is the rule: nothing of a token is believed before
//! its signature is. That it names an issuer decides whose keys are tried, and those
//! alone: no issuer's key signs for another one.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::de::DeserializeOwned;
use thiserror::Error;
use wire::UserId;

use crate::{
    Algorithm, Ceilings, Identity, KeySet, LabelError, PatternError, RateClassError,
    claims::{Claims, Header, Object},
};

/// Longest token id, in bytes: it goes into logs and the list of revoked ones.
pub const MAX_TOKEN_ID_BYTES: usize = 255;

/// Verifies tokens of one issuer or several. Shared by all threads; holds no state
/// but keys, and has no locks.
#[derive(Debug)]
pub struct Verifier {
    /// The first one is there from the beginning.
    issuers: Vec<Issuer>,
}

/// One of a verifier's issuers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IssuerId(usize);

/// What is asked of the tokens of an issuer beside a signature, and what they may
/// give.
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
    /// How long a token counts at most, whatever its `exp` says: as long as
    /// revocations are kept, or one would come back to life. One without `iat` must
    /// not have so much left. Default: 30 days.
    pub max_age: Duration,
    /// What its tokens may grant at most.
    pub ceilings: Arc<Ceilings>,
}

#[derive(Debug)]
struct Issuer {
    keys: ArcSwap<KeySet>,
    config: VerifierConfig,
}

/// A token, taken apart.
struct Parts<'a> {
    header: &'a str,
    payload: &'a str,
    /// What is signed: header and payload.
    message: &'a str,
    signature: &'a str,
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
    /// It has no `iat`, and more time left than any token may have.
    #[error("token without a time of issue lives for too long")]
    Lifetime,
    /// `nbf` or `iat` is to come.
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
    /// `tg.rate` is none.
    #[error("token has a malformed rate class")]
    Rate(#[source] RateClassError),
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
            max_age: Duration::from_secs(30 * 24 * 60 * 60),
            ceilings: Arc::default(),
        }
    }
}

// === impl IssuerId ===

impl IssuerId {
    /// The one that a verifier is made with.
    pub const FIRST: Self = Self(0);
}

// === impl Verifier ===

impl Verifier {
    /// Makes a verifier of these keys. Without any it refuses every token.
    pub fn new(keys: KeySet, config: VerifierConfig) -> Self {
        Self {
            issuers: vec![Issuer::new(keys, config)],
        }
    }

    /// Takes tokens of one more issuer, whose name must be there. If another one has
    /// the same, this one counts.
    pub fn add_issuer(&mut self, keys: KeySet, config: VerifierConfig) -> IssuerId {
        self.issuers.push(Issuer::new(keys, config));
        IssuerId(self.issuers.len() - 1)
    }

    /// Takes these keys of an issuer instead of those before. Whoever verifies at the
    /// same time uses the ones or the others, and waits for nothing.
    pub fn replace_keys(&self, issuer: IssuerId, keys: KeySet) {
        self.issuers[issuer.0].keys.store(Arc::new(keys));
    }

    /// The issuer whose key is missing, and the id of the key: what there is to look
    /// for after [`TokenError::UnknownKey`]. Empty: the token names none.
    pub fn unknown_key(&self, token: &str) -> Option<(IssuerId, String)> {
        let parts = self.split(token).ok()?;
        let header: Header = decode(parts.header, TokenError::Malformed).ok()?;
        let algorithm = Algorithm::from_name(&header.alg)?;
        let claims: Claims = decode(parts.payload, TokenError::Claims).ok()?;
        let index = self.find(claims.iss.as_deref())?;
        let keys = self.issuers[index].keys.load();
        match keys.candidates(header.kid.as_deref(), algorithm) {
            Err(TokenError::UnknownKey) => {}
            _ => return None,
        }
        Some((IssuerId(index), header.kid.unwrap_or_default()))
    }

    /// Verifies `token` as of `now`. Costs one signature check, which takes tens of
    /// microseconds, so it should not run on a shard.
    ///
    /// # Errors
    /// Says what is wrong with the token; nothing else can fail.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Identity, TokenError> {
        let parts = self.split(token)?;
        let header: Header = decode(parts.header, TokenError::Malformed)?;
        if header.crit.is_some() {
            return Err(TokenError::CriticalHeader);
        }
        let algorithm = Algorithm::from_name(&header.alg).ok_or(TokenError::Algorithm)?;
        let claims: Result<Claims, _> = decode(parts.payload, TokenError::Claims);
        // Not believed yet: it only says whose keys are to be tried.
        let name = claims
            .as_ref()
            .ok()
            .and_then(|claims| claims.iss.as_deref());
        let issuer = self.find(name).ok_or(TokenError::Issuer)?;
        let issuer = &self.issuers[issuer];
        issuer.check_signature(&header, algorithm, &parts)?;
        issuer.identify(claims?, now)
    }

    fn split<'a>(&self, token: &'a str) -> Result<Parts<'a>, TokenError> {
        if token.len() > self.issuers[0].config.max_token_bytes {
            return Err(TokenError::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(TokenError::Malformed)?;
        if payload.contains('.') {
            return Err(TokenError::Malformed);
        }
        Ok(Parts {
            header,
            payload,
            message,
            signature,
        })
    }

    /// The issuer of this name or, if there is none, the one that asks for no name.
    fn find(&self, name: Option<&str>) -> Option<usize> {
        let named = |issuer: &Issuer| name.is_some() && issuer.config.issuer.as_deref() == name;
        let any =
            |issuer: &Issuer| issuer.config.issuer.is_none() && !issuer.keys.load().is_empty();
        // The last one: a trusted issuer may be ourselves, whose keys are elsewhere.
        let found = self.issuers.iter().rposition(named);
        found.or_else(|| self.issuers.iter().position(any))
    }
}

// === impl Issuer ===

impl Issuer {
    fn new(keys: KeySet, config: VerifierConfig) -> Self {
        Self {
            keys: ArcSwap::from_pointee(keys),
            config,
        }
    }

    fn check_signature(
        &self,
        header: &Header,
        algorithm: Algorithm,
        parts: &Parts<'_>,
    ) -> Result<(), TokenError> {
        let keys = self.keys.load();
        let mut candidates = keys.candidates(header.kid.as_deref(), algorithm)?;
        let signature = URL_SAFE_NO_PAD.decode(parts.signature);
        let signature = signature.map_err(|_| TokenError::Malformed)?;
        let message = parts.message.as_bytes();
        match candidates.any(|key| key.has_signed(message, &signature)) {
            true => Ok(()),
            false => Err(TokenError::Signature),
        }
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
        let Object(statement) = claims.tg.unwrap_or_default();
        Ok(Identity {
            expires_at,
            issued_at: claims.iat.map(|date| date.0),
            token_id: claims.jti,
            ..statement.of(user, &self.config.ceilings)?
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
        if claims.exp.is_none() && !self.config.allow_no_expiry {
            return Err(TokenError::NoExpiry);
        }
        let ends = [claims.exp.map(|expiry| expiry.0), self.oldest(claims, now)?];
        // Too far for the clock to say is as good as never.
        let expires_at = ends.into_iter().flatten().min();
        let expires_at = expires_at.and_then(|end| end.checked_add(leeway));
        if expires_at.is_some_and(|expires_at| now >= expires_at) {
            Err(TokenError::Expired)
        } else {
            Ok(expires_at)
        }
    }

    /// When the token has grown as old as any may; one without `iat` must not have
    /// so much left.
    fn oldest(&self, claims: &Claims, now: SystemTime) -> Result<Option<SystemTime>, TokenError> {
        let max_age = self.config.max_age;
        let Some(issued) = claims.iat else {
            let lives_on = |expiry: SystemTime| {
                now.checked_add(max_age)
                    .is_some_and(|latest| expiry > latest)
            };
            return match claims.exp.is_some_and(|expiry| lives_on(expiry.0)) {
                true => Err(TokenError::Lifetime),
                false => Ok(None),
            };
        };
        // It would outlive revocations, which name a time.
        if now.checked_add(self.config.leeway) < Some(issued.0) {
            return Err(TokenError::NotYetValid);
        }
        Ok(issued.0.checked_add(max_age))
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

/// Whether this is no JWT: not three parts of base64url. Such a token can mean
/// something to whoever has made it, and nothing to a [`Verifier`].
pub fn is_opaque(token: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && URL_SAFE_NO_PAD.decode(part).is_ok();
    let parts = token.split('.');
    parts.clone().count() != 3 || !parts.into_iter().all(is_part)
}

/// SHA-256 of a token: names it where the token itself must not be kept.
pub fn token_digest(token: &str) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
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
            Self::Lifetime => "lifetime",
            Self::NotYetValid => "not_yet_valid",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Permissions(_) => "permissions",
            Self::Labels(_) => "labels",
            Self::Rate(_) => "rate",
        }
    }
}

#[cfg(test)]
mod tests;
