//! Who may call, and what is written down.

use std::collections::HashMap;

use auth::ApiKeyHash;
use control::{
    CallScope, CallScopes, ControlConfig, Credentials, KeyCredential,
    client::{
        AuthServiceClient, CallerChannel, CallerOptions, ChannelServiceClient,
        ConnectionServiceClient, GatewayServiceClient, PublishServiceClient, SendServiceClient,
        WillServiceClient, connect_as, reason,
    },
};
use tokio_stream::StreamExt;
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
};
use wire::control::{
    BroadcastRequest, DisconnectRequest, DrainGatewayRequest, HistoryRequest, IssueTokenRequest,
    JwksRequest, ListConnectionsRequest, ListGatewaysRequest, ListWillsRequest, MailboxRequest,
    PublishBatchRequest, PublishRequest, PublishStreamRequest, SendRequest, WatchRequest,
};

use crate::plane::{Plane, config, publication};

/// A key for each scope, one for publications to `room.a`, and one for everything:
/// the key is `key of` and the name.
pub(crate) fn credentials() -> Credentials {
    let key = |name: &str, scope: &str| KeyCredential {
        name: name.to_owned(),
        hash: ApiKeyHash::of(&format!("key of {name}")),
        scopes: CallScopes::parse(&[scope]).expect("a scope"),
    };
    let scopes = CallScope::ALL.map(CallScope::name).into_iter();
    let narrow = [("narrow", "publish:room.a"), ("admin", "admin")];
    let keys = scopes.map(|scope| (scope, scope)).chain(narrow);
    Credentials {
        keys: keys.map(|(name, scope)| key(name, scope)).collect(),
        ..Credentials::default()
    }
}

async fn guarded() -> Plane {
    let config = ControlConfig {
        credentials: credentials(),
        ..config()
    };
    Plane::start_with(config, None, None).await
}

pub(crate) async fn with_key(plane: &Plane, key: Option<String>) -> CallerChannel {
    let options = CallerOptions {
        key,
        ..CallerOptions::default()
    };
    connect_as(&plane.address.to_string(), &options)
        .await
        .expect("the plane listens")
}

pub(crate) async fn as_caller(plane: &Plane, name: &str) -> CallerChannel {
    with_key(plane, Some(format!("key of {name}"))).await
}

/// How one call of each kind ends, by the scope that it needs. A call that reaches
/// its service may fail there.
async fn outcomes(channel: &CallerChannel) -> HashMap<&'static str, Status> {
    let channel = || channel.clone();
    let ok = || Status::ok("");
    let mut connections = ConnectionServiceClient::new(channel());
    let mut sending = SendServiceClient::new(channel());
    let mut publishing = PublishServiceClient::new(channel());
    let mut gateways = GatewayServiceClient::new(channel());
    let mut auth = AuthServiceClient::new(channel());
    let mut channels = ChannelServiceClient::new(channel());
    let mut wills = WillServiceClient::new(channel());
    macro_rules! calls {
        ($($scope:literal: $call:expr,)*) => {
            [$(($scope, $call.await.map_or_else(|status| status, |_| ok())),)*]
        };
    }
    let outcomes = calls! {
        "publish": publishing.publish(PublishRequest::default()),
        "send": sending.send(SendRequest::default()),
        "broadcast": sending.broadcast(crate::plane::timed(BroadcastRequest::default())),
        "mailboxes.read": sending.mailbox(MailboxRequest::default()),
        "connections.read": connections.list_connections(crate::plane::timed(ListConnectionsRequest::default())),
        "connections.write": connections.disconnect(DisconnectRequest::default()),
        "channels.read": channels.history(HistoryRequest::default()),
        "gateways.read": gateways.list_gateways(ListGatewaysRequest::default()),
        "gateways.write": gateways.drain_gateway(DrainGatewayRequest::default()),
        "tokens.issue": auth.issue_token(IssueTokenRequest::default()),
        "wills.read": wills.list_wills(ListWillsRequest::default()),
    };
    outcomes.into()
}

fn denied(status: &Status) -> bool {
    matches!(
        reason(status).as_deref(),
        Some("SCOPE_TOO_SMALL" | "MISSING_CREDENTIALS" | "UNKNOWN_KEY")
    )
}

