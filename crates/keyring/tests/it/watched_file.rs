//! Keys in a file that changes.

use std::{fs, path::PathBuf, process, time::Duration};

use keyring::{Keyring, KeyringError, Origin, Settings};
use tokio::task::yield_now;

use crate::issuer::{Running, key, set, source, verifier};

/// A file of this test alone.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str) -> Self {
        let name = format!("tidegate-keyring-{}-{name}", process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn write(&self, text: &str) {
        let next = self.0.with_extension("next");
        fs::write(&next, text).expect("can be written");
        fs::rename(next, &self.0).expect("can be renamed");
    }

    fn keyring(&self) -> Result<Keyring, KeyringError> {
        let (verifier, issuer) = verifier();
        let settings = Settings {
            poll: Duration::from_millis(1),
            ..Settings::default()
        };
        let source = source(issuer, Origin::File(self.0.clone()));
        Keyring::new(verifier, &[source], &settings)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_file_is_read_anew_when_it_changes_and_what_is_wrong_is_not_taken() {
    let [old, new] = [key("1"), key("2")];
    let file = TempFile::new("changes");
    file.write(&set(&[&old]));
    let keyring = Running::new(file.keyring().expect("has keys"));
    assert!(keyring.knows(&old.token()));
    file.write("half of a set");
    file.write(&new.jwk.to_string());
    while !keyring.knows(&new.token()) {
        assert!(keyring.knows(&old.token()) || keyring.knows(&new.token()));
        yield_now().await;
    }
    assert!(!keyring.knows(&old.token()));
    assert!(keyring.verify(&old.token()).await.is_err());
}

#[tokio::test]
async fn a_file_without_keys_is_an_error_from_the_start() {
    let file = TempFile::new("empty");
    assert!(matches!(file.keyring(), Err(KeyringError::File { .. })));
    file.write("{}");
    assert!(matches!(file.keyring(), Err(KeyringError::File { .. })));
}
