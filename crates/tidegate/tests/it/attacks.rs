//! What attackers try, each with the answer that it gets. `docs/security.md` has the
//! same as a table.

mod callers;
mod permissions;
mod sessions;
mod tokens;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use testkit::{Cluster, Layout, RawClient, Tokens, hello};

const CONFIG: &str = r#"
[[namespace]]
name = "user"
publish = "token"
subscribe = "token"

[[namespace]]
name = "room"
publish = "anyone"
subscribe = "anyone"

[[namespace]]
name = "news"
publish = "server"
subscribe = "anyone"

[[route]]
name = "shop.buy"

[[route]]
name = "admin.reset"
"#;

/// A cluster with this beside the usual configuration.
async fn cluster(gateways: &[&str], more: &str) -> Cluster {
    Cluster::start(Layout {
        binary: env!("CARGO_BIN_EXE_tidegate"),
        nats: 1,
        gateways,
        controls: &["control1"],
        config: &format!("{CONFIG}{more}"),
    })
    .await
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

/// The header of our own tokens.
fn header() -> Value {
    json!({ "alg": "EdDSA", "kid": "test" })
}

/// Valid claims of alice's, and these over them; `null` takes one away.
pub(crate) fn claims(changes: Value) -> Value {
    let mut claims = json!({ "sub": "alice", "iat": now(), "exp": now() + 3600 });
    let changes = changes.as_object().expect("an object").clone();
    for (name, value) in changes {
        claims[name] = value;
    }
    claims
}

/// A token of this user's with these permissions.
fn permitted(tokens: &Tokens, user: &str, permissions: Value) -> String {
    tokens.forge(
        &header(),
        &claims(json!({ "sub": user, "tg": permissions })),
    )
}

async fn dial(cluster: &Cluster, gateway: &str) -> RawClient {
    let address = cluster.process(gateway).address("client_url");
    testkit::Dial::to(address).connect().await
}

/// What becomes of whoever shows this token: `welcome`, or the cause of the close.
pub(crate) async fn outcome(cluster: &Cluster, token: &str) -> String {
    let mut client = dial(cluster, "gw1").await;
    client.send(hello(token)).await;
    outcome_of(client).await
}

async fn outcome_of(mut client: RawClient) -> String {
    use wire::client::server_event::Event;
    match client.next_event().await {
        Event::Welcome(_) => "welcome".to_owned(),
        Event::Closing(closing) => closing.cause,
        other => panic!("unexpected {other:?}"),
    }
}
