//! Each refusal, the round trip, and what an attacker would try.

mod issuers;

use std::num::NonZeroU32;

use jsonwebtoken::EncodingKey;
use proptest::prelude::*;
use serde_json::{Value, json};
use wire::Channel;

use super::*;
use crate::{
    KeyConfig, KeyMaterial, KeyPair, Labels, NewToken, Patterns, Permission, RateClass, Signer,
    TokenLimits,
};

const SECRET: &[u8] = b"a secret of at least 32 bytes, to be safe";
const NOW_SECONDS: u64 = 1_700_000_000;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW_SECONDS)
}

fn hmac_key(id: Option<&str>, secret: &[u8]) -> KeyConfig {
    let secret = Some(KeyMaterial::new(URL_SAFE_NO_PAD.encode(secret)));
    KeyConfig {
        id: id.map(Into::into),
        algorithm: Algorithm::Hs256,
        secret,
        public_key: None,
        private_key: None,
    }
}

fn verifier(keys: &[KeyConfig]) -> Verifier {
    Verifier::new(
        KeySet::new(keys).expect("usable keys"),
        VerifierConfig::default(),
    )
}

fn encode(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

/// A token of any content with a right HMAC of `secret`.
fn forge(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let key = EncodingKey::from_secret(secret);
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256);
    format!("{message}.{}", signature.expect("a key for HMAC"))
}

/// What `config` says of a rightly signed token with `claims` over valid ones.
fn verdict(config: VerifierConfig, claims: Value) -> Result<Identity, TokenError> {
    let mut all = json!({ "sub": "alice", "exp": NOW_SECONDS + 60 });
    let (all_fields, changes) = (
        all.as_object_mut().expect("an object"),
        claims.as_object().expect("an object"),
    );
    all_fields.extend(changes.clone());
    let keys = KeySet::new(&[hmac_key(None, SECRET)]).expect("usable keys");
    Verifier::new(keys, config).verify(&forge(&json!({ "alg": "HS256" }), &all, SECRET), now())
}

fn refusal(claims: Value) -> Option<TokenError> {
    verdict(VerifierConfig::default(), claims).err()
}

fn alice() -> NewToken {
    NewToken::new(
        UserId::new("alice").expect("valid"),
        Duration::from_secs(60),
    )
}

#[test]
fn an_issued_token_verifies_with_all_it_says() {
    let pair = KeyPair::generate_ed25519("dev");
    let pem = KeyConfig {
        id: None,
        ..hmac_key(None, SECRET)
    };
    for (signing, verifying) in [
        (pair.signing.clone(), pair.verifying),
        (pem.clone(), pem),
        (pair.signing.clone(), pair.signing),
    ] {
        let subscribe = Some(Patterns::parse(&["room.*", "market.>"]).expect("valid"));
        let labels = Labels::new([("tier", "gold"), ("region", "eu")]).expect("valid");
        let rate = RateClass::parse("bots").expect("valid");
        let limits = TokenLimits::new(NonZeroU32::new(3), NonZeroU32::new(20), Some(rate));
        let token = NewToken {
            subscribe,
            labels: labels.clone(),
            limits: limits.clone(),
            history: Some(Patterns::default()),
            audience: Some("games".into()),
            issuer: Some("us".into()),
            ..alice()
        };
        let (text, expires_at) = Signer::from_key(&signing)
            .expect("signs")
            .issue(&token, now());
        assert_eq!(expires_at, now() + Duration::from_secs(60));
        let config = VerifierConfig {
            issuer: Some("us".into()),
            audience: Some("games".into()),
            leeway: Duration::from_secs(3),
            ..VerifierConfig::default()
        };
        let keys = KeySet::new(&[verifying]).expect("usable");
        let identity = Verifier::new(keys, config)
            .verify(&text, now())
            .expect("valid");
        assert_eq!(identity.user.as_str(), "alice");
        assert_eq!(
            identity.expires_at,
            Some(expires_at + Duration::from_secs(3))
        );
        assert!(identity.token_id.is_some());
        assert_eq!(identity.labels, labels);
        assert_eq!(identity.limits, limits);
        let channel = Channel::parse("market.BTC-USD.trades", 255).expect("valid");
        assert_eq!(identity.may_subscribe(&channel), Permission::Allowed);
        assert_eq!(identity.may_publish(&channel), Permission::Unspecified);
        assert_eq!(identity.may_see_presence(&channel), Permission::Allowed);
        assert_eq!(identity.may_read_history(&channel), Permission::Denied);
    }
}