#[tokio::test]
async fn without_a_known_key_nothing_can_be_called() {
    let plane = guarded().await;
    for (key, expected) in [
        (None, "MISSING_CREDENTIALS"),
        (Some("key of nobody".to_owned()), "UNKNOWN_KEY"),
        (Some("a b\tc".to_owned()), "UNKNOWN_KEY"),
        (Some(String::new()), "UNKNOWN_KEY"),
    ] {
        let channel = with_key(&plane, key).await;
        for (scope, status) in outcomes(&channel).await {
            assert_eq!(status.code(), Code::Unauthenticated, "{scope}");
            assert_eq!(reason(&status).as_deref(), Some(expected), "{scope}");
        }
        let mut publishing = PublishServiceClient::new(channel.clone());
        let batches = tokio_stream::iter([PublishStreamRequest::default()]);
        let status = publishing
            .publish_stream(batches)
            .await
            .expect_err("denied");
        assert_eq!(reason(&status).as_deref(), Some(expected));
        let mut connections = ConnectionServiceClient::new(channel.clone());
        let status = connections.watch(WatchRequest::default()).await;
        assert_eq!(status.expect_err("denied").code(), Code::Unauthenticated);
        let mut auth = AuthServiceClient::new(channel);
        let status = auth.jwks(JwksRequest {}).await.expect_err("denied");
        assert_eq!(reason(&status).as_deref(), Some(expected));
    }
    plane.stop().await;
}

#[tokio::test]
async fn a_key_reaches_what_its_scopes_have_and_nothing_else() {
    let plane = guarded().await;
    for caller in CallScope::ALL.map(CallScope::name) {
        let channel = as_caller(&plane, caller).await;
        for (scope, status) in outcomes(&channel).await {
            assert_eq!(
                denied(&status),
                scope != caller,
                "{caller} {scope} {status}"
            );
            if scope != caller {
                assert_eq!(status.code(), Code::PermissionDenied);
                let message = format!("the caller lacks the scope {scope}");
                assert_eq!(status.message(), message);
            }
        }
    }
    let admin = as_caller(&plane, "admin").await;
    for (scope, status) in outcomes(&admin).await {
        assert!(!denied(&status), "{scope} {status}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn health_is_open_and_reflection_needs_a_key() {
    let plane = guarded().await;
    let nobody = plane.connect().await;
    let mut health = HealthClient::new(nobody.clone());
    let asked = HealthCheckRequest::default();
    health.check(asked).await.expect("probes have no keys");
    let asked = || tokio_stream::iter([ServerReflectionRequest::default()]);
    let refused = ServerReflectionClient::new(nobody)
        .server_reflection_info(asked())
        .await;
    let status = refused.expect_err("no key");
    assert_eq!(reason(&status).as_deref(), Some("MISSING_CREDENTIALS"));
    let somebody = as_caller(&plane, "send").await;
    ServerReflectionClient::new(somebody)
        .server_reflection_info(asked())
        .await
        .expect("any key will do");
    plane.stop().await;
}

#[tokio::test]
async fn publications_can_be_narrowed_to_channels() {
    let plane = guarded().await;
    let listener = plane.listen().await;
    let channel = as_caller(&plane, "narrow").await;
    let mut publishing = PublishServiceClient::new(channel);
    let both = || vec![publication("room.a", "1"), publication("room.b", "2")];

    let one = |publication| PublishRequest {
        publication: Some(publication),
    };
    let [allowed, not_allowed] = both().try_into().expect("two");
    publishing.publish(one(allowed)).await.expect("allowed");
    let status = publishing.publish(one(not_allowed)).await;
    let status = status.expect_err("outside of the pattern");
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(reason(&status).as_deref(), Some("PERMISSION_DENIED"));

    let batch = PublishBatchRequest {
        publications: both(),
    };
    let results = publishing.publish_batch(batch).await.expect("answered");
    let results = results.into_inner().results;
    assert_eq!(results[0].error, None);
    let error = results[1].error.as_ref().expect("refused");
    assert_eq!(error.code, "PERMISSION_DENIED");

    // Twice: the second time the stream knows the channels.
    let batch = |sequence| PublishStreamRequest {
        sequence,
        publications: both(),
    };
    let batches = tokio_stream::iter([batch(1), batch(2)]);
    let answers = publishing.publish_stream(batches).await.expect("allowed");
    let mut answers = answers.into_inner();
    for sequence in 1..=2 {
        let answer = answers.next().await.expect("answered").expect("taken");
        assert_eq!((answer.sequence, answer.published), (sequence, 1));
        let failure = &answer.failures[0];
        let error = failure.error.as_ref().expect("refused");
        assert_eq!((failure.index, &*error.code), (1, "PERMISSION_DENIED"));
    }
    assert_eq!(listener.payloads("room.a"), ["1"; 4]);
    assert_eq!(listener.payloads("room.b"), [""; 0]);
    plane.stop().await;
}
