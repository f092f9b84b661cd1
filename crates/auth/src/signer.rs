//! Making tokens: for the control plane, the command line and development.

use std::{
    fmt,
    num::NonZeroU32,
    time::{Duration, SystemTime},
};

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use serde::Serialize;
use wire::UserId;

use crate::{Algorithm, KeyConfig, KeyError, Labels, Patterns, RateClass, TokenLimits};

/// Nobody means more than a century; keeps the arithmetic of dates in range.
const MAX_LIFETIME: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Makes tokens with one key.
pub struct Signer {
    algorithm: Algorithm,
    key: EncodingKey,
    /// Header and dot, the same for all tokens.
    prefix: String,
}

/// What a new token is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Who it is for.
    pub user: UserId,
    /// How long it counts; in the token in whole seconds, at most a century.
    pub lifetime: Duration,
    /// Channels to subscribe to; absent: the token says nothing of it.
    pub subscribe: Option<Patterns>,
    /// Channels to publish to; absent: the token says nothing of it.
    pub publish: Option<Patterns>,
    /// Channels whose members may be seen; absent: those to subscribe to.
    pub presence: Option<Patterns>,
    /// Channels whose past may be read; absent: those to subscribe to.
    pub history: Option<Patterns>,
    /// Routes to call; absent: the token says nothing of it.
    pub routes: Option<Patterns>,
    /// Labels of connections made with it.
    pub labels: Labels,
    /// Less than the gateway allows.
    pub limits: TokenLimits,
    /// `iss`.
    pub issuer: Option<String>,
    /// `aud`.
    pub audience: Option<String>,
}

#[derive(Serialize)]
struct Header<'a> {
    typ: &'static str,
    alg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iat: u64,
    exp: u64,
    jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tg: Option<TgClaim<'a>>,
}

#[derive(Serialize)]
struct TgClaim<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    subscribe: Option<&'a Patterns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    publish: Option<&'a Patterns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence: Option<&'a Patterns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<&'a Patterns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    routes: Option<&'a Patterns>,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    labels: &'a Labels,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_connections: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_subscriptions: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<&'a RateClass>,
}

// === impl Signer ===

impl Signer {
    /// Makes a signer of a key that can sign: with a secret, or a private key.
    ///
    /// # Errors
    /// If the key can't.
    pub fn from_key(config: &KeyConfig) -> Result<Self, KeyError> {
        let header = Header {
            typ: "JWT",
            alg: config.algorithm.name(),
            kid: config.id.as_deref(),
        };
        let prefix = format!("{}.", encode(&header));
        Ok(Self {
            algorithm: config.algorithm,
            key: config.signing()?,
            prefix,
        })
    }

    /// Makes a token with an id of its own, and says when it expires.
    pub fn issue(&self, token: &NewToken, now: SystemTime) -> (String, SystemTime) {
        let issued = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let expiry = issued
            .saturating_add(token.lifetime.min(MAX_LIFETIME))
            .as_secs();
        let mut id = [0; 16];
        rand::fill(&mut id).expect("the system has randomness");
        let claims = Claims {
            sub: token.user.as_str(),
            iat: issued.as_secs(),
            exp: expiry,
            jti: &URL_SAFE_NO_PAD.encode(id),
            iss: token.issuer.as_deref(),
            aud: token.audience.as_deref(),
            tg: TgClaim::of(token),
        };
        let text = self.sign(format!("{}{}", self.prefix, encode(&claims)));
        (text, SystemTime::UNIX_EPOCH + Duration::from_secs(expiry))
    }

    fn sign(&self, message: String) -> String {
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm.library());
        format!(
            "{message}.{}",
            signature.expect("the key was made for this algorithm")
        )
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

fn encode(part: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).expect("plain data"))
}

// === impl NewToken ===

impl NewToken {
    /// A token that says who the user is, and nothing else.
    pub fn new(user: UserId, lifetime: Duration) -> Self {
        Self {
            user,
            lifetime,
            subscribe: None,
            publish: None,
            presence: None,
            history: None,
            routes: None,
            labels: Labels::default(),
            limits: TokenLimits::default(),
            issuer: None,
            audience: None,
        }
    }
}

// === impl TgClaim ===

impl<'a> TgClaim<'a> {
    /// Absent where the token says nothing that would be in it.
    fn of(token: &'a NewToken) -> Option<Self> {
        let NewToken {
            subscribe,
            publish,
            presence,
            history,
            routes,
            labels,
            limits,
            ..
        } = token;
        let lists = [subscribe, publish, presence, history, routes];
        let silent = lists.iter().all(|list| list.is_none())
            && labels.is_empty()
            && *limits == TokenLimits::default();
        (!silent).then(|| Self {
            subscribe: subscribe.as_ref(),
            publish: publish.as_ref(),
            presence: presence.as_ref(),
            history: history.as_ref(),
            routes: routes.as_ref(),
            labels,
            max_connections: limits.max_connections(),
            max_subscriptions: limits.max_subscriptions(),
            rate: limits.rate(),
        })
    }
}