#[test]
fn a_public_key_does_not_sign() {
    let pair = KeyPair::generate_ed25519("dev");
    assert_eq!(
        Signer::from_key(&pair.verifying).map(drop),
        Err(crate::KeyError::Missing("private_key"))
    );
}

#[test]
fn time_counts_to_the_second_with_leeway() {
    let pair = KeyPair::generate_ed25519("dev");
    let (text, expires_at) = Signer::from_key(&pair.signing)
        .expect("signs")
        .issue(&alice(), now());
    let verifier = verifier(&[pair.verifying]);
    let end = expires_at + VerifierConfig::default().leeway;
    assert!(
        verifier
            .verify(&text, end - Duration::from_nanos(1))
            .is_ok()
    );
    assert_eq!(verifier.verify(&text, end), Err(TokenError::Expired));
    let leeway = VerifierConfig::default().leeway.as_secs();
    assert_eq!(refusal(json!({ "nbf": NOW_SECONDS + leeway })), None);
    assert_eq!(
        refusal(json!({ "nbf": NOW_SECONDS + leeway + 1 })),
        Some(TokenError::NotYetValid)
    );
    assert_eq!(
        refusal(json!({ "exp": NOW_SECONDS as f64 - leeway as f64 + 0.5 })),
        None
    );
}

#[test]
fn claims_of_the_wrong_type_are_refused() {
    for claims in [
        json!({ "sub": 7 }),
        json!({ "sub": null }),
        json!({ "exp": "1800000000" }),
        json!({ "exp": null }),
        json!({ "exp": -1 }),
        json!({ "exp": 1e300 }),
        json!({ "nbf": true }),
        json!({ "iat": [] }),
        json!({ "aud": 7 }),
        json!({ "aud": [7] }),
        json!({ "jti": 7 }),
        json!({ "tg": null }),
        json!({ "tg": [["room.*"]] }),
        json!({ "tg": { "subscribe": "room.*" } }),
        json!({ "tg": { "publish": [1] } }),
        json!({ "tg": { "routes": null } }),
        json!({ "tg": { "labels": ["tier"] } }),
        json!({ "tg": { "labels": { "tier": 1 } } }),
        json!({ "tg": { "labels": null } }),
    ] {
        assert_eq!(
            refusal(claims.clone()),
            Some(TokenError::Claims),
            "{claims}"
        );
    }
}

#[test]
fn each_claim_has_its_refusal() {
    let too_many = vec!["a"; Patterns::MAX + 1];
    for (claims, error) in [
        (json!({ "sub": "" }), TokenError::Subject),
        (json!({ "sub": "a\u{0}b" }), TokenError::Subject),
        (json!({ "jti": "" }), TokenError::TokenId),
        (json!({ "jti": "x".repeat(256) }), TokenError::TokenId),
        (json!({ "exp": 0 }), TokenError::Expired),
        (json!({ "aud": "somebody" }), TokenError::Audience),
        (
            json!({ "tg": { "subscribe": ["a..b"] } }),
            TokenError::Permissions(PatternError::EmptyToken),
        ),
        (
            json!({ "tg": { "publish": too_many } }),
            TokenError::Permissions(PatternError::TooMany),
        ),
        (
            json!({ "tg": { "labels": { "a.b": "c" } } }),
            TokenError::Labels(LabelError::Name),
        ),
        (
            json!({ "tg": { "labels": { "tier": "" } } }),
            TokenError::Labels(LabelError::Value),
        ),
    ] {
        assert_eq!(refusal(claims.clone()), Some(error), "{claims}");
    }
    assert_eq!(
        refusal(json!({ "unknown": { "claims": "are ignored" } })),
        None
    );
}

