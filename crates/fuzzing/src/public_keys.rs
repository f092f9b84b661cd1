//! Sets of public keys that issuers publish: a JWKS, a JWK or PEM. Whatever they
//! hold, there are never more keys than a set may have, never none, and no secret
//! can be slipped in: what is signed with one is refused.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use auth::{Algorithm, KeyConfig, KeyMaterial, KeySet, NewToken, Signer, Verifier, VerifierConfig};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use wire::UserId;

const NOW: Duration = Duration::from_secs(1_790_000_000);

/// Signed with the secret of which the corpus has a JWK.
static TOKEN: LazyLock<String> = LazyLock::new(|| {
    let key = KeyConfig {
        id: None,
        algorithm: Algorithm::Hs256,
        secret: Some(KeyMaterial::new(URL_SAFE_NO_PAD.encode([0x42; 32]))),
        public_key: None,
        private_key: None,
    };
    let user = UserId::new("mallory").expect("valid");
    let token = NewToken::new(user, Duration::from_secs(60));
    let signer = Signer::from_key(&key).expect("a valid key");
    signer.issue(&token, SystemTime::UNIX_EPOCH + NOW).0
});

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let Ok(keys) = KeySet::read_public(text, &Algorithm::PUBLIC) else {
        return;
    };
    assert!((1..=KeySet::MAX_PUBLIC_KEYS).contains(&keys.len()));
    let verifier = Verifier::new(keys, VerifierConfig::default());
    let now = SystemTime::UNIX_EPOCH + NOW;
    assert!(verifier.verify(&TOKEN, now).is_err(), "forged");
}
