//! TLS at the port, and callers with certificates.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use control::{
    CallScopes, ClientCredential, Control, ControlConfig, ControlDeps, ControlError, Credentials,
    TlsFiles,
    client::{
        CallerChannel, CallerOptions, ConnectError, GatewayServiceClient, connect, connect_as,
        reason,
    },
};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tonic::Status;
use wire::{GatewayId, control::ListGatewaysRequest};

use crate::{
    callers::credentials,
    plane::{Plane, config, keyring},
};

fn file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls");
    folder.join(name)
}

fn pem(name: &str) -> Vec<u8> {
    fs::read(file(name)).expect("committed")
}

fn files(client_required: bool) -> TlsFiles {
    TlsFiles {
        certificate: file("server.pem"),
        key: file("server.key"),
        client_ca: Some(file("ca.pem")),
        client_required,
    }
}

/// With all keys, and a caller by certificate that may see gateways.
fn secured(tls: TlsFiles) -> ControlConfig {
    let client = ClientCredential {
        name: "spiffe://tidegate/billing".into(),
        scopes: CallScopes::parse(&["gateways.read"]).expect("a scope"),
    };
    ControlConfig {
        tls: Some(tls),
        credentials: Credentials {
            clients: vec![client],
            ..credentials()
        },
        ..config()
    }
}

async fn plane(client_required: bool) -> Plane {
    Plane::start_with(secured(files(client_required)), None, None).await
}

/// Connects with a certificate, a key, both or neither.
async fn caller(
    plane: &Plane,
    certificate: Option<&str>,
    key: Option<&str>,
) -> Result<CallerChannel, ConnectError> {
    let identity = |name: &str| (pem(&format!("{name}.pem")), pem(&format!("{name}.key")));
    let options = CallerOptions {
        key: key.map(str::to_owned),
        ca: Some(pem("ca.pem")),
        identity: certificate.map(identity),
    };
    connect_as(&format!("https://{}", plane.address), &options).await
}

async fn list(channel: CallerChannel) -> Result<(), Status> {
    let mut client = GatewayServiceClient::new(channel);
    let listed = client.list_gateways(ListGatewaysRequest::default()).await;
    listed.map(drop)
}

/// How a call ends: "ok", the reason in its details, or "broken" without any.
async fn outcome(plane: &Plane, certificate: Option<&str>, key: Option<&str>) -> String {
    let Ok(channel) = caller(plane, certificate, key).await else {
        return "broken".to_owned();
    };
    match list(channel).await {
        Ok(()) => "ok".to_owned(),
        Err(status) => reason(&status).unwrap_or_else(|| "broken".to_owned()),
    }
}

