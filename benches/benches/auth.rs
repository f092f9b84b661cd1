//! What it costs to verify a token: the largest part of accepting a client.

use std::{
    hint::black_box,
    time::{Duration, SystemTime},
};

use auth::{
    Algorithm, KeyConfig, KeyMaterial, KeyPair, KeySet, NewToken, Patterns, Signer, Verifier,
    VerifierConfig,
};
use criterion::{Criterion, criterion_group, criterion_main};
use wire::UserId;

/// 32 zero bytes.
const SECRET: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn verify(criterion: &mut Criterion) {
    let pair = KeyPair::generate_ed25519("bench");
    let secret = KeyConfig {
        id: Some("bench".into()),
        algorithm: Algorithm::Hs256,
        secret: Some(KeyMaterial::new(SECRET)),
        public_key: None,
        private_key: None,
    };
    let mut group = criterion.benchmark_group("verify");
    for (name, signing, verifying) in [
        ("EdDSA", &pair.signing, pair.verifying.clone()),
        ("HS256", &secret, secret.clone()),
    ] {
        let now = SystemTime::now();
        let user = UserId::new("user-12345").expect("valid");
        let subscribe = Some(Patterns::parse(&["market.>", "room.*"]).expect("valid"));
        let token = NewToken {
            subscribe,
            ..NewToken::new(user, Duration::from_secs(3600))
        };
        let (text, _) = Signer::from_key(signing).expect("signs").issue(&token, now);
        let keys = KeySet::new(&[verifying]).expect("usable");
        let verifier = Verifier::new(keys, VerifierConfig::default());
        group.bench_function(name, |bencher| {
            bencher.iter(|| verifier.verify(black_box(&text), now).expect("valid"));
        });
    }
    group.finish();
}

criterion_group!(benches, verify);
criterion_main!(benches);
