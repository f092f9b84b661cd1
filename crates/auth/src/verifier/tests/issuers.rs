//! Several issuers, keys of all kinds, and what somebody with a public key would try.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::engine::general_purpose::STANDARD;

use super::*;

const GAMES: &str = "https://games.example";
const SHOP: &str = "https://shop.example";

/// Somebody who signs with a key of a kind that we only verify.
enum Stranger {
    Ec(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl Stranger {
    fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("random"))
    }

    fn rsa() -> Self {
        Self::Rsa(Box::new(
            RsaKeyPair::generate(KeySize::Rsa2048).expect("random"),
        ))
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ec(_) => Algorithm::Es256,
            Self::Rsa(_) => Algorithm::Rs256,
        }
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let random = SystemRandom::new();
        let signature = match self {
            Self::Ec(pair) => {
                let signature = pair.sign(&random, message.as_bytes()).expect("signs");
                signature.as_ref().to_vec()
            }
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &random,
                    message.as_bytes(),
                    &mut signature,
                )
                .expect("signs");
                signature
            }
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Ec(pair) => pair.public_key().as_der().expect("can be written"),
            Self::Rsa(pair) => pair.public_key().as_der().expect("can be written"),
        };
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<_> = text.as_bytes().chunks(64).collect();
        let lines = lines.join(&b'\n');
        let body = str::from_utf8(&lines).expect("ASCII");
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    }

    fn jwk(&self, id: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ec(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (text(&point[1..33]), text(&point[33..]));
                json!({ "kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "x": x, "y": y })
            }
            Self::Rsa(pair) => {
                let key = pair.public_key();
                let n = text(key.modulus().big_endian_without_leading_zero());
                let e = text(key.exponent().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "kid": id, "alg": "RS256", "n": n, "e": e })
            }
        }
    }

    fn key(&self, public_key: String) -> KeyConfig {
        KeyConfig {
            algorithm: self.algorithm(),
            secret: None,
            public_key: Some(KeyMaterial::new(public_key)),
            ..hmac_key(None, SECRET)
        }
    }
}

fn strangers() -> [Stranger; 2] {
    [Stranger::ec(), Stranger::rsa()]
}

fn claims_of(issuer: &str) -> Value {
    json!({ "sub": "alice", "exp": NOW_SECONDS + 60, "iss": issuer })
}

fn config_of(issuer: &str) -> VerifierConfig {
    VerifierConfig {
        issuer: Some(issuer.into()),
        ..VerifierConfig::default()
    }
}

fn public(jwks: &Value) -> KeySet {
    KeySet::read_public(&jwks.to_string(), &Algorithm::PUBLIC).expect("a usable set")
}

#[test]
fn keys_as_pem_and_as_jwk_verify_what_they_have_signed() {
    for stranger in strangers() {
        let claims = json!({ "sub": "alice", "exp": NOW_SECONDS + 60 });
        let name = stranger.algorithm().name();
        let token = stranger.token(&json!({ "alg": name }), &claims);
        for text in [stranger.pem(), stranger.jwk("k").to_string()] {
            let verifier = verifier(&[stranger.key(text)]);
            assert!(verifier.verify(&token, now()).is_ok(), "{name}");
            let other = match stranger {
                Stranger::Ec(_) => Stranger::ec(),
                Stranger::Rsa(_) => Stranger::rsa(),
            };
            let forged = other.token(&json!({ "alg": name }), &claims);
            assert_eq!(verifier.verify(&forged, now()), Err(TokenError::Signature));
        }
    }
}

#[test]
fn no_algorithm_and_a_public_key_as_secret_get_nobody_in() {
    for stranger in strangers() {
        let claims = json!({ "sub": "alice", "exp": NOW_SECONDS + 60 });
        let pem = stranger.pem();
        let jwk = stranger.jwk("k").to_string();
        for (material, secret) in [(pem.clone(), pem.as_bytes()), (jwk.clone(), jwk.as_bytes())] {
            let verifier = verifier(&[stranger.key(material)]);
            for header in [
                json!({ "alg": "HS256" }),
                json!({ "alg": "HS256", "kid": "k" }),
            ] {
                let token = forge(&header, &claims, secret);
                let refusal = verifier.verify(&token, now()).expect_err("forged");
                let expected = [TokenError::Algorithm, TokenError::UnknownKey];
                assert!(expected.contains(&refusal), "{refusal}");
            }
            let unsigned = format!("{}.{}.", encode(&json!({ "alg": "none" })), encode(&claims));
            let refusal = verifier.verify(&unsigned, now());
            assert_eq!(refusal, Err(TokenError::Algorithm));
        }
    }
}

