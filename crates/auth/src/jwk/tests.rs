//! What is taken of sets that others publish, and what is passed over.

use serde_json::json;

use super::*;

/// RFC 8037 appendix A.2, RFC 7515 appendix A.3.1.
const ED25519_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const P256: [&str; 2] = [
    "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
];

fn count(keys: &Value) -> Result<usize, PublicKeysError> {
    read(&json!({ "keys": keys }).to_string(), &Algorithm::PUBLIC, 4).map(|keys| keys.len())
}

fn modulus(bytes: usize) -> String {
    URL_SAFE_NO_PAD.encode(vec![0xff; bytes])
}

#[test]
fn keys_to_verify_with_are_taken() {
    let [x, y] = P256;
    for key in [
        json!({ "kty": "OKP", "crv": "Ed25519", "x": ED25519_X }),
        json!({ "kty": "OKP", "crv": "Ed25519", "x": ED25519_X, "alg": "EdDSA", "use": "sig" }),
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "key_ops": ["verify"] }),
        json!({ "kty": "RSA", "n": modulus(256), "e": "AQAB", "x5t": "whatever" }),
        json!({ "kty": "RSA", "n": modulus(512), "e": "AQAB" }),
    ] {
        assert_eq!(count(&json!([key])), Ok(1), "{key}");
        let alone = read(&key.to_string(), &Algorithm::PUBLIC, 4);
        assert_eq!(alone.map(|keys| keys.len()), Ok(1), "{key}");
    }
}

#[test]
fn all_else_is_passed_over() {
    let [x, y] = P256;
    let good = json!({ "kty": "OKP", "crv": "Ed25519", "x": ED25519_X });
    for key in [
        json!({ "kty": "oct", "k": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "alg": "HS256" }),
        json!({ "kty": "OKP", "crv": "X25519", "x": ED25519_X }),
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "c2hvcnQ" }),
        json!({ "kty": "EC", "crv": "P-384", "x": x, "y": y }),
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": x }),
        json!({ "kty": "EC", "crv": "P-256", "x": x }),
        json!({ "kty": "RSA", "n": modulus(255), "e": "AQAB" }),
        json!({ "kty": "RSA", "n": modulus(513), "e": "AQAB" }),
        json!({ "kty": "RSA", "n": modulus(256), "e": "AQAB", "alg": "RS512" }),
        json!({ "kty": "RSA", "n": modulus(256), "e": "AQAB", "use": "enc" }),
        json!({ "kty": "RSA", "n": modulus(256), "e": "AQAB", "key_ops": ["encrypt"] }),
        json!({ "kty": "RSA", "n": modulus(256), "e": 65537 }),
        json!({ "kty": "of tomorrow" }),
        json!("no object"),
    ] {
        assert_eq!(count(&json!([key, good])), Ok(1), "{key}");
        assert_eq!(count(&json!([key])), Err(PublicKeysError::Useless), "{key}");
    }
    let id = "k".repeat(MAX_ID_BYTES + 1);
    let mut long = good.clone();
    long["kid"] = id.into();
    assert_eq!(count(&json!([long])), Err(PublicKeysError::Useless));
    let text = json!({ "keys": [good] }).to_string();
    let foreign = read(&text, &[Algorithm::Rs256], 4).map(drop);
    assert_eq!(foreign, Err(PublicKeysError::Useless));
}

#[test]
fn what_is_no_set_is_an_error() {
    for text in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":[}"#,
        "certainly not",
    ] {
        let refusal = read(text, &Algorithm::PUBLIC, 4).map(drop);
        assert_eq!(refusal, Err(PublicKeysError::Malformed), "{text}");
    }
    let good = json!({ "kty": "OKP", "crv": "Ed25519", "x": ED25519_X });
    assert_eq!(count(&json!([good, good, good, good])), Ok(4));
    let many = json!([good, good, good, good, good]);
    assert_eq!(count(&many), Err(PublicKeysError::TooMany));
}

#[test]
fn a_file_may_hold_several_keys_in_pem() {
    const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    let read = |text: &str| read(text, &Algorithm::PUBLIC, 2).map(|keys| keys.len());
    assert_eq!(read(PEM), Ok(1));
    assert_eq!(read(&format!("# mine\n{PEM}{PEM}")), Ok(2));
    assert_eq!(read(&PEM.repeat(3)), Err(PublicKeysError::TooMany));
    let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(read(&format!("{certificate}{PEM}")), Ok(1));
    assert_eq!(read(certificate), Err(PublicKeysError::Useless));
}
