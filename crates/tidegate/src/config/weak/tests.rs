//! What is refused, and that the list has all that the repository shows.

use std::{fs, path::Path};

use super::{super::SigningKeyEntry, *};

/// Files with examples, by how their names end.
const EXAMPLES: [&str; 7] = ["toml", "md", "yml", "yaml", "sh", "py", "cjs"];

/// Folders that hold no examples of ours.
const SKIPPED: [&str; 4] = ["target", "node_modules", "corpus", ".git"];

/// Text in quotes that could be 32 bytes or more in base64url, or a key of NATS.
fn candidates(text: &str) -> impl Iterator<Item = &str> {
    let is_key = |text: &&str| {
        let url_safe = text.replace('+', "-").replace('/', "_");
        let has_bytes = URL_SAFE_NO_PAD.decode(url_safe.trim_end_matches('='));
        text.len() >= 43
            && has_bytes.is_ok_and(|bytes| bytes.len() >= 32)
            && text.bytes().any(|byte| byte.is_ascii_uppercase())
    };
    text.split(['"', '\'', '`', ' ', '\n', '\\']).filter(is_key)
}

fn examples(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() && !SKIPPED.contains(&&*name) && !name.starts_with('.') {
            examples(&path, found);
        }
        let ends = |ending: &&str| name.ends_with(&format!(".{ending}"));
        if path.is_file() && EXAMPLES.iter().any(ends) {
            let text = fs::read_to_string(&path).unwrap_or_default();
            for key in candidates(&text) {
                found.push((path.display().to_string(), key.to_owned()));
            }
        }
    }
}

#[test]
fn every_key_that_the_repository_shows_is_refused() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    examples(&root, &mut found);
    assert!(!found.is_empty(), "the README has a key");
    let missing = found.iter().filter(|(_, key)| why(key).is_none());
    let line = |(file, key): &(String, String)| {
        let hash = ApiKeyHash::of(&normal(key));
        format!("{file}: {key} {hash}")
    };
    let missing: Vec<_> = missing.map(line).collect();
    assert!(missing.is_empty(), "not in PUBLISHED: {missing:#?}");
}

#[test]
fn trivial_ones_are_refused_and_random_ones_are_not() {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let counting: Vec<u8> = (7..39).collect();
    for weak in [
        encode(&[0; 32]),
        encode(&[0xff; 40]),
        encode(&counting),
        encode(b"this-is-my-very-long-secret-key!"),
        encode(b"ChangeMeChangeMeChangeMeChangeMe"),
        "s3cr3t-or-Password".to_owned(),
        String::new(),
    ] {
        assert!(why(&weak).is_some(), "{weak}");
    }
    for _ in 0..100 {
        let key = auth::KeyPair::generate_ed25519("a").signing.private_key;
        let key = key.expect("a pair");
        assert_eq!(why(key.expose()), None);
    }
}

#[test]
fn the_place_is_named_and_the_secret_is_not() {
    let mut config = Config::default();
    config.refuse_known_secrets().expect("there are none");
    config.control.signing_key.push(SigningKeyEntry {
        id: None,
        file: None,
        private_key: Some(Secret::new(
            "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
             -----END PRIVATE KEY-----\n",
        )),
        not_before: None,
    });
    let error = config
        .refuse_known_secrets()
        .expect_err("published")
        .to_string();
    let expected = "control.signing_key: stands in the public repository";
    assert!(error.starts_with(expected), "{error}");
    config.control.signing_key.clear();
    config.nats.password = Some(Secret::new("my-password"));
    let error = config.refuse_known_secrets().expect_err("weak").to_string();
    assert!(
        error.starts_with("nats.password: is made of words"),
        "{error}"
    );
    assert!(!error.contains("my-password"), "{error}");
}
