//! Sessions of others, and those that are over.

use control::client::AuthServiceClient;
use testkit::{Cluster, hello_again};
use wire::{
    client::Welcome,
    control::{
        RevokeSessionRequest, RevokeTokenRequest, RevokeUserRequest, revoke_token_request::Target,
    },
};

use super::{cluster, dial, outcome, outcome_of};

async fn welcome(cluster: &Cluster, gateway: &str, token: &str, ticket: &[u8]) -> Welcome {
    let mut client = dial(cluster, gateway).await;
    client.send(hello_again(token, ticket.to_vec())).await;
    let welcome = client.welcome().await;
    client.leave().await;
    welcome
}

async fn resume(cluster: &Cluster, gateway: &str, token: &str, ticket: &[u8]) -> String {
    let mut client = dial(cluster, gateway).await;
    client.send(hello_again(token, ticket.to_vec())).await;
    outcome_of(client).await
}

async fn auth(cluster: &Cluster) -> AuthServiceClient<tonic::transport::Channel> {
    let control = control::client::connect(&cluster.grpc_url("control1")).await;
    AuthServiceClient::new(control.expect("listens"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_nothing_for_another_user() {
    let cluster = cluster(&["gw1", "gw2"], "").await;
    let tokens = &cluster.tokens;
    let alice = welcome(&cluster, "gw1", &tokens.token("alice"), b"").await;
    let again = welcome(
        &cluster,
        "gw2",
        &tokens.token("alice"),
        &alice.session_ticket,
    )
    .await;
    assert_eq!(again.session_id, alice.session_id);
    let mallory = welcome(
        &cluster,
        "gw2",
        &tokens.token("mallory"),
        &alice.session_ticket,
    )
    .await;
    assert_ne!(mallory.session_id, alice.session_id);
    let mut tampered = alice.session_ticket.to_vec();
    tampered[20] ^= 1;
    let other = welcome(&cluster, "gw2", &tokens.token("alice"), &tampered).await;
    assert_ne!(other.session_id, alice.session_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_revoked_is_refused_on_resume_at_every_gateway() {
    let cluster = cluster(&["gw1", "gw2"], "").await;
    let tokens = &cluster.tokens;
    let mut auth = auth(&cluster).await;

    let token = tokens.token("alice");
    let alice = welcome(&cluster, "gw1", &token, b"").await;
    let request = RevokeTokenRequest {
        target: Some(Target::Token(token.clone())),
        grace: None,
    };
    auth.revoke_token(request).await.expect("revoked");
    for gateway in ["gw1", "gw2"] {
        let outcome = resume(&cluster, gateway, &token, &alice.session_ticket).await;
        assert_eq!(outcome, "revoked", "{gateway}");
    }
    // Another token of the same user opens the session.
    let fresh = tokens.token("alice");
    let again = welcome(&cluster, "gw2", &fresh, &alice.session_ticket).await;
    assert_eq!(again.session_id, alice.session_id);

    // Until she logs out.
    let session_id = alice.session_id.clone();
    let request = RevokeSessionRequest { session_id };
    auth.revoke_session(request).await.expect("revoked");
    for ticket in [&alice.session_ticket, &again.session_ticket] {
        let outcome = resume(&cluster, "gw1", &fresh, ticket).await;
        assert_eq!(outcome, "revoked");
    }
    let next = welcome(&cluster, "gw1", &fresh, b"").await;
    assert_ne!(next.session_id, alice.session_id);

    let request = RevokeUserRequest {
        user: "alice".into(),
        ..RevokeUserRequest::default()
    };
    auth.revoke_user(request).await.expect("revoked");
    assert_eq!(outcome(&cluster, &fresh).await, "revoked");
    assert_eq!(outcome(&cluster, &tokens.token("bob")).await, "welcome");
}
