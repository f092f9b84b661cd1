//! The keys that sign tokens, as they come and go.
//!
//! Whoever verifies tokens keeps a copy of our public keys for a while (RFC 7517).
//! So a key is published before it signs, and stays published after it was taken
//! away until the last token that it signed has expired.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::RwLock;
use serde::Serialize;

use crate::{Algorithm, KeyConfig, KeyError, KeyMaterial, KeySetError, Signer};

/// A key that signs, and from when on.
#[derive(Clone, Debug)]
pub struct SigningKey {
    /// The key; without an id it is named by its thumbprint (RFC 7638).
    pub key: KeyConfig,
    /// It does not sign before; absent: it may at once.
    pub not_before: Option<SystemTime>,
}

/// How keys change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// How long a key that comes later is published before it signs: longer than
    /// verifiers keep their copies.
    pub activation: Duration,
    /// How long a key that was taken away stays published: as long as the tokens
    /// that it signed.
    pub keep: Duration,
}

/// The keys that sign: the newest of those that may.
pub struct SigningKeys {
    rotation: Rotation,
    held: RwLock<Vec<Held>>,
}

/// One key.
#[derive(Clone)]
struct Held {
    id: Option<String>,
    signer: Arc<Signer>,
    /// What is published; absent: it is a secret.
    jwk: Option<Jwk>,
    active_from: SystemTime,
    /// Since when it is configured no more.
    removed: Option<SystemTime>,
}

/// A public key as it is published (RFC 7517 section 4, RFC 8037 section 2).
#[derive(Clone, Serialize)]
struct Jwk {
    kty: &'static str,
    crv: &'static str,
    x: String,
    kid: String,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
}

// === impl SigningKeys ===

impl SigningKeys {
    /// Takes the first keys; they may sign at once, unless they say otherwise.
    ///
    /// # Errors
    /// If a key can't sign, or two have the same id.
    pub fn new(keys: &[SigningKey], rotation: Rotation) -> Result<Self, KeySetError> {
        let this = Self {
            rotation,
            held: RwLock::default(),
        };
        *this.held.write() = read(keys, |_| SystemTime::UNIX_EPOCH)?;
        Ok(this)
    }

    /// One key that signs for ever. Tokens name it only if it has an id, as those
    /// know it who were given it without one.
    ///
    /// # Errors
    /// If it can't sign.
    pub fn fixed(key: &KeyConfig) -> Result<Self, KeyError> {
        let held = Held {
            signer: Arc::new(Signer::from_key(key)?),
            ..Held::read(key)?
        };
        let rotation = Rotation {
            activation: Duration::ZERO,
            keep: Duration::ZERO,
        };
        Ok(Self {
            rotation,
            held: RwLock::new(vec![held]),
        })
    }

    /// Takes what is configured now, and says whether that is something else.
    ///
    /// # Errors
    /// If a key can't sign, or one has the id of another: nothing changes then.
    pub fn replace(&self, keys: &[SigningKey], now: SystemTime) -> Result<bool, KeySetError> {
        let mut held = self.held.write();
        let current = |id: &Held| held.iter().find(|old| old.id() == id.id());
        let mut new = read(keys, |key| {
            current(key).map_or(now + self.rotation.activation, |old| old.active_from)
        })?;
        let other = |key: &Held| current(key).is_some_and(|old| old.public() != key.public());
        if let Some(index) = new.iter().position(other) {
            return Err(KeySetError::DuplicateId { index });
        }
        let is_held = |key: &Held| current(key).is_some_and(|old| old.removed.is_none());
        let mut changed = !new.iter().all(is_held);
        let gone = held
            .iter()
            .filter(|old| new.iter().all(|key| key.id() != old.id()));
        let mut gone: Vec<Held> = gone.cloned().collect();
        for key in &mut gone {
            changed |= key.removed.is_none();
            key.removed.get_or_insert(now);
        }
        gone.retain(|key| key.removed.is_some_and(|at| at + self.rotation.keep > now));
        new.append(&mut gone);
        *held = new;
        Ok(changed)
    }

