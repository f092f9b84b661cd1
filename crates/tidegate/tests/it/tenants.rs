//! Several customers on the same NATS: an account, credentials and a cluster for each.

use std::{fs, path::PathBuf, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use client::{Client, DirectEvent};
use control::client::{AuthServiceClient, ConnectionServiceClient, SendServiceClient};
use futures_util::StreamExt;
use nkeys::KeyPair;
use serde_json::{Value, json};
use testkit::{Cluster, Layout, NatsCluster, NatsServer, eventually, within};
use wire::control::{
    CountConnectionsRequest, RevokeUserRequest, SendRequest, send_request::Target,
};

use crate::attacks::outcome;

const CONFIG: &str = r#"
[[namespace]]
name = "log"
history = { messages = 100, age = "1m" }
publish = "anyone"
subscribe = "anyone"
"#;

/// Who owns the NATS: signs accounts.
struct Operator {
    key: KeyPair,
    accounts: Vec<Account>,
    folder: tempfile::TempDir,
}

struct Account {
    key: KeyPair,
    jwt: String,
}

/// A token as nats-server takes it (ADR-14): of this subject, by this key.
fn jwt(issuer: &KeyPair, subject: &KeyPair, nats: Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut claims = json!({
        "iat": 1, "iss": issuer.public_key(), "sub": subject.public_key(),
        "name": "test", "nats": nats,
    });
    let id = digest(&SHA256, claims.to_string().as_bytes());
    claims["jti"] = URL_SAFE_NO_PAD.encode(id).into();
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let message = format!("{}.{}", part(&header), part(&claims));
    let signature = issuer.sign(message.as_bytes()).expect("it has a seed");
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

impl Operator {
    /// With so many accounts that may use JetStream, behind one for the system.
    fn new(accounts: usize) -> Self {
        let key = KeyPair::new_operator();
        let account = |index: usize| {
            let own = KeyPair::new_account();
            let store = if index == 0 { 0 } else { -1 };
            let limits = json!({
                "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
                "wildcards": true, "conn": -1, "leaf": -1, "mem_storage": store,
                "disk_storage": store, "streams": -1, "consumer": -1,
            });
            let nats = json!({ "type": "account", "version": 2, "limits": limits });
            let jwt = jwt(&key, &own, nats);
            Account { key: own, jwt }
        };
        Self {
            accounts: (0..=accounts).map(account).collect(),
            key,
            folder: tempfile::tempdir().expect("a folder for tests"),
        }
    }

    async fn server(&self) -> NatsServer {
        let own = jwt(
            &self.key,
            &self.key,
            json!({ "type": "operator", "version": 2 }),
        );
        let preload: String = self
            .accounts
            .iter()
            .map(|account| format!("{}: {}\n", account.key.public_key(), account.jwt))
            .collect();
        let system = self.accounts[0].key.public_key();
        NatsServer::with_config(&format!(
            "operator: {own}\nsystem_account: {system}\nresolver: MEMORY\nresolver_preload: {{\n{preload}}}\n"
        ))
        .await
    }

    /// A credentials file of a new user of this account.
    fn credentials(&self, account: usize) -> PathBuf {
        let user = KeyPair::new_user();
        let limits = json!({
            "type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1,
        });
        let jwt = jwt(&self.accounts[account].key, &user, limits);
        let seed = user.seed().expect("a new key has one");
        let file = self.folder.path().join(format!("{account}.creds"));
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        fs::write(&file, text).expect("written");
        file
    }

    async fn tenant(&self, account: usize, nats: &Arc<NatsCluster>) -> Tenant {
        let file = self.credentials(account);
        let config = format!("nats.credentials_file = {file:?}\n{CONFIG}");
        let layout = Layout {
            binary: env!("CARGO_BIN_EXE_tidegate"),
            nats: 1,
            gateways: &["gw1"],
            controls: &["control1"],
            config: &config,
        };
        let cluster = Cluster::start_on(Arc::clone(nats), layout).await;
        let control = control::client::connect(&cluster.grpc_url("control1")).await;
        let builder =
            Client::builder(&cluster.client_url("gw1")).token(cluster.tokens.token("alice"));
        let alice = within("alice connects", builder.connect()).await;
        Tenant {
            control: control.expect("listens"),
            alice: alice.expect("connects"),
            cluster,
        }
    }
}

/// A customer whose gateway, control plane and user have the same names as the other's.
struct Tenant {
    cluster: Cluster,
    control: tonic::transport::Channel,
    alice: Client,
}

impl Tenant {
    async fn connections(&self) -> u64 {
        let mut connections = ConnectionServiceClient::new(self.control.clone());
        let count = connections.count_connections(CountConnectionsRequest::default());
        count.await.expect("counted").into_inner().connections
    }

    async fn send(&self, text: &'static str) -> usize {
        let request = SendRequest {
            target: Some(Target::User("alice".into())),
            payload: text.into(),
            ..SendRequest::default()
        };
        let mut sending = SendServiceClient::new(self.control.clone());
        let answer = sending.send(request).await.expect("sent");
        answer.into_inner().receipts.len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_with_accounts_of_their_own_share_nothing_but_the_servers() {
    let operator = Operator::new(2);
    let nats = Arc::new(NatsCluster::of(operator.server().await));
    let (one, two) = (
        operator.tenant(1, &nats).await,
        operator.tenant(2, &nats).await,
    );
    for (tenant, text) in [(&one, "of one"), (&two, "of two")] {
        let mut log = tenant.alice.subscribe("log.a").await.expect("subscribed");
        let mut direct = tenant.alice.direct();
        tenant
            .alice
            .publish("log.a", text)
            .await
            .expect("published");
        let publication = within("a publication", log.next_publication()).await;
        let publication = publication.expect("still subscribed");
        // The first of its log: the other tenant's is another one.
        assert_eq!(
            (publication.offset, &publication.payload[..]),
            (1, text.as_bytes())
        );
        eventually("alice is in the registry", async || {
            tenant.connections().await == 1
        })
        .await;
        assert_eq!(tenant.send(text).await, 1);
        let message = within("the message", direct.next()).await;
        assert!(
            matches!(&message, Some(DirectEvent::Message(direct)) if direct.payload == text),
            "{message:?}"
        );
    }
    let token = one.cluster.tokens.token("alice");
    assert_eq!(outcome(&two.cluster, &token).await, "invalid_token");

    let request = RevokeUserRequest {
        user: "alice".into(),
        ..RevokeUserRequest::default()
    };
    let mut auth = AuthServiceClient::new(one.control.clone());
    auth.revoke_user(request).await.expect("revoked");
    assert_eq!(outcome(&one.cluster, &token).await, "revoked");
    let token = two.cluster.tokens.token("alice");
    assert_eq!(outcome(&two.cluster, &token).await, "welcome");
    let alive = two.alice.publish("log.a", "still there").await;
    alive.expect("the other alice was not revoked");
}
