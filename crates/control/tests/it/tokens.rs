//! IssueToken.

use std::time::{Duration, SystemTime};

use auth::{KeyPair, KeySet, Permission, Signer, Verifier, VerifierConfig};
use control::{ControlConfig, client::AuthServiceClient};
use tonic::Code;
use wire::{Channel, control::IssueTokenRequest};

use crate::plane::{Plane, config};

fn token_for(user: &str) -> IssueTokenRequest {
    IssueTokenRequest {
        user: user.into(),
        ..IssueTokenRequest::default()
    }
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

#[tokio::test]
async fn an_issued_token_says_what_was_asked_for() {
    let keys = KeyPair::generate_ed25519("test");
    let signer = Signer::from_key(&keys.signing).expect("it can sign");
    let ours = ControlConfig {
        token_issuer: Some("control".into()),
        token_audience: Some("gateways".into()),
        ..config()
    };
    let plane = Plane::start_with(ours, None, Some(signer)).await;
    let mut client = AuthServiceClient::new(plane.connect().await);
    let request = IssueTokenRequest {
        lifetime: seconds(60),
        subscribe: vec!["room.>".into()],
        labels: [("tier".into(), "gold".into())].into(),
        ..token_for("alice")
    };
    let issued = client
        .issue_token(request)
        .await
        .expect("issued")
        .into_inner();

    let asked = VerifierConfig {
        issuer: Some("control".into()),
        audience: Some("gateways".into()),
        leeway: Duration::ZERO,
        ..VerifierConfig::default()
    };
    let keys = KeySet::new(&[keys.verifying]).expect("it can verify");
    let now = SystemTime::now();
    let identity = Verifier::new(keys, asked)
        .verify(&issued.token, now)
        .expect("valid");
    assert_eq!(identity.user.as_str(), "alice");
    let expires_at = identity.expires_at.expect("always");
    assert_eq!(issued.expires_at, Some(expires_at.into()));
    assert!(expires_at <= now + Duration::from_secs(60));
    let room = Channel::parse("room.1", 255).expect("valid");
    let lobby = Channel::parse("lobby", 255).expect("valid");
    assert_eq!(
        identity.permissions.may_subscribe(&room),
        Permission::Allowed
    );
    assert_eq!(
        identity.permissions.may_subscribe(&lobby),
        Permission::Denied
    );
    assert_eq!(
        identity.permissions.may_publish(&room),
        Permission::Unspecified
    );
    plane.stop().await;
}

#[tokio::test]
async fn malformed_requests_get_no_token() {
    let keys = KeyPair::generate_ed25519("test");
    let signer = Signer::from_key(&keys.signing).expect("it can sign");
    let plane = Plane::start_with(config(), None, Some(signer)).await;
    let mut client = AuthServiceClient::new(plane.connect().await);
    let lasting = |lifetime| IssueTokenRequest {
        lifetime: seconds(lifetime),
        ..token_for("alice")
    };
    let pattern = IssueTokenRequest {
        publish: vec!["a.>.b".into()],
        ..token_for("alice")
    };
    let label = IssueTokenRequest {
        labels: [("a.b".into(), "c".into())].into(),
        ..token_for("alice")
    };
    for request in [
        label,
        token_for(""),
        lasting(0),
        lasting(-5),
        lasting(86_401),
        pattern,
    ] {
        let status = client
            .issue_token(request.clone())
            .await
            .expect_err("refused");
        assert_eq!(status.code(), Code::InvalidArgument, "{request:?}");
    }
    client
        .issue_token(lasting(86_400))
        .await
        .expect("a day is allowed");
    plane.stop().await;
}

#[tokio::test]
async fn without_a_key_no_token_is_issued() {
    let plane = Plane::start().await;
    let mut client = AuthServiceClient::new(plane.connect().await);
    let status = client
        .issue_token(token_for("alice"))
        .await
        .expect_err("no key");
    assert_eq!(status.code(), Code::FailedPrecondition);
    plane.stop().await;
}
