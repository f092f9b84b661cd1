//! The port, health, reflection and the end.

use std::sync::Arc;

use bus::MemoryBus;
use control::{
    Control, ControlConfig, ControlDeps, ControlError,
    client::{ConnectError, connect},
};
use tokio_stream::StreamExt;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1, v1alpha};
use wire::GatewayId;

use crate::plane::{Plane, config, keyring};

const SERVICES: [&str; 6] = [
    "tidegate.control.v1.AuthService",
    "tidegate.control.v1.ChannelService",
    "tidegate.control.v1.ConnectionService",
    "tidegate.control.v1.GatewayService",
    "tidegate.control.v1.PublishService",
    "tidegate.control.v1.SendService",
];

fn health_of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.into(),
    }
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let config = ControlConfig {
            listen: address.parse().expect("an address"),
            ..config()
        };
        let deps = ControlDeps {
            bus: Arc::new(MemoryBus::new()),
            signing: None,
            keyring: keyring(),
            directory: Arc::new(Vec::<GatewayId>::new()),
        };
        let refused = Control::bind(config, deps).await.expect_err("not loopback");
        assert!(matches!(refused, ControlError::NotLoopback(_)), "{address}");
    }
}

#[tokio::test]
async fn connecting_to_nobody_says_so() {
    let plane = Plane::start().await;
    let address = plane.address.to_string();
    plane.stop().await;
    let error = connect(&address).await.expect_err("nobody listens");
    assert_eq!(
        error.to_string(),
        format!("connection refused on {address}: is the control plane running?")
    );
    for address in ["", "127.0.0.1", "not an address"] {
        let error = connect(address).await.expect_err("no address");
        assert!(matches!(error, ConnectError::Address { .. }), "{address}");
    }
}

#[tokio::test]
async fn every_service_is_healthy() {
    let plane = Plane::start().await;
    let mut client = HealthClient::new(plane.connect().await);
    for service in SERVICES.into_iter().chain([""]) {
        let health = client.check(health_of(service)).await.expect("known");
        assert_eq!(
            health.into_inner().status(),
            ServingStatus::Serving,
            "{service}"
        );
    }
    let unknown = client.check(health_of("no.such.Service")).await;
    assert_eq!(unknown.expect_err("unknown").code(), Code::NotFound);
    plane.stop().await;
}

#[tokio::test]
async fn shutdown_is_told_to_watchers_and_does_not_wait_for_them() {
    let plane = Plane::start().await;
    let mut client = HealthClient::new(plane.connect().await);
    let watch = client.watch(health_of(SERVICES[0])).await.expect("known");
    let mut watch = watch.into_inner();
    let mut next = async || watch.next().await.expect("still watched");
    assert_eq!(
        next().await.expect("a status").status(),
        ServingStatus::Serving
    );
    plane.scope.cancel();
    assert_eq!(
        next().await.expect("a status").status(),
        ServingStatus::NotServing
    );
    plane.stop().await;
    assert!(next().await.is_err(), "the connection was cut");
}

#[tokio::test]
async fn reflection_lists_services_and_serves_their_imports() {
    use v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let plane = Plane::start().await;
    let mut client = ServerReflectionClient::new(plane.connect().await);
    let asked = [
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol(SERVICES[5].into()),
        MessageRequest::FileByFilename("google/protobuf/duration.proto".into()),
        MessageRequest::FileByFilename("google/protobuf/timestamp.proto".into()),
    ];
    let requests = asked.map(|asked| ServerReflectionRequest {
        message_request: Some(asked),
        ..ServerReflectionRequest::default()
    });
    let answers = client
        .server_reflection_info(tokio_stream::iter(requests))
        .await;
    let mut answers = answers.expect("served").into_inner();
    let mut next = async || {
        let answer = answers.next().await.expect("an answer").expect("no error");
        answer.message_response.expect("of a kind")
    };
    let MessageResponse::ListServicesResponse(listed) = next().await else {
        panic!("a list was asked for")
    };
    let names: Vec<String> = listed
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    for service in SERVICES.into_iter().chain(["grpc.health.v1.Health"]) {
        assert!(
            names.iter().any(|name| name == service),
            "{service} in {names:?}"
        );
    }
    for _ in 0..3 {
        assert!(matches!(
            next().await,
            MessageResponse::FileDescriptorResponse(_)
        ));
    }
    plane.stop().await;
}

#[tokio::test]
async fn reflection_speaks_its_old_version_too() {
    use v1alpha::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let plane = Plane::start().await;
    let mut client = ServerReflectionClient::new(plane.connect().await);
    let request = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await;
    let answer = answers.expect("served").into_inner().next().await;
    let answer = answer
        .expect("an answer")
        .expect("no error")
        .message_response;
    let Some(MessageResponse::ListServicesResponse(listed)) = answer else {
        panic!("a list was asked for")
    };
    assert!(
        listed
            .service
            .iter()
            .any(|service| service.name == SERVICES[0])
    );
    plane.stop().await;
}