#[test]
fn each_issuer_is_tried_with_its_own_keys_alone() {
    let [ec, rsa] = strangers();
    let mut verifier = verifier(&[hmac_key(Some("ours"), SECRET)]);
    verifier.add_issuer(public(&json!({ "keys": [ec.jwk("k")] })), config_of(GAMES));
    verifier.add_issuer(public(&json!({ "keys": [rsa.jwk("k")] })), config_of(SHOP));
    let ask = |stranger: &Stranger, issuer: &str| {
        let header = json!({ "alg": stranger.algorithm().name(), "kid": "k" });
        let token = stranger.token(&header, &claims_of(issuer));
        verifier.verify(&token, now()).map(drop)
    };
    assert_eq!(ask(&ec, GAMES), Ok(()));
    assert_eq!(ask(&rsa, SHOP), Ok(()));
    assert_eq!(ask(&ec, SHOP), Err(TokenError::Algorithm));
    assert_eq!(ask(&rsa, GAMES), Err(TokenError::Algorithm));
    // The first issuer asks for no name: it gets what is nobody else's.
    assert_eq!(
        ask(&ec, "https://else.example"),
        Err(TokenError::UnknownKey)
    );
    let ours = forge(
        &json!({ "alg": "HS256", "kid": "ours" }),
        &claims_of(GAMES),
        SECRET,
    );
    assert_eq!(verifier.verify(&ours, now()), Err(TokenError::UnknownKey));
}

#[test]
fn without_keys_of_our_own_other_issuers_are_unknown() {
    let mut verifier = verifier(&[]);
    verifier.add_issuer(KeySet::default(), config_of(GAMES));
    let token = |issuer| forge(&json!({ "alg": "HS256" }), &claims_of(issuer), SECRET);
    assert_eq!(
        verifier.verify(&token(SHOP), now()),
        Err(TokenError::Issuer)
    );
    assert_eq!(
        verifier.verify(&token(GAMES), now()),
        Err(TokenError::UnknownKey)
    );
}

#[test]
fn an_unknown_key_is_named_and_can_be_brought() {
    let [old, new] = [Stranger::ec(), Stranger::ec()];
    let mut verifier = verifier(&[]);
    let games = verifier.add_issuer(public(&json!({ "keys": [old.jwk("1")] })), config_of(GAMES));
    let token = new.token(&json!({ "alg": "ES256", "kid": "2" }), &claims_of(GAMES));
    assert_eq!(verifier.verify(&token, now()), Err(TokenError::UnknownKey));
    assert_eq!(verifier.unknown_key(&token), Some((games, "2".into())));
    verifier.replace_keys(games, public(&json!({ "keys": [new.jwk("2")] })));
    assert_eq!(verifier.unknown_key(&token), None);
    assert!(verifier.verify(&token, now()).is_ok());
    let former = old.token(&json!({ "alg": "ES256", "kid": "1" }), &claims_of(GAMES));
    assert_eq!(verifier.verify(&former, now()), Err(TokenError::UnknownKey));
}

#[test]
fn no_token_gets_more_than_its_issuer_may_give() {
    let stranger = Stranger::ec();
    let list = |texts: &[&str]| Some(Patterns::parse(texts).expect("valid"));
    let ceilings = Arc::new(Ceilings {
        subscribe: list(&["games.>", "user.$user.*"]),
        publish: list(&[]),
        routes: None,
    });
    let mut verifier = verifier(&[]);
    let config = VerifierConfig {
        ceilings,
        ..config_of(GAMES)
    };
    verifier.add_issuer(public(&json!({ "keys": [stranger.jwk("k")] })), config);
    let identity = |tg: Value| {
        let mut claims = claims_of(GAMES);
        claims["tg"] = tg;
        let token = stranger.token(&json!({ "alg": "ES256" }), &claims);
        verifier.verify(&token, now()).expect("valid")
    };
    let channel = |name: &str| Channel::parse(name, 255).expect("valid");
    let greedy = identity(json!({ "subscribe": [">"], "publish": [">"], "history": [">"] }));
    assert_eq!(
        greedy.may_subscribe(&channel("games.1")),
        Permission::Allowed
    );
    assert_eq!(
        greedy.may_subscribe(&channel("user.alice.x")),
        Permission::Allowed
    );
    assert_eq!(
        greedy.may_subscribe(&channel("user.bob.x")),
        Permission::Denied
    );
    assert_eq!(
        greedy.may_read_history(&channel("user.bob.x")),
        Permission::Denied
    );
    assert_eq!(greedy.may_publish(&channel("games.1")), Permission::Denied);
    assert_eq!(greedy.may_call("orders.place"), Permission::Unspecified);
    let silent = identity(json!({}));
    assert_eq!(
        silent.may_subscribe(&channel("games.1")),
        Permission::Unspecified
    );
    assert_eq!(
        silent.may_subscribe(&channel("market.1")),
        Permission::Denied
    );
}
