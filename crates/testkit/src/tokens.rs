//! Tokens of a key pair that only this test has.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use auth::{KeyPair, KeySet, NewToken, Signer, Verifier, VerifierConfig};
use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use wire::UserId;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Makes tokens, and the verifier that takes them.
#[derive(Debug)]
pub struct Tokens {
    signer: Signer,
    private_key: String,
    verifier: Arc<Verifier>,
}

// === impl Tokens ===

impl Tokens {
    /// With a new Ed25519 key pair.
    pub fn new() -> Self {
        Self::with(VerifierConfig::default())
    }

    /// Likewise; tokens are taken as this says.
    pub fn with(config: VerifierConfig) -> Self {
        let pair = KeyPair::generate_ed25519("test");
        let keys = KeySet::new(&[pair.verifying]).expect("a new key is a valid one");
        let private_key = pair.signing.private_key.as_ref();
        let private_key = private_key
            .expect("a new key is a pair")
            .expose()
            .to_owned();
        Self {
            private_key,
            signer: Signer::from_key(&pair.signing).expect("a new key is a valid one"),
            verifier: Arc::new(Verifier::new(keys, config)),
        }
    }

    /// A token that says who the user is, for an hour.
    pub fn token(&self, user: &str) -> String {
        self.issue(&Self::claims(user))
    }

    /// A token that has expired long ago.
    pub fn expired(&self, user: &str) -> String {
        let long_ago = SystemTime::now() - 24 * HOUR;
        self.signer.issue(&Self::claims(user), long_ago).0
    }

    /// A valid token that was issued so long ago.
    pub fn older(&self, user: &str, age: Duration) -> String {
        let issued = SystemTime::now() - age;
        self.signer.issue(&Self::claims(user), issued).0
    }

    /// A token that says what the test wants.
    pub fn issue(&self, token: &NewToken) -> String {
        self.signer.issue(token, SystemTime::now()).0
    }

    /// Anything as a token, rightly signed by our Ed25519 key whatever its header
    /// says.
    pub fn forge(&self, header: &Value, claims: &Value) -> String {
        let seed = URL_SAFE_NO_PAD.decode(&self.private_key);
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed.expect("a seed"));
        let message = message(header, claims);
        let signature = pair.expect("a valid seed").sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The bytes of our public key.
    pub fn public_key(&self) -> Vec<u8> {
        let seed = URL_SAFE_NO_PAD.decode(&self.private_key);
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed.expect("a seed"));
        pair.expect("a valid seed").public_key().as_ref().to_vec()
    }

    /// The same as configurations have it.
    pub fn public_key_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.public_key())
    }

    /// What takes these tokens, and no others.
    pub fn verifier(&self) -> Arc<Verifier> {
        self.verifier.clone()
    }

    /// The part of a configuration by which a process takes these tokens, and
    /// issues such.
    pub fn config(&self) -> String {
        let key = &self.private_key;
        format!(
            "[auth]\nticket_secrets = [{key:?}]\n[[auth.key]]\nid = \"test\"\n\
             algorithm = \"EdDSA\"\nprivate_key = {key:?}\n"
        )
    }

    fn claims(user: &str) -> NewToken {
        let user = UserId::new(user).expect("tests use valid user ids");
        NewToken::new(user, HOUR)
    }
}

/// Anything as a token, with an HMAC of this secret.
pub fn forge_hs256(secret: &[u8], header: &Value, claims: &Value) -> String {
    let message = message(header, claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn message(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

impl Default for Tokens {
    fn default() -> Self {
        Self::new()
    }
}
