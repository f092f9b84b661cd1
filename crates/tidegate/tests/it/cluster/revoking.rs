//! Access that is taken back, over three gateways.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use client::{Client, State};
use control::client::AuthServiceClient;
use futures_util::{StreamExt, stream};
use testkit::{Cluster, within};
use wire::control::{RevokeTokenRequest, RevokeUserRequest, revoke_token_request::Target};

use super::{Spread, cluster, connect, grpc, setting};

const GATEWAYS: [&str; 3] = ["gw1", "gw2", "gw3"];

/// Revocations asked for at the same time.
const TOGETHER: usize = 8;

/// Waits until the client is closed for good; gives the cause.
async fn closed(client: &Client) -> String {
    let mut state = client.state();
    let closed = state.wait_for(|state| matches!(state, State::Closed { .. }));
    match &*within("the client is closed", closed)
        .await
        .expect("it ends")
    {
        State::Closed { cause } => cause.to_string(),
        other => unreachable!("waited for the end, got {other:?}"),
    }
}

async fn user_is_closed_everywhere(cluster: &Cluster, number: usize) -> [Duration; 2] {
    let user = format!("user{number}");
    let mut clients = Vec::new();
    for gateway in GATEWAYS {
        clients.push(connect(cluster, gateway, &user).await);
    }
    let mut auth = AuthServiceClient::new(grpc(cluster, "control1").await);
    let asked = Instant::now();
    let revoke = async {
        let request = RevokeUserRequest {
            user,
            ..RevokeUserRequest::default()
        };
        let revoked = auth.revoke_user(request).await.expect("revoked");
        let revoked = revoked.into_inner();
        assert_eq!((revoked.connections, revoked.gateways), (3, 3));
        asked.elapsed()
    };
    let closed = async {
        for client in &clients {
            let cause = closed(client).await;
            assert!(cause.contains("4008 revoked"), "{cause}");
        }
        asked.elapsed()
    };
    let (answered, closed) = tokio::join!(revoke, closed);
    [answered, closed]
}

#[tokio::test(flavor = "multi_thread")]
async fn users_that_are_revoked_are_closed_at_every_gateway_at_once() {
    let cluster = Arc::new(cluster(3, &GATEWAYS, &["control1"]).await);
    let users = setting("TIDEGATE_TEST_REVOKED", 30);
    let closed = stream::iter(0..users)
        .map(|number| {
            let cluster = cluster.clone();
            async move { user_is_closed_everywhere(&cluster, number).await }
        })
        .buffer_unordered(TOGETHER);
    let times: Vec<_> = closed.collect().await;
    let spread = |which: usize| {
        let millis = times.iter().map(|times| times[which].as_secs_f64() * 1e3);
        Spread::of(millis.collect())
    };
    println!(
        "{users} users revoked, {TOGETHER} at once, each connected to 3 gateways: answered {}, all three closed {}",
        spread(0),
        spread(1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_was_away_learns_what_was_revoked_meanwhile() {
    let cluster = cluster(1, &GATEWAYS, &["control1"]).await;
    let token = cluster.tokens.token("alice");
    let builder = Client::builder(&cluster.client_url("gw2")).token(token.clone());
    let client = within("connects", builder.connect())
        .await
        .expect("connects");
    let mut auth = AuthServiceClient::new(grpc(&cluster, "control1").await);
    // Stopped, it answers nobody: the call ends without it.
    cluster.process("gw2").pause();
    let mut request = tonic::Request::new(RevokeTokenRequest {
        target: Some(Target::Token(token)),
        grace: None,
    });
    request.set_timeout(Duration::from_secs(3));
    let revoked = auth.revoke_token(request).await.expect("revoked");
    let revoked = revoked.into_inner();
    assert_eq!((revoked.connections, revoked.gateways), (0, 2));
    assert_eq!(revoked.unreached_gateways.len(), 1);
    cluster.process("gw2").resume();
    let cause = closed(&client).await;
    assert!(cause.contains("4008 revoked"), "{cause}");
}
