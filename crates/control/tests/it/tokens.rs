//! IssueToken.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, SystemTime},
};

use auth::{
    Algorithm, KeyPair, KeySet, Permission, RateClass, Rotation, SigningKey, SigningKeys, Verifier,
    VerifierConfig,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use control::{ControlConfig, Lifetimes, client::AuthServiceClient};
use serde_json::Value;
use tonic::{Code, transport::Channel};
use wire::control::{IssueTokenRequest, JwksRequest};

use crate::plane::{Plane, config};

const HOUR: Duration = Duration::from_secs(60 * 60);

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
    let ours = ControlConfig {
        token_issuer: Some("control".into()),
        token_audience: Some("gateways".into()),
        ..config()
    };
    let plane = Plane::start_with(ours, None, Some(keys.signing.clone())).await;
    let mut client = AuthServiceClient::new(plane.connect().await);
    let request = IssueTokenRequest {
        lifetime: seconds(60),
        subscribe: vec!["room.>".into()],
        history: vec!["room.2".into()],
        routes: vec!["orders.*".into()],
        max_connections: 3,
        rate_class: "bots".into(),
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
    let room = wire::Channel::parse("room.1", 255).expect("valid");
    let lobby = wire::Channel::parse("lobby", 255).expect("valid");
    assert_eq!(
        identity.permissions.may_subscribe(&room),
        Permission::Allowed
    );
    assert_eq!(
        identity.permissions.may_subscribe(&lobby),
        Permission::Denied
    );
    assert_eq!(
        identity.permissions.may_read_history(&room),
        Permission::Denied
    );
    let called = |route| identity.permissions.may_call(route);
    assert_eq!(called("orders.place"), Permission::Allowed);
    assert_eq!(called("orders"), Permission::Denied);
    assert_eq!(
        identity.limits.max_connections().map(NonZeroU32::get),
        Some(3)
    );
    assert_eq!(identity.limits.max_subscriptions(), None);
    let rate = identity.limits.rate().cloned();
    assert_eq!(rate, RateClass::parse("bots").ok());
    assert_eq!(
        identity.permissions.may_publish(&room),
        Permission::Unspecified
    );
    plane.stop().await;
}

/// The key that signed a token, and whether it counts with what is published now.
async fn signed_by(client: &mut AuthServiceClient<Channel>, token: &str) -> String {
    let jwks = client.jwks(JwksRequest {}).await.expect("published");
    let jwks = jwks.into_inner().jwks;
    let keys = KeySet::read_public(&jwks, &[Algorithm::EdDsa]).expect("a set of keys");
    let verifier = Verifier::new(keys, VerifierConfig::default());
    let verified = verifier.verify(token, SystemTime::now());
    verified.unwrap_or_else(|error| panic!("{error}: {jwks}"));
    let header = token.split('.').next().expect("three parts");
    let header = URL_SAFE_NO_PAD.decode(header).expect("base64url");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    header["kid"].as_str().expect("named").to_owned()
}

#[tokio::test]
async fn keys_change_while_tokens_of_all_of_them_count() {
    let key = |id: &str| SigningKey {
        key: KeyPair::generate_ed25519(id).signing,
        not_before: None,
    };
    let rotation = |activation| Rotation {
        activation,
        keep: HOUR,
    };
    for (activation, signs) in [(Duration::ZERO, "new"), (HOUR, "old")] {
        let keys = SigningKeys::new(&[key("old")], rotation(activation)).expect("it signs");
        let keys = Arc::new(keys);
        let plane = Plane::start_signing(config(), None, Some(keys.clone())).await;
        let mut client = AuthServiceClient::new(plane.connect().await);
        let issue = async |client: &mut AuthServiceClient<Channel>| {
            let issued = client.issue_token(token_for("alice")).await;
            issued.expect("issued").into_inner().token
        };
        let before = issue(&mut client).await;
        assert_eq!(signed_by(&mut client, &before).await, "old");
        let replaced = keys.replace(&[key("new")], SystemTime::now());
        assert!(replaced.expect("it signs"));
        let after = issue(&mut client).await;
        assert_eq!(signed_by(&mut client, &after).await, signs);
        assert_eq!(signed_by(&mut client, &before).await, "old");
        plane.stop().await;
    }
}

#[tokio::test]
async fn lifetimes_are_bounded_by_the_configuration() {
    let keys = KeyPair::generate_ed25519("test");
    let ours = ControlConfig {
        token_lifetimes: Lifetimes {
            default: Duration::from_secs(60),
            max: Duration::from_secs(90),
        },
        ..config()
    };
    let plane = Plane::start_with(ours, None, Some(keys.signing)).await;
    let mut client = AuthServiceClient::new(plane.connect().await);
    let before = SystemTime::now();
    let issued = client
        .issue_token(token_for("alice"))
        .await
        .expect("issued");
    let expires_at = issued.into_inner().expires_at.expect("always");
    let expires_at = SystemTime::try_from(expires_at).expect("a date");
    assert!(expires_at <= SystemTime::now() + Duration::from_secs(60));
    assert!(expires_at + Duration::from_secs(1) >= before + Duration::from_secs(60));
    let lasting = |lifetime| IssueTokenRequest {
        lifetime: seconds(lifetime),
        ..token_for("alice")
    };
    client.issue_token(lasting(90)).await.expect("allowed");
    let status = client.issue_token(lasting(91)).await.expect_err("too long");
    assert_eq!(status.message(), "lifetime: must be 1 s to 90 s");
    plane.stop().await;
}

#[tokio::test]
async fn malformed_requests_get_no_token() {
    let keys = KeyPair::generate_ed25519("test");
    let plane = Plane::start_with(config(), None, Some(keys.signing.clone())).await;
    let mut client = AuthServiceClient::new(plane.connect().await);
    let lasting = |lifetime| IssueTokenRequest {
        lifetime: seconds(lifetime),
        ..token_for("alice")
    };
    let pattern = IssueTokenRequest {
        publish: vec!["a.>.b".into()],
        ..token_for("alice")
    };
    let rate = IssueTokenRequest {
        rate_class: "no class".into(),
        ..token_for("alice")
    };
    let label = IssueTokenRequest {
        labels: [("a.b".into(), "c".into())].into(),
        ..token_for("alice")
    };
    for request in [
        rate,
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