#[test]
fn no_token_grows_older_than_revocations_are_kept() {
    let max_age = Duration::from_secs(1_000);
    let config = VerifierConfig {
        max_age,
        ..VerifierConfig::default()
    };
    let verdict = |issued: Option<u64>, expiry: u64| {
        let mut claims = json!({ "exp": expiry });
        if let Some(issued) = issued {
            claims["iat"] = issued.into();
        }
        let identity = verdict(config.clone(), claims)?;
        let expires_at = identity.expires_at.expect("it expires");
        let until = expires_at.duration_since(now()).expect("to come");
        Ok((until - config.leeway).as_secs())
    };
    let year = NOW_SECONDS + 31_536_000;
    assert_eq!(verdict(Some(NOW_SECONDS - 400), year), Ok(600));
    assert_eq!(verdict(Some(NOW_SECONDS - 400), NOW_SECONDS + 5), Ok(5));
    assert_eq!(
        verdict(Some(NOW_SECONDS - 1_020), year),
        Err(TokenError::Expired)
    );
    assert_eq!(
        verdict(Some(NOW_SECONDS + 11), year),
        Err(TokenError::NotYetValid)
    );
    assert_eq!(verdict(None, year), Err(TokenError::Lifetime));
    assert_eq!(verdict(None, NOW_SECONDS + 1_000), Ok(1_000));
}

#[test]
fn issuer_and_audience_must_be_those_of_the_configuration() {
    let config = VerifierConfig {
        issuer: Some("us".into()),
        audience: Some("games".into()),
        ..VerifierConfig::default()
    };
    let verdict = |claims| verdict(config.clone(), claims).map(drop);
    assert_eq!(verdict(json!({ "iss": "us", "aud": "games" })), Ok(()));
    assert_eq!(
        verdict(json!({ "iss": "us", "aud": ["other", "games"] })),
        Ok(())
    );
    assert_eq!(
        verdict(json!({ "iss": "them", "aud": "games" })),
        Err(TokenError::Issuer)
    );
    assert_eq!(verdict(json!({ "aud": "games" })), Err(TokenError::Issuer));
    assert_eq!(verdict(json!({ "iss": "us" })), Err(TokenError::Audience));
    assert_eq!(
        verdict(json!({ "iss": "us", "aud": [] })),
        Err(TokenError::Audience)
    );
}

#[test]
fn a_missing_expiry_is_refused_unless_allowed() {
    let verifier = |allow_no_expiry| {
        let keys = KeySet::new(&[hmac_key(None, SECRET)]).expect("usable keys");
        Verifier::new(
            keys,
            VerifierConfig {
                allow_no_expiry,
                ..VerifierConfig::default()
            },
        )
    };
    let token = forge(
        &json!({ "alg": "HS256" }),
        &json!({ "sub": "alice" }),
        SECRET,
    );
    assert_eq!(
        verifier(false).verify(&token, now()),
        Err(TokenError::NoExpiry)
    );
    assert_eq!(
        verifier(true)
            .verify(&token, now())
            .expect("valid")
            .expires_at,
        None
    );
}

#[test]
fn the_algorithm_is_that_of_the_key_and_not_of_the_token() {
    let pair = KeyPair::generate_ed25519("dev");
    let public = pair.verifying.public_key.clone().expect("public");
    let public = URL_SAFE_NO_PAD.decode(public.expose()).expect("base64url");
    let claims = json!({ "sub": "alice", "exp": NOW_SECONDS + 60 });
    let ed_only = verifier(std::slice::from_ref(&pair.verifying));
    let both = verifier(&[pair.verifying, hmac_key(Some("hmac"), SECRET)]);
    for header in [
        json!({ "alg": "HS256" }),
        json!({ "alg": "HS256", "kid": "dev" }),
    ] {
        let confused = forge(&header, &claims, &public);
        assert_eq!(
            ed_only.verify(&confused, now()),
            Err(TokenError::Algorithm),
            "{header}"
        );
        assert!(both.verify(&confused, now()).is_err(), "{header}");
    }
    let other_kid = forge(&json!({ "alg": "HS256", "kid": "dev" }), &claims, SECRET);
    assert_eq!(both.verify(&other_kid, now()), Err(TokenError::Algorithm));
    for algorithm in ["none", "None", "", "HS512", "RS256", "eddsa"] {
        let token = forge(&json!({ "alg": algorithm }), &claims, SECRET);
        assert_eq!(
            both.verify(&token, now()),
            Err(TokenError::Algorithm),
            "{algorithm}"
        );
    }
    let unsigned = format!("{}.{}.", encode(&json!({ "alg": "none" })), encode(&claims));
    assert_eq!(both.verify(&unsigned, now()), Err(TokenError::Algorithm));
}

