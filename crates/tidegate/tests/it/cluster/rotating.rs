//! Keys that sign tokens, changed while clients are connected.

use std::{fs, path::PathBuf};

use client::{Client, State, Subscription};
use serde_json::{Value, json};
use testkit::{Cluster, Layout, Tokens, eventually, within};

use super::{CONFIG, clients, grpc, next, publish};
use crate::attacks::{claims, outcome};

const ISSUER: &str = "https://id.example";

/// How often the keys change.
const CHANGES: usize = 3;

/// An issuer that signs with one key after another.
struct Issuer {
    /// Each of them has a name, `k0` and so on.
    keys: Vec<Tokens>,
    folder: tempfile::TempDir,
}

impl Issuer {
    fn new() -> Self {
        let this = Self {
            keys: (0..=CHANGES).map(|_| Tokens::new()).collect(),
            folder: tempfile::tempdir().expect("a folder for tests"),
        };
        this.publish(&[0]);
        this
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("keys.json")
    }

    /// From now on tokens of these keys, and no others, are to be taken.
    fn publish(&self, numbers: &[usize]) {
        let jwk = |number: &usize| -> Value {
            json!({
                "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": format!("k{number}"),
                "x": self.keys[*number].public_key_text(),
            })
        };
        let keys: Vec<_> = numbers.iter().map(jwk).collect();
        // Nobody reads half of it.
        let next = self.folder.path().join("next.json");
        fs::write(&next, json!({ "keys": keys }).to_string()).expect("written");
        fs::rename(next, self.file()).expect("in its place");
    }

    fn token(&self, number: usize, user: &str) -> String {
        let header = json!({ "alg": "EdDSA", "kid": format!("k{number}") });
        self.keys[number].forge(&header, &claims(json!({ "sub": user, "iss": ISSUER })))
    }

    async fn cluster(&self) -> Cluster {
        let config = format!(
            "{CONFIG}\n[auth.key_sources]\nfile_interval = \"1s\"\n\
             [[auth.trusted_issuer]]\nissuer = {ISSUER:?}\nkey_file = {:?}\n",
            self.file()
        );
        Cluster::start(Layout {
            binary: env!("CARGO_BIN_EXE_tidegate"),
            nats: 1,
            gateways: &["gw1"],
            controls: &["control1"],
            config: &config,
        })
        .await
    }
}

async fn listen(cluster: &Cluster, token: String) -> (Client, Subscription) {
    let builder = Client::builder(&cluster.client_url("gw1")).token(token);
    let client = within("it connects", builder.connect()).await;
    let client = client.expect("the token is taken");
    let subscription = client.subscribe("log.a").await.expect("subscribes");
    (client, subscription)
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_keys_change_under_load_and_no_connection_notices() {
    let issuer = Issuer::new();
    let cluster = issuer.cluster().await;
    let mut listening = Vec::new();
    for number in 0..clients() {
        let token = issuer.token(0, &format!("user{number}"));
        listening.push(listen(&cluster, token).await);
    }
    let control = grpc(&cluster, "control1").await;
    let mut published = 0;
    for new in 1..=CHANGES {
        let old = new - 1;
        // Who comes with a token of this key is told this, while publications go on.
        let mut told = async |key: usize, answer: &str| {
            eventually("the gateway has the keys", async || {
                publish(&control, "log.a", published.to_string())
                    .await
                    .expect("published");
                published += 1;
                // Nobody who comes again and again.
                let token = issuer.token(key, &format!("visitor{published}"));
                outcome(&cluster, &token).await == answer
            })
            .await;
        };
        issuer.publish(&[old, new]);
        told(new, "welcome").await;
        told(old, "welcome").await;
        issuer.publish(&[new]);
        told(old, "invalid_token").await;
        told(new, "welcome").await;
    }
    for (client, subscription) in &mut listening {
        for number in 0..published {
            assert_eq!(next(subscription).await, number.to_string());
        }
        assert!(matches!(*client.state().borrow(), State::Connected { .. }));
    }
    // A connection that was lost and made again would have shown a token of a key
    // that is gone.
    let clients = listening.len();
    let gateway = cluster.process("gw1");
    eventually("visitors have left, and nobody else", async || {
        gateway.metric("tidegate_edge_connections", &[]).await == clients as f64
    })
    .await;
    println!(
        "{clients} clients, {CHANGES} changes of the signing key, {published} publications: none lost, no connection closed"
    );
}
