//! GatewayService.

use bus::BusError;
use control::client::{GatewayServiceClient, reason};
use tonic::Code;
use wire::{
    control::{DrainGatewayRequest, ListGatewaysRequest},
    gateway::{Drain, Draining, RegisteredGateway, command::Command, command_reply::Reply},
};

use crate::plane::Plane;

#[tokio::test]
async fn gateways_are_listed_as_they_describe_themselves() {
    let plane = Plane::start().await;
    let registered = RegisteredGateway {
        beat: 7,
        connections: 12,
        draining: true,
        version: "1.2.3".into(),
        started_at_ms: 2_500,
    };
    plane.directory.describe("aa", registered);
    let mut client = GatewayServiceClient::new(plane.connect().await);
    let listed = client.list_gateways(ListGatewaysRequest {}).await;
    let listed = listed.expect("known").into_inner().gateways;
    let names: Vec<&str> = listed.iter().map(|gateway| &*gateway.gateway).collect();
    assert_eq!(names, ["a", "aa", "b"]);
    let described = &listed[1];
    assert_eq!(
        (
            described.connections,
            described.draining,
            &*described.version
        ),
        (12, true, "1.2.3")
    );
    let started_at = described.started_at.expect("always known");
    assert_eq!((started_at.seconds, started_at.nanos), (2, 500_000_000));

    plane.directory.fails(BusError::Unavailable);
    let listed = client.list_gateways(ListGatewaysRequest {}).await;
    let status = listed.expect_err("who knows");
    assert_eq!(status.code(), Code::Unavailable);
    plane.stop().await;
}

#[tokio::test]
async fn a_drain_is_begun_by_the_gateway_itself() {
    let plane = Plane::start().await;
    let others = plane.serve_gateway("a", |_| None);
    let asked = plane.serve_gateway("b", |_| Some(Reply::Draining(Draining { connections: 5 })));
    let mut client = GatewayServiceClient::new(plane.connect().await);
    let drain = |gateway: &str| DrainGatewayRequest {
        gateway: gateway.into(),
    };
    let begun = client.drain_gateway(drain("b")).await.expect("begun");
    assert_eq!(begun.into_inner().connections, 5);
    assert_eq!(*asked.lock(), [Command::Drain(Drain {})]);
    assert!(others.lock().is_empty());

    let status = client.drain_gateway(drain("ended")).await;
    let status = status.expect_err("nobody serves it");
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(reason(&status).as_deref(), Some("NO_SUCH_GATEWAY"));
    for malformed in ["", "b.c", "*"] {
        let status = client.drain_gateway(drain(malformed)).await;
        let status = status.expect_err(malformed);
        assert_eq!(status.code(), Code::InvalidArgument, "{malformed}");
    }
    plane.stop().await;
}
