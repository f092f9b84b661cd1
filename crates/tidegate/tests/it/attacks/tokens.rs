//! Tokens that must not open anything.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use testkit::{Tokens, forge_hs256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};

use super::{claims, cluster, header, now, outcome};

const PARTNER: &str = "https://partner.example";

/// Two issuers whose tokens are taken: ours, and a partner with a name and an
/// audience.
struct Issuers<'a> {
    ours: &'a Tokens,
    partner: &'a Tokens,
}

/// What is tried, and the token.
type Attempt = (&'static str, String);

impl Issuers<'_> {
    /// Signed by us, with these claims over valid ones.
    fn ours(&self, changes: Value) -> String {
        self.ours.forge(&header(), &claims(changes))
    }

    /// Signed by the partner, likewise.
    fn theirs(&self, changes: Value) -> String {
        let mut all = json!({ "iss": PARTNER, "aud": "tidegate" });
        let fields = all.as_object_mut().expect("an object");
        fields.extend(changes.as_object().expect("an object").clone());
        let header = json!({ "alg": "EdDSA", "kid": "p1" });
        self.partner.forge(&header, &claims(all))
    }

    fn with_wrong_claims(&self) -> Vec<Attempt> {
        let partners = json!({ "iss": PARTNER, "aud": "tidegate" });
        vec![
            ("expired", self.ours(json!({ "exp": now() - 60 }))),
            ("not valid yet", self.ours(json!({ "nbf": now() + 600 }))),
            ("of the future", self.ours(json!({ "iat": now() + 600 }))),
            ("without expiry", self.ours(json!({ "exp": null }))),
            (
                "unknown issuer",
                self.theirs(json!({ "iss": "https://evil.example" })),
            ),
            ("our key, the partner's name", self.ours(partners)),
            (
                "the partner's key, no name",
                self.partner.forge(&header(), &claims(json!({}))),
            ),
            (
                "another audience",
                self.theirs(json!({ "aud": "somebody else" })),
            ),
            (
                "an audience, and not ours",
                self.ours(json!({ "aud": "tidegate" })),
            ),
            (
                "a user with a line break",
                self.ours(json!({ "sub": "al\r\nice" })),
            ),
        ]
    }

    fn with_wrong_signatures(&self) -> Vec<Attempt> {
        let nothing = claims(json!({}));
        let by_us = |header: Value| self.ours.forge(&header, &nothing);
        let (key, text) = (self.ours.public_key(), self.ours.public_key_text());
        let hs256 = json!({ "alg": "HS256", "kid": "test" });
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": text });
        let critical = json!({ "alg": "EdDSA", "kid": "test", "crit": ["b64"] });
        vec![
            ("alg none", unsigned(&by_us(json!({ "alg": "none" })))),
            ("alg NONE", by_us(json!({ "alg": "NONE" }))),
            (
                "HS256 by the public key",
                forge_hs256(&key, &hs256, &nothing),
            ),
            (
                "HS256 by its text",
                forge_hs256(text.as_bytes(), &hs256, &nothing),
            ),
            ("EdDSA over an HMAC", forge_hs256(&key, &header(), &nothing)),
            ("no signature", unsigned(&by_us(header()))),
            (
                "another signature",
                graft(&by_us(header()), &self.theirs(json!({}))),
            ),
            ("a critical header", by_us(critical)),
            (
                "a key of its own",
                by_us(json!({ "alg": "EdDSA", "kid": "mine", "jwk": jwk })),
            ),
        ]
    }
}

/// Without its signature.
fn unsigned(token: &str) -> String {
    graft(token, ".")
}

/// With the signature of another one.
fn graft(token: &str, other: &str) -> String {
    let (message, _) = token.rsplit_once('.').expect("three parts");
    let (_, signature) = other.rsplit_once('.').expect("three parts");
    format!("{message}.{signature}")
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_not_for_us_or_not_valid_now_are_refused() {
    let partner = Tokens::new();
    let config = format!(
        "[[auth.trusted_issuer]]\nissuer = {PARTNER:?}\naudience = \"tidegate\"\n\
         [[auth.trusted_issuer.key]]\nid = \"p1\"\nalgorithm = \"EdDSA\"\npublic_key = {:?}\n",
        partner.public_key_text()
    );
    let cluster = cluster(&["gw1"], &config).await;
    let issuers = Issuers {
        ours: &cluster.tokens,
        partner: &partner,
    };
    for valid in [issuers.ours(json!({})), issuers.theirs(json!({}))] {
        assert_eq!(outcome(&cluster, &valid).await, "welcome");
    }
    assert_eq!(outcome(&cluster, "").await, "not_authenticated");
    let attempts = [issuers.with_wrong_claims(), issuers.with_wrong_signatures()];
    for (attack, token) in attempts.into_iter().flatten() {
        assert_eq!(outcome(&cluster, &token).await, "invalid_token", "{attack}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_unknown_keys_makes_few_fetches_and_keeps_nobody_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let issuer = Tokens::new();
    let jwk =
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "known", "x": issuer.public_key_text() });
    let fetches = Arc::new(AtomicUsize::new(0));
    let _server = serve(
        listener,
        json!({ "keys": [jwk] }).to_string(),
        fetches.clone(),
    );
    let config = format!(
        "[[auth.trusted_issuer]]\nissuer = \"https://jwks.example\"\njwks_url = \"http://{address}/jwks.json\"\n"
    );
    let cluster = cluster(&["gw1"], &config).await;
    let token = |kid: &str| {
        let header = json!({ "alg": "EdDSA", "kid": kid });
        issuer.forge(&header, &claims(json!({ "iss": "https://jwks.example" })))
    };
    assert_eq!(outcome(&cluster, &token("known")).await, "welcome");
    let before = fetches.load(Ordering::Relaxed);
    for attempt in 0..100 {
        let unknown = token(&format!("unknown{attempt}"));
        // Whoever may be right in a moment is told to come back.
        let outcome = outcome(&cluster, &unknown).await;
        let refused = ["invalid_token", "upstream_unavailable"];
        assert!(refused.contains(&&*outcome), "{outcome}");
    }
    assert_eq!(outcome(&cluster, &token("known")).await, "welcome");
    let made = fetches.load(Ordering::Relaxed) - before;
    assert!(made <= 2, "{made} fetches for 100 unknown keys");
}

/// Serves this set of keys while what it gives is there.
fn serve(listener: TcpListener, keys: String, fetches: Arc<AtomicUsize>) -> JoinSet<()> {
    let mut server = JoinSet::new();
    server.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("accepts");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.unwrap_or(0) > 0
            {
            }
            fetches.fetch_add(1, Ordering::Relaxed);
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n{keys}",
                keys.len()
            );
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    server
}