#[test]
fn a_named_key_must_exist_and_an_unnamed_one_is_sought() {
    let verifier = verifier(&[
        hmac_key(Some("old"), &[1; 32]),
        hmac_key(Some("new"), SECRET),
    ]);
    let claims = json!({ "sub": "alice", "exp": NOW_SECONDS + 60 });
    let verdict = |header: Value| {
        verifier
            .verify(&forge(&header, &claims, SECRET), now())
            .map(drop)
    };
    assert_eq!(verdict(json!({ "alg": "HS256" })), Ok(()));
    assert_eq!(verdict(json!({ "alg": "HS256", "kid": "new" })), Ok(()));
    assert_eq!(
        verdict(json!({ "alg": "HS256", "kid": "old" })),
        Err(TokenError::Signature)
    );
    assert_eq!(
        verdict(json!({ "alg": "HS256", "kid": "other" })),
        Err(TokenError::UnknownKey)
    );
    assert_eq!(
        verdict(json!({ "alg": "HS256", "crit": ["exp"] })),
        Err(TokenError::CriticalHeader)
    );
}

#[test]
fn broken_texts_are_malformed() {
    let verifier = verifier(&[hmac_key(None, SECRET)]);
    let good = forge(
        &json!({ "alg": "HS256" }),
        &json!({ "sub": "a", "exp": NOW_SECONDS + 60 }),
        SECRET,
    );
    assert!(verifier.verify(&good, now()).is_ok());
    for token in [
        "".into(),
        "a".into(),
        "a.b".into(),
        "..".into(),
        format!("{good}.x"),
        format!("{good}="),
        format!(" {good}"),
    ] {
        assert_eq!(
            verifier.verify(&token, now()),
            Err(TokenError::Malformed),
            "{token}"
        );
    }
    assert_eq!(
        verifier.verify(&"a".repeat(8193), now()),
        Err(TokenError::TooLong)
    );
    let array = forge(&json!({ "alg": "HS256" }), &json!(["alice"]), SECRET);
    assert_eq!(verifier.verify(&array, now()), Err(TokenError::Claims));
    let array = forge(
        &json!(["HS256"]),
        &json!({ "sub": "a", "exp": NOW_SECONDS + 60 }),
        SECRET,
    );
    assert_eq!(verifier.verify(&array, now()), Err(TokenError::Malformed));
}

proptest! {
    #[test]
    fn arbitrary_texts_never_verify(token in "\\PC{0,64}", parts in "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){0,4}") {
        let verifier = verifier(&[hmac_key(None, SECRET), KeyPair::generate_ed25519("dev").verifying]);
        prop_assert!(verifier.verify(&token, now()).is_err());
        prop_assert!(verifier.verify(&parts, now()).is_err());
    }

    #[test]
    fn a_token_changed_anywhere_never_verifies(at: prop::sample::Index, replacement in "[A-Za-z0-9_.=-]") {
        let pair = KeyPair::generate_ed25519("dev");
        let (token, _) = Signer::from_key(&pair.signing).expect("signs").issue(&alice(), now());
        let at = at.index(token.len());
        let changed = format!("{}{replacement}{}", &token[..at], &token[at + 1..]);
        prop_assume!(changed != token);
        prop_assert!(verifier(&[pair.verifying]).verify(&changed, now()).is_err());
    }
}

#[test]
fn limits_are_positive_numbers_and_a_class() {
    for tg in [
        json!({ "max_connections": 0 }),
        json!({ "max_connections": -1 }),
        json!({ "max_subscriptions": "9" }),
        json!({ "max_subscriptions": u64::from(u32::MAX) + 1 }),
        json!({ "rate": 5 }),
        json!({ "presence": null }),
    ] {
        assert_eq!(refusal(json!({ "tg": tg })), Some(TokenError::Claims));
    }
    assert!(matches!(
        refusal(json!({ "tg": { "rate": "very fast" } })),
        Some(TokenError::Rate(_))
    ));
}

#[test]
fn a_pattern_may_name_the_user_and_no_id_becomes_a_wildcard() {
    let may = |user: &str, name: &str| {
        let claims = json!({ "sub": user, "tg": { "subscribe": ["user.$user.>", "lobby"] } });
        let identity = verdict(VerifierConfig::default(), claims).expect("valid");
        identity.may_subscribe(&Channel::parse(name, 255).expect("valid"))
    };
    assert_eq!(may("alice", "user.alice.orders"), Permission::Allowed);
    assert_eq!(may("alice", "user.bob.orders"), Permission::Denied);
    for user in ["*", ">", "bob.orders", "a b", "$user"] {
        assert_eq!(may(user, "user.bob.orders"), Permission::Denied, "{user}");
        assert_eq!(may(user, "lobby"), Permission::Allowed, "{user}");
    }
}
