//! Who we are to the servers, and whether they are who they should be.

use std::path::PathBuf;

use bus::{BusExt, NatsBus, NatsCredentials, NatsOptions, NatsTls};
use testkit::NatsServer;

use super::{beside, connect_with, outgoing};

/// A key pair of the NATS documentation.
const NKEY_SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
const NKEY: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

/// A file beside this one. They were made with openssl and are good for a
/// hundred years and nothing else.
fn file(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.join("tests/it/nats/tls").join(name)
}

async fn is_let_in(options: NatsOptions) {
    let (bus, running) = connect_with(options).await;
    let check = async {
        bus.send(outgoing("a", "hello")).await.expect("publishes");
    };
    beside(running, check).await;
}

async fn is_refused(options: NatsOptions) {
    assert!(NatsBus::connect(options).await.is_err());
}

fn with(server: &NatsServer, credentials: NatsCredentials) -> NatsOptions {
    NatsOptions {
        credentials,
        ..NatsOptions::local(&server.url())
    }
}

#[tokio::test]
async fn a_token_lets_in() {
    let server = NatsServer::with_config("authorization { token: \"s3cret\" }\n").await;
    let token = |token: &str| with(&server, NatsCredentials::Token(token.to_owned()));
    is_let_in(token("s3cret")).await;
    is_refused(token("guess")).await;
    is_refused(NatsOptions::local(&server.url())).await;
}

#[tokio::test]
async fn a_user_and_a_password_let_in() {
    let config = "authorization { user: tide, password: \"s3cret\" }\n";
    let server = NatsServer::with_config(config).await;
    let user = |password: &str| {
        let (user, password) = ("tide".to_owned(), password.to_owned());
        with(&server, NatsCredentials::User { user, password })
    };
    is_let_in(user("s3cret")).await;
    is_refused(user("guess")).await;
}

#[tokio::test]
async fn an_nkey_lets_in() {
    let config = format!("authorization {{ users: [ {{ nkey: {NKEY} }} ] }}\n");
    let server = NatsServer::with_config(&config).await;
    let seed = std::env::temp_dir().join(format!("tidegate-test-{}.nk", std::process::id()));
    std::fs::write(&seed, NKEY_SEED).expect("a file for tests");
    is_let_in(with(&server, NatsCredentials::NkeyFile(seed.clone()))).await;
    std::fs::remove_file(seed).expect("it is there");
    is_refused(NatsOptions::local(&server.url())).await;
}

#[tokio::test]
async fn servers_and_clients_prove_who_they_are() {
    let config = format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}\n",
        file("server.pem"),
        file("server.key"),
        file("ca.pem"),
    );
    let server = NatsServer::with_config(&config).await;
    let identity = (file("client.pem"), file("client.key"));
    let tls = NatsTls {
        required: true,
        ca_file: Some(file("ca.pem")),
        identity_files: Some(identity.clone()),
    };
    let options = |tls| NatsOptions {
        tls,
        ..NatsOptions::local(&server.url())
    };
    is_let_in(options(tls.clone())).await;
    let no_identity = NatsTls {
        identity_files: None,
        ..tls.clone()
    };
    is_refused(options(no_identity)).await;
    // The system's authorities do not vouch for this server.
    let no_authority = NatsTls {
        ca_file: None,
        ..tls
    };
    is_refused(options(no_authority)).await;
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_is_required() {
    let server = NatsServer::start().await;
    let tls = NatsTls {
        required: true,
        ..NatsTls::default()
    };
    is_refused(NatsOptions {
        tls,
        ..NatsOptions::local(&server.url())
    })
    .await;
}
