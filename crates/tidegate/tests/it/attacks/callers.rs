//! Callers of the control plane without the right to call it.

use control::client::{
    AuthServiceClient, CallerChannel, CallerOptions, GatewayServiceClient, PublishServiceClient,
    connect_as, reason,
};
use testkit::Cluster;
use tonic::{Code, Status};
use wire::control::{
    DrainGatewayRequest, IssueTokenRequest, NewPublication, PublishRequest, RevokeUserRequest,
};

use super::cluster;

/// The key `feed` may publish to `room.a` alone; its SHA-256 as configurations
/// have it.
fn config(key: &str) -> String {
    let hash = auth::ApiKeyHash::of(key);
    format!(
        "[[control.key]]\nname = \"feed\"\nsha256 = \"{hash}\"\nscopes = [\"publish:room.a\"]\n"
    )
}

async fn caller(cluster: &Cluster, key: Option<&str>) -> CallerChannel {
    let options = CallerOptions {
        key: key.map(str::to_owned),
        ..CallerOptions::default()
    };
    let channel = connect_as(&cluster.grpc_url("control1"), &options).await;
    channel.expect("the control plane listens")
}

async fn publish(channel: &CallerChannel, to: &str) -> Result<(), Status> {
    let request = PublishRequest {
        publication: Some(NewPublication {
            channel: to.to_owned(),
            payload: "x".into(),
            ..NewPublication::default()
        }),
    };
    let mut publisher = PublishServiceClient::new(channel.clone());
    publisher.publish(request).await.map(drop)
}

fn assert_refused(outcome: Result<(), Status>, code: Code, because: &str) {
    let status = outcome.expect_err("refused");
    assert_eq!(
        (status.code(), reason(&status)),
        (code, Some(because.to_owned()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_or_with_too_small_a_scope_nothing_can_be_called() {
    let cluster = cluster(&["gw1"], &config("the key of the feed")).await;
    let nobody = caller(&cluster, None).await;
    let stranger = caller(&cluster, Some("tgk_guessed")).await;
    let feed = caller(&cluster, Some("the key of the feed")).await;
    assert_refused(
        publish(&nobody, "room.a").await,
        Code::Unauthenticated,
        "MISSING_CREDENTIALS",
    );
    assert_refused(
        publish(&stranger, "room.a").await,
        Code::Unauthenticated,
        "UNKNOWN_KEY",
    );
    publish(&feed, "room.a").await.expect("in its scope");
    assert_refused(
        publish(&feed, "news.today").await,
        Code::PermissionDenied,
        "PERMISSION_DENIED",
    );

    let mut auth = AuthServiceClient::new(feed.clone());
    let issue = IssueTokenRequest {
        user: "admin".into(),
        ..IssueTokenRequest::default()
    };
    let issued = auth.issue_token(issue).await.map(drop);
    assert_refused(issued, Code::PermissionDenied, "SCOPE_TOO_SMALL");
    let revoke = RevokeUserRequest {
        user: "alice".into(),
        ..RevokeUserRequest::default()
    };
    let revoked = auth.revoke_user(revoke).await.map(drop);
    assert_refused(revoked, Code::PermissionDenied, "SCOPE_TOO_SMALL");
    let drain = DrainGatewayRequest {
        gateway: "gw1".into(),
    };
    let drained = GatewayServiceClient::new(feed).drain_gateway(drain).await;
    assert_refused(drained.map(drop), Code::PermissionDenied, "SCOPE_TOO_SMALL");
}
