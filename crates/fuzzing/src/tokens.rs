//! Tokens. An even first byte: the rest is a token by somebody without our
//! keys, and is never accepted. An odd one: the rest is the claims of a token
//! that we signed; it may be refused, but once accepted it names a user and has
//! not expired, and no change to it goes unnoticed.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use auth::{Algorithm, KeyConfig, KeyMaterial, KeySet, Verifier, VerifierConfig};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use wire::{Channel, MAX_CHANNEL_BYTES};

const SECRET: [u8; 32] = [0x42; 32];
/// A moment in 2026, so that the corpus never expires.
const NOW: Duration = Duration::from_secs(1_790_000_000);

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let key = KeyConfig {
        id: None,
        algorithm: Algorithm::Hs256,
        secret: Some(KeyMaterial::new(URL_SAFE_NO_PAD.encode(SECRET))),
        public_key: None,
        private_key: None,
    };
    Verifier::new(
        KeySet::new(&[key]).expect("a valid key"),
        VerifierConfig::default(),
    )
});

pub(crate) fn check(data: &[u8]) {
    match data {
        [kind, rest @ ..] if kind % 2 == 1 => check_signed(rest),
        [_, rest @ ..] => check_foreign(rest),
        [] => {}
    }
}

fn check_foreign(token: &[u8]) {
    let Ok(token) = str::from_utf8(token) else {
        return;
    };
    assert!(
        VERIFIER
            .verify(token, SystemTime::UNIX_EPOCH + NOW)
            .is_err(),
        "{token} was forged"
    );
}

fn check_signed(claims: &[u8]) {
    let now = SystemTime::UNIX_EPOCH + NOW;
    let token = sign(claims);
    let Ok(identity) = VERIFIER.verify(&token, now) else {
        return;
    };
    assert!(!identity.user.as_str().is_empty());
    assert!(
        identity
            .expires_at
            .is_none_or(|expires_at| expires_at > now)
    );
    let channel = Channel::parse("market.BTC-USD", MAX_CHANNEL_BYTES).expect("a valid name");
    let _ = (
        identity.may_subscribe(&channel),
        identity.may_publish(&channel),
    );
    let _ = identity.may_call("market.order");

    let place = claims.len() % token.len();
    let mut changed = token.into_bytes();
    changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).expect("ASCII");
    assert!(
        VERIFIER.verify(&changed, now).is_err(),
        "changed at {place}: {changed}"
    );
}

fn sign(claims: &[u8]) -> String {
    let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256"}"#);
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(&SECRET);
    let algorithm = jsonwebtoken::Algorithm::HS256;
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm);
    format!("{message}.{}", signature.expect("a key for this algorithm"))
}