    /// The newest key that may sign; one that was taken away only until another
    /// may. Absent: there is none.
    pub fn signer(&self, now: SystemTime) -> Option<Arc<Signer>> {
        let held = self.held.read();
        let active = held.iter().filter(|key| key.active_from <= now);
        // Of keys that began together the first one configured: max_by_key takes
        // the last.
        let newest = active
            .rev()
            .max_by_key(|key| (key.removed.is_none(), key.active_from));
        newest.map(|key| key.signer.clone())
    }

    /// All public keys as a JWK Set (RFC 7517 section 5): those that will sign, do
    /// and did.
    pub fn jwks(&self) -> String {
        #[derive(Serialize)]
        struct JwkSet<'a> {
            keys: Vec<&'a Jwk>,
        }
        let held = self.held.read();
        let keys = held.iter().filter_map(|key| key.jwk.as_ref()).collect();
        serde_json::to_string(&JwkSet { keys }).expect("plain data")
    }

    /// The same keys, for a verifier in this process.
    pub fn verifying(&self) -> Vec<KeyConfig> {
        let held = self.held.read();
        let keys = held.iter().filter_map(|key| key.jwk.as_ref());
        keys.map(Jwk::verifying).collect()
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.held.read();
        let ids = held.iter().map(Held::id);
        f.debug_list().entries(ids).finish()
    }
}

/// Reads all; `begin` says when those sign that do not say so themselves.
fn read(
    keys: &[SigningKey],
    begin: impl Fn(&Held) -> SystemTime,
) -> Result<Vec<Held>, KeySetError> {
    let mut all: Vec<Held> = Vec::with_capacity(keys.len());
    for (index, key) in keys.iter().enumerate() {
        let refused = |source| KeySetError::Key { index, source };
        let mut held = Held::read(&key.key).map_err(refused)?;
        held.active_from = key.not_before.unwrap_or_else(|| begin(&held));
        if all.iter().any(|other| other.id() == held.id()) {
            return Err(KeySetError::DuplicateId { index });
        }
        all.push(held);
    }
    Ok(all)
}

// === impl Held ===

impl Held {
    fn read(config: &KeyConfig) -> Result<Self, KeyError> {
        let public = config.public_bytes()?;
        let jwk = public.map(|public| Jwk::new(config.id.as_deref(), &public));
        let id = jwk.as_ref().map(|jwk| jwk.kid.clone());
        let named = KeyConfig {
            id: id.or_else(|| config.id.clone()),
            ..config.clone()
        };
        Ok(Self {
            signer: Arc::new(Signer::from_key(&named)?),
            id: named.id,
            jwk,
            active_from: SystemTime::UNIX_EPOCH,
            removed: None,
        })
    }

    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn public(&self) -> Option<&str> {
        self.jwk.as_ref().map(|jwk| &*jwk.x)
    }
}

// === impl Jwk ===

impl Jwk {
    fn new(id: Option<&str>, public: &[u8]) -> Self {
        let x = URL_SAFE_NO_PAD.encode(public);
        let kid = id.map_or_else(|| thumbprint(&x), str::to_owned);
        Self {
            kty: "OKP",
            crv: "Ed25519",
            x,
            kid,
            usage: "sig",
            alg: Algorithm::EdDsa.name(),
        }
    }

    fn verifying(&self) -> KeyConfig {
        KeyConfig {
            id: Some(self.kid.clone()),
            algorithm: Algorithm::EdDsa,
            secret: None,
            public_key: Some(KeyMaterial::new(&*self.x)),
            private_key: None,
        }
    }
}

/// The SHA-256 of the members that make the key, in their order and without spaces
/// (RFC 7638 section 3, RFC 8037 section 2).
fn thumbprint(x: &str) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let digest = digest::digest(&digest::SHA256, members.as_bytes());
    URL_SAFE_NO_PAD.encode(digest)
}

#[cfg(test)]
mod tests {
    use wire::UserId;

    use super::*;
    use crate::{KeyPair, NewToken};

    const ROTATION: Rotation = Rotation {
        activation: Duration::from_secs(600),
        keep: Duration::from_secs(3600),
    };

