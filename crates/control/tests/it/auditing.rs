//! The audit log, as it is written.

use std::{
    io,
    sync::{Arc, Mutex},
};

use auth::KeyPair;
use control::{
    ControlConfig,
    client::{
        AuthServiceClient, ConnectionServiceClient, GatewayServiceClient, PublishServiceClient,
    },
};
use serde_json::Value;
use tracing::subscriber::DefaultGuard;
use wire::{
    control::{
        DisconnectRequest, DrainGatewayRequest, IssueTokenRequest, ListGatewaysRequest,
        PublishRequest, SubscribeRequest, disconnect_request, subscribe_request,
    },
    gateway::{Disconnected, command_reply::Reply},
};

use crate::{
    callers::{as_caller, credentials, with_key},
    plane::{Plane, config, publication},
};

/// What this thread logs, as JSON.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Gathers until the guard is dropped. The whole plane runs on this thread.
    fn begin() -> (Self, DefaultGuard) {
        let log = Self::default();
        let to = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(move || to.clone());
        (log, tracing::subscriber::set_default(subscriber.finish()))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("text")
    }

    /// The fields of the lines with the target `audit`.
    fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        let audit = lines.filter(|line: &Value| line["target"] == "audit");
        audit.map(|line| line["fields"].clone()).collect()
    }
}

/// Caller, method, subject and outcome of each line.
fn short(lines: &[Value]) -> Vec<[String; 4]> {
    let field = |line: &Value, name: &str| line[name].as_str().expect(name).to_owned();
    let method = |line: &Value| {
        let path = field(line, "method");
        path.rsplit_once('/')
            .map_or("", |(_, name)| name)
            .to_owned()
    };
    let row = |line: &Value| {
        [
            field(line, "caller"),
            method(line),
            field(line, "subject"),
            field(line, "outcome"),
        ]
    };
    lines.iter().map(row).collect()
}

async fn guarded() -> Plane {
    let config = ControlConfig {
        credentials: credentials(),
        ..config()
    };
    let keys = KeyPair::generate_ed25519("test");
    Plane::start_with(config, None, Some(keys.signing)).await
}

#[tokio::test]
async fn administrative_calls_are_written_down_and_the_data_path_is_not() {
    let (log, _guard) = Log::begin();
    let plane = guarded().await;
    for gateway in ["a", "b"] {
        let closed = Disconnected { count: 1 };
        plane.serve_gateway(gateway, move |_| Some(Reply::Disconnected(closed)));
    }
    let channel = as_caller(&plane, "admin").await;
    let mut connections = ConnectionServiceClient::new(channel.clone());
    let target = disconnect_request::Target::User("mallory".into());
    let request = DisconnectRequest {
        target: Some(target),
        reason: "a private reason".into(),
        ..DisconnectRequest::default()
    };
    connections.disconnect(request).await.expect("closed");
    let request = SubscribeRequest {
        target: Some(subscribe_request::Target::User("eve".into())),
        channel: "no.such".into(),
    };
    connections
        .subscribe(request)
        .await
        .expect_err("no namespace");
    let mut gateways = GatewayServiceClient::new(channel.clone());
    let request = DrainGatewayRequest {
        gateway: "c".into(),
    };
    gateways.drain_gateway(request).await.expect_err("unknown");
    let all = ListGatewaysRequest::default();
    gateways.list_gateways(all).await.expect("listed");
    let request = PublishRequest {
        publication: Some(publication("room.a", "a private payload")),
    };
    let mut publishing = PublishServiceClient::new(channel.clone());
    publishing.publish(request).await.expect("published");
    let request = IssueTokenRequest {
        user: "alice".into(),
        ..IssueTokenRequest::default()
    };
    let issued = AuthServiceClient::new(channel).issue_token(request).await;
    let token = issued.expect("issued").into_inner().token;

    let lines = log.lines();
    let expected = [
        ["admin", "Disconnect", "user mallory", "ok"],
        ["admin", "Subscribe", "user eve", "not_found"],
        ["admin", "DrainGateway", "gateway c", "not_found"],
        ["admin", "IssueToken", "user alice", "ok"],
    ];
    assert_eq!(short(&lines), expected);
    for line in &lines {
        let peer = line["peer"].as_str().expect("an address");
        assert!(peer.starts_with("127.0.0.1:"), "{peer}");
        assert!(line["seconds"].as_f64().is_some_and(|it| it >= 0.0));
    }
    for private in ["private", &token, "key of"] {
        assert!(!log.text().contains(private), "{private}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn denied_calls_are_written_down_with_their_reason() {
    let (log, _guard) = Log::begin();
    let plane = guarded().await;
    for (key, reason) in [
        (None, "MISSING_CREDENTIALS"),
        (Some("stolen key"), "UNKNOWN_KEY"),
        (Some("key of send"), "SCOPE_TOO_SMALL"),
    ] {
        let channel = with_key(&plane, key.map(str::to_owned)).await;
        let request = PublishRequest::default();
        let mut publishing = PublishServiceClient::new(channel);
        publishing.publish(request).await.expect_err("denied");
        let lines = log.lines();
        let last = lines.last().expect("written");
        assert_eq!(last["reason"], reason);
        let caller = if reason == "SCOPE_TOO_SMALL" {
            "send"
        } else {
            ""
        };
        assert_eq!(last["caller"], caller);
        assert_eq!(
            last["method"],
            "/tidegate.control.v1.PublishService/Publish"
        );
    }
    let lines = short(&log.lines());
    let codes: Vec<_> = lines.iter().map(|[.., outcome]| &**outcome).collect();
    let expected = ["unauthenticated", "unauthenticated", "permission_denied"];
    assert_eq!(codes, expected);
    assert!(!log.text().contains("stolen key"));
    plane.stop().await;
}
