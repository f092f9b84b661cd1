//! Tokens of a key pair that only this test has.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use auth::{KeyPair, KeySet, NewToken, Signer, Verifier, VerifierConfig};
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
            verifier: Arc::new(Verifier::new(keys, VerifierConfig::default())),
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

    /// A token that says what the test wants.
    pub fn issue(&self, token: &NewToken) -> String {
        self.signer.issue(token, SystemTime::now()).0
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

impl Default for Tokens {
    fn default() -> Self {
        Self::new()
    }
}
