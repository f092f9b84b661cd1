//! An issuer of tokens, with an address that serves what the test wants.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use auth::{
    Algorithm, Identity, IssuerId, KeyPair, KeySet, NewToken, Signer, Verifier, VerifierConfig,
};
use keyring::{Keyring, Origin, Settings, Source, VerifyError};
use lifecycle::Scope;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use wire::UserId;

const NAME: &str = "https://issuer.example";

/// A key of the issuer.
pub(crate) struct Key {
    signer: Signer,
    pub(crate) jwk: Value,
}

/// The address of the issuer's set.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    /// Requests that were answered.
    hits: Arc<AtomicUsize>,
    answer: Arc<Mutex<String>>,
    _scope: Scope,
}

/// A keyring that runs while this is there.
pub(crate) struct Running {
    keyring: Arc<Keyring>,
    scope: Scope,
}

pub(crate) fn key(id: &str) -> Key {
    let pair = KeyPair::generate_ed25519(id);
    let x = pair.verifying.public_key.expect("a public key");
    Key {
        signer: Signer::from_key(&pair.signing).expect("signs"),
        jwk: json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": x.expose() }),
    }
}

pub(crate) fn set(keys: &[&Key]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| &key.jwk).collect();
    json!({ "keys": keys }).to_string()
}

/// Fetches nothing again by itself; for unknown keys as the test wants.
pub(crate) fn settings(gap: Duration) -> Settings {
    Settings {
        refresh: Duration::from_secs(3600),
        gap,
        ..Settings::default()
    }
}

pub(crate) fn verifier() -> (Arc<Verifier>, IssuerId) {
    let mut verifier = Verifier::new(KeySet::default(), VerifierConfig::default());
    let config = VerifierConfig {
        issuer: Some(NAME.into()),
        ..VerifierConfig::default()
    };
    let issuer = verifier.add_issuer(KeySet::default(), config);
    (Arc::new(verifier), issuer)
}

pub(crate) fn source(issuer: IssuerId, origin: Origin) -> Source {
    Source {
        issuer,
        name: NAME.into(),
        algorithms: Algorithm::PUBLIC.into(),
        origin,
    }
}

// === impl Key ===

impl Key {
    pub(crate) fn token(&self) -> String {
        let user = UserId::new("alice").expect("valid");
        let token = NewToken {
            issuer: Some(NAME.into()),
            ..NewToken::new(user, Duration::from_secs(3600))
        };
        self.signer.issue(&token, SystemTime::now()).0
    }
}

// === impl Served ===

impl Served {
    pub(crate) async fn new(body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let scope = Scope::root();
        let (hits, answer) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let served = Self {
            address,
            hits: hits.clone(),
            answer: Arc::clone(&answer),
            _scope: scope.clone(),
        };
        served.answer("200 OK", "", body);
        scope.spawn_cancellable("issuer", serve(listener, hits, answer));
        served
    }

    pub(crate) fn answer(&self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        *self.answer.lock() = format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        );
    }

    pub(crate) fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    pub(crate) fn keyring(&self, settings: &Settings) -> Running {
        let (verifier, issuer) = verifier();
        let url = format!("http://{}/keys", self.address);
        let source = source(issuer, Origin::Url(url));
        Running::new(Keyring::new(verifier, &[source], settings).expect("valid settings"))
    }
}

async fn serve(listener: TcpListener, hits: Arc<AtomicUsize>, answer: Arc<Mutex<String>>) {
    loop {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read_buf(&mut request).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
        }
        hits.fetch_add(1, Ordering::SeqCst);
        let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let known = head.contains("if-none-match: \"v1\"");
        let answer = match known {
            true => "HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n".to_owned(),
            false => answer.lock().clone(),
        };
        // The client may refuse the rest of an answer that is too long.
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

// === impl Running ===

impl Running {
    pub(crate) fn new(keyring: Keyring) -> Self {
        let (keyring, scope) = (Arc::new(keyring), Scope::root());
        scope.spawn_cancellable("keyring", keyring.clone().run());
        Self { keyring, scope }
    }

    pub(crate) async fn verify(&self, token: &str) -> Result<Identity, VerifyError> {
        self.keyring.verify(token, SystemTime::now()).await
    }

    /// Whether the keys that are there now are enough.
    pub(crate) fn knows(&self, token: &str) -> bool {
        let verifier = self.keyring.verifier();
        verifier.verify(token, SystemTime::now()).is_ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.scope.cancel();
    }
}
