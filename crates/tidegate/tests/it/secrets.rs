//! What a gateway and a control plane write about those who come and go, at the most
//! talkative: never a token, a ticket, or a secret of the configuration.

use std::fs;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use testkit::{Cluster, Dial, Layout, RawClient, Tokens, eventually, hello, hello_again, refresh};
use wire::client::server_event::Event;

const CONFIG: &str = r#"
[log]
filter = "info,auth=trace,bus=trace,control=trace,edge=trace,hub=trace,journal=trace,keyring=trace,lifecycle=trace,mailboxes=trace,registry=trace,revocations=trace,session=trace,spans=trace,telemetry=trace,tidegate=trace,wills=trace,wire=trace"

[[namespace]]
name = "room"
publish = "anyone"
subscribe = "anyone"
"#;

/// Comes with this and goes again; the ticket that it got, if any.
async fn come(mut client: RawClient, hello: Option<wire::client::ClientEvent>) -> Vec<u8> {
    if let Some(hello) = hello {
        client.send(hello).await;
    }
    let welcome = client.welcome().await;
    client.leave().await;
    welcome.session_ticket.to_vec()
}

/// Comes with a token that is not valid.
async fn fail(mut client: RawClient, hello: Option<wire::client::ClientEvent>) {
    if let Some(hello) = hello {
        client.send(hello).await;
    }
    assert_eq!(client.expect_close().await.cause(), "invalid_token");
}

async fn renew(mut client: RawClient, tokens: [&str; 3]) {
    client.send(hello(tokens[0])).await;
    client.welcome().await;
    client.send(refresh(1, tokens[1])).await;
    while !matches!(client.next_event().await, Event::Refreshed(_)) {}
    client.send(refresh(2, tokens[2])).await;
    while !matches!(client.next_event().await, Event::Error(_)) {}
    client.leave().await;
}

/// Everything that the processes have written.
fn written(cluster: &Cluster) -> String {
    let logs = ["gw1.log", "control1.log"].map(|name| cluster.folder().join(name));
    logs.map(|log| fs::read_to_string(log).expect("a log"))
        .concat()
}

/// The secret of signatures and tickets, out of the configuration.
fn private_key(cluster: &Cluster) -> String {
    let config = fs::read_to_string(cluster.folder().join("tidegate.toml")).expect("a file");
    let (_, rest) = config.split_once("private_key = \"").expect("a key");
    let (key, _) = rest.split_once('"').expect("quoted");
    key.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_never_written_to_logs() {
    let cluster = Cluster::start(Layout {
        binary: env!("CARGO_BIN_EXE_tidegate"),
        nats: 1,
        gateways: &["gw1"],
        controls: &["control1"],
        config: CONFIG,
    })
    .await;
    let address = cluster.process("gw1").address("client_url");
    let dial = || Dial::to(address);
    let tokens = &cluster.tokens;
    let token = |n: usize| tokens.token(&format!("user-{n}"));
    let good: Vec<String> = (0..7).map(token).collect();
    let foreign = Tokens::new();
    let bad = [
        foreign.token("mallory"),
        tokens.expired("mallory"),
        "opaque-0123456789-not-for-logs".to_owned(),
    ];
    let ticket = come(dial().connect().await, Some(hello(&good[0]))).await;
    come(dial().bearer(&good[1]).connect().await, None).await;
    come(dial().query_token(&good[2]).connect().await, None).await;
    let sealed = URL_SAFE_NO_PAD.encode(&ticket);
    let again = dial().header("Tidegate-Ticket", &sealed).connect().await;
    let again = come(again, Some(hello_again(&good[0], ticket.clone()))).await;
    let mut forged = ticket.clone();
    forged[20] ^= 1;
    let parameter = URL_SAFE_NO_PAD.encode(&forged);
    let target = format!("/v1/ws?session_ticket={parameter}");
    let with_forged = dial().target(&target).connect().await;
    come(with_forged, Some(hello_again(&good[3], forged))).await;
    for token in &bad {
        fail(dial().connect().await, Some(hello(token))).await;
        fail(dial().bearer(token).connect().await, None).await;
        fail(dial().query_token(token).connect().await, None).await;
    }
    let user = tokens.token("user-9");
    let next = tokens.token("user-9");
    renew(dial().connect().await, [&user, &next, &bad[0]]).await;
    eventually("the refused tokens are told in the log", async || {
        written(&cluster).contains("a token was refused")
    })
    .await;

    let written = written(&cluster);
    let mut secrets: Vec<String> = [&user, &next].into_iter().cloned().collect();
    secrets.extend(good.into_iter().chain(bad));
    let tickets = [sealed, parameter, URL_SAFE_NO_PAD.encode(again)];
    secrets.extend(tickets);
    secrets.push(private_key(&cluster));
    for secret in secrets {
        // The signature alone says as much.
        let end = secret.rsplit('.').next().unwrap_or(&secret);
        assert!(!written.contains(end), "{end} is in the log");
    }
}