#[tokio::test]
async fn callers_are_known_by_their_certificates_or_their_keys() {
    let plane = plane(false).await;
    for (certificate, key, expected) in [
        (Some("client"), None, "ok"),
        (Some("unknown"), None, "UNKNOWN_CERTIFICATE"),
        (Some("foreign"), None, "broken"),
        (None, None, "MISSING_CREDENTIALS"),
        (None, Some("key of gateways.read"), "ok"),
        (None, Some("key of send"), "SCOPE_TOO_SMALL"),
        (Some("client"), Some("key of send"), "SCOPE_TOO_SMALL"),
        (Some("unknown"), Some("key of gateways.read"), "ok"),
    ] {
        let outcome = outcome(&plane, certificate, key).await;
        assert_eq!(outcome, expected, "{certificate:?} {key:?}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn where_certificates_are_required_nobody_gets_in_without_one() {
    let plane = plane(true).await;
    for (certificate, key, expected) in [
        (Some("client"), None, "ok"),
        (Some("foreign"), None, "broken"),
        (None, None, "broken"),
        (None, Some("key of gateways.read"), "broken"),
    ] {
        let outcome = outcome(&plane, certificate, key).await;
        assert_eq!(outcome, expected, "{certificate:?} {key:?}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn without_tls_nothing_is_said() {
    let plane = plane(false).await;
    let plain = connect(&plane.address.to_string()).await;
    if let Ok(channel) = plain {
        let mut client = GatewayServiceClient::new(channel);
        let status = client.list_gateways(ListGatewaysRequest::default()).await;
        assert_eq!(reason(&status.expect_err("broken")), None);
    }
    let address = format!("https://{}", plane.address);
    let without_roots = connect_as(&address, &CallerOptions::default()).await;
    assert!(matches!(without_roots, Err(ConnectError::Trust)));
    plane.stop().await;
}

#[tokio::test]
async fn a_silent_connection_is_ended_and_holds_nobody_up() {
    let plane = plane(false).await;
    let mut silent = TcpStream::connect(plane.address).await.expect("it listens");
    // Connections are accepted in order: the silent one is, by now.
    assert_eq!(outcome(&plane, Some("client"), None).await, "ok");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    let mut byte = [0];
    // An end or a reset: both are one.
    assert!(matches!(silent.read(&mut byte).await, Ok(0) | Err(_)));
    plane.stop().await;
}

#[tokio::test]
async fn certificates_are_read_again() {
    let folder = std::env::temp_dir().join(format!("tidegate-control-tls-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a writable folder");
    let authorities = folder.join("clients.pem");
    fs::write(&authorities, pem("ca.pem")).expect("a writable folder");
    let tls = TlsFiles {
        client_ca: Some(authorities.clone()),
        ..files(true)
    };
    let plane = Plane::start_with(secured(tls), None, None).await;
    let before = caller(&plane, Some("client"), None).await.expect("trusted");
    list(before.clone()).await.expect("allowed");
    assert_eq!(outcome(&plane, Some("foreign"), None).await, "broken");

    // What can't be used changes nothing.
    fs::write(&authorities, "no certificates").expect("a writable folder");
    reread().await;
    assert_eq!(outcome(&plane, Some("client"), None).await, "ok");

    fs::write(&authorities, pem("other_ca.pem")).expect("a writable folder");
    // Again and again: it may be reading just now.
    let mut tries = 0;
    while outcome(&plane, Some("foreign"), None).await != "ok" {
        tries += 1;
        assert!(tries < 100, "the new authority is never trusted");
        reread().await;
    }
    assert_eq!(outcome(&plane, Some("client"), None).await, "broken");
    list(before).await.expect("connections that are there stay");
    plane.stop().await;
    fs::remove_dir_all(&folder).expect("ours");
}

/// Lets the time pass after which files are read again.
async fn reread() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn keys_cross_a_network_by_tls_or_where_something_else_encrypts() {
    let deps = || ControlDeps {
        bus: std::sync::Arc::new(bus::MemoryBus::new()),
        signing: None,
        keyring: keyring(),
        directory: std::sync::Arc::new(Vec::<GatewayId>::new()),
    };
    let everywhere = ControlConfig {
        listen: "0.0.0.0:0".parse().expect("an address"),
        ..secured(files(false))
    };
    let plain = ControlConfig {
        tls: None,
        ..everywhere.clone()
    };
    let refused = Control::bind(plain.clone(), deps()).await;
    assert!(matches!(refused, Err(ControlError::Plaintext(_))));
    let mesh = ControlConfig {
        allow_plaintext: true,
        ..plain.clone()
    };
    Control::bind(mesh, deps()).await.expect("as configured");
    let open = ControlConfig {
        credentials: Credentials::default(),
        ..everywhere.clone()
    };
    let refused = Control::bind(open, deps()).await;
    assert!(matches!(refused, Err(ControlError::NotLoopback(_))));
    Control::bind(everywhere, deps()).await.expect("by TLS");
    let broken = TlsFiles {
        key: file("client.key"),
        ..files(false)
    };
    let refused = Control::bind(secured(broken), deps()).await;
    assert!(matches!(refused, Err(ControlError::Tls(_))));
}