    fn key(id: &str) -> SigningKey {
        SigningKey {
            key: KeyPair::generate_ed25519(id).signing,
            not_before: None,
        }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    /// The id in the header of a token that is signed then.
    fn signs(keys: &SigningKeys, now: SystemTime) -> Option<String> {
        let user = UserId::new("alice").expect("valid");
        let token = NewToken::new(user, Duration::from_secs(60));
        let (token, _) = keys.signer(now)?.issue(&token, now);
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
        let header: serde_json::Value = serde_json::from_slice(&header).ok()?;
        Some(header["kid"].as_str()?.to_owned())
    }

    fn published(keys: &SigningKeys) -> Vec<String> {
        let jwks: serde_json::Value = serde_json::from_str(&keys.jwks()).expect("JSON");
        let keys = jwks["keys"].as_array().expect("a list").iter();
        keys.map(|key| key["kid"].as_str().expect("named").to_owned())
            .collect()
    }

    #[test]
    fn a_key_is_published_before_it_signs_and_after() {
        let (old, new) = (key("old"), key("new"));
        let keys = SigningKeys::new(std::slice::from_ref(&old), ROTATION).expect("it signs");
        assert_eq!(signs(&keys, at(0)).as_deref(), Some("old"));
        let both = [old, new.clone()];
        assert!(keys.replace(&both, at(10)).expect("read"));
        assert!(!keys.replace(&both, at(20)).expect("the same again"));
        assert_eq!(published(&keys), ["old", "new"]);
        assert_eq!(signs(&keys, at(609)).as_deref(), Some("old"));
        assert_eq!(signs(&keys, at(610)).as_deref(), Some("new"));

        let alone = [new];
        assert!(keys.replace(&alone, at(700)).expect("read"));
        assert!(!keys.replace(&alone, at(4299)).expect("the same again"));
        assert_eq!(published(&keys), ["new", "old"]);
        keys.replace(&alone, at(4300)).expect("the same again");
        assert_eq!(published(&keys), ["new"]);
    }

    #[test]
    fn a_key_replaced_in_its_place_signs_until_the_next_one_may() {
        let keys = SigningKeys::new(&[key("old")], ROTATION).expect("it signs");
        keys.replace(&[key("new")], at(0)).expect("read");
        assert_eq!(signs(&keys, at(599)).as_deref(), Some("old"));
        assert_eq!(signs(&keys, at(600)).as_deref(), Some("new"));
    }

    #[test]
    fn a_key_says_itself_when_it_begins() {
        let later = SigningKey {
            not_before: Some(at(50)),
            ..key("later")
        };
        let keys = [key("first"), key("second"), later];
        let keys = SigningKeys::new(&keys, ROTATION).expect("they sign");
        assert_eq!(signs(&keys, at(49)).as_deref(), Some("first"));
        assert_eq!(signs(&keys, at(50)).as_deref(), Some("later"));
    }

    #[test]
    fn another_key_with_a_known_id_changes_nothing() {
        let keys = SigningKeys::new(&[key("a")], ROTATION).expect("it signs");
        let refused = keys.replace(&[key("b"), key("a")], at(0));
        assert_eq!(refused, Err(KeySetError::DuplicateId { index: 1 }));
        assert_eq!(published(&keys), ["a"]);
    }

    #[test]
    fn a_key_without_an_id_is_named_by_its_thumbprint() {
        // RFC 8037 appendix A.3.
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let print = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
        assert_eq!(thumbprint(x), print);
        let mut unnamed = key("");
        unnamed.key.id = None;
        let keys = SigningKeys::new(&[unnamed], ROTATION).expect("it signs");
        assert_eq!(published(&keys), [signs(&keys, at(0)).expect("signed")]);
    }

    #[test]
    fn a_secret_signs_and_is_not_published() {
        let secret = KeyConfig {
            id: Some("shared".into()),
            algorithm: Algorithm::Hs256,
            secret: Some(KeyMaterial::new(URL_SAFE_NO_PAD.encode([7; 32]))),
            public_key: None,
            private_key: None,
        };
        let secret = SigningKey {
            key: secret,
            not_before: None,
        };
        let keys = SigningKeys::new(&[secret], ROTATION).expect("it signs");
        assert_eq!(signs(&keys, at(0)).as_deref(), Some("shared"));
        assert_eq!(keys.jwks(), r#"{"keys":[]}"#);
    }
}
