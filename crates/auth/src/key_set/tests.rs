//! Which configured keys are usable, and what is wrong with the others.

use super::*;
use crate::{KeyMaterial, KeyPair};

/// RFC 8410 section 10: the examples of both kinds.
const PUBLIC_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
const PRIVATE_PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn key(algorithm: Algorithm) -> KeyConfig {
    KeyConfig {
        id: None,
        algorithm,
        secret: None,
        public_key: None,
        private_key: None,
    }
}

fn text(text: &str) -> Option<KeyMaterial> {
    Some(KeyMaterial::new(text))
}

fn refusal(config: KeyConfig) -> KeyError {
    match KeySet::new(&[config]) {
        Err(KeySetError::Key { index: 0, source }) => source,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn keys_are_read_as_pem_and_as_base64url() {
    let pem = KeyConfig {
        public_key: text(PUBLIC_PEM),
        private_key: text(PRIVATE_PEM),
        ..key(Algorithm::EdDsa)
    };
    let secret = secret(&format!("{SECRET}=\n"));
    let pair = KeyPair::generate_ed25519("dev");
    assert!(KeySet::new(&[pem, secret, pair.verifying]).is_ok());
    assert!(KeySet::new(&[pair.signing]).is_ok());
}

fn secret(secret: &str) -> KeyConfig {
    KeyConfig {
        secret: text(secret),
        ..key(Algorithm::Hs256)
    }
}

fn public(public: &str) -> KeyConfig {
    KeyConfig {
        public_key: text(public),
        ..key(Algorithm::EdDsa)
    }
}

fn private(private: &str) -> KeyConfig {
    KeyConfig {
        private_key: text(private),
        ..key(Algorithm::EdDsa)
    }
}

#[test]
fn unusable_keys_are_refused_with_their_cause() {
    for (config, error) in [
        (key(Algorithm::Hs256), KeyError::Missing("secret")),
        (key(Algorithm::EdDsa), KeyError::Missing("public_key")),
        (secret("c2hvcnQ"), KeyError::ShortSecret),
        (secret("not base64"), KeyError::Encoding("secret")),
        (public("c2hvcnQ"), KeyError::NotEd25519("public_key")),
        (public("not base64"), KeyError::Encoding("public_key")),
        (public(PRIVATE_PEM), KeyError::NotEd25519("public_key")),
        (private("c2hvcnQ"), KeyError::NotEd25519("private_key")),
        (private(PUBLIC_PEM), KeyError::NotEd25519("private_key")),
    ] {
        assert_eq!(refusal(config), error);
    }
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let algorithm = Algorithm::EdDsa;
    let unexpected = |config| KeyConfig {
        algorithm,
        ..config
    };
    assert_eq!(
        refusal(unexpected(secret(SECRET))),
        KeyError::Unexpected("secret")
    );
    let algorithm = Algorithm::Hs256;
    let unexpected = |config| KeyConfig {
        algorithm,
        secret: text(SECRET),
        ..config
    };
    assert_eq!(
        refusal(unexpected(public(PUBLIC_PEM))),
        KeyError::Unexpected("public_key")
    );
    assert_eq!(
        refusal(unexpected(private(PRIVATE_PEM))),
        KeyError::Unexpected("private_key")
    );
    let other = KeyPair::generate_ed25519("dev").signing;
    assert_eq!(
        refusal(KeyConfig {
            public_key: text(PUBLIC_PEM),
            ..other
        }),
        KeyError::Mismatch
    );
}

#[test]
fn ids_are_unique_and_may_be_absent() {
    let secret = secret(SECRET);
    assert!(KeySet::new(&[secret.clone(), secret.clone()]).is_ok());
    let named = KeyConfig {
        id: Some("a".into()),
        ..secret
    };
    assert_eq!(
        KeySet::new(&[named.clone(), named]).map(drop),
        Err(KeySetError::DuplicateId { index: 1 })
    );
}
