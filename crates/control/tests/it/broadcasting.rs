//! Broadcast: counts, and gateways that say nothing.

use bus::BusError;
use control::client::SendServiceClient;
use tonic::{Code, Status};
use wire::{
    control::{BroadcastRequest, BroadcastResponse, DeliveryLevel},
    gateway::{Delivered, Level, LevelCount, command_reply::Reply, target::Target as Meant},
};

use crate::{
    plane::Plane,
    sending::{empty, milliseconds, only_deliver, silent},
};

fn counts(counts: &[(Level, u64)]) -> Option<Reply> {
    let counts = counts.iter().map(|&(level, connections)| LevelCount {
        level: level.into(),
        connections,
    });
    Some(Reply::Delivered(Delivered {
        receipts: Vec::new(),
        counts: counts.collect(),
    }))
}

async fn broadcast(plane: &Plane) -> Result<BroadcastResponse, Status> {
    let mut client = SendServiceClient::new(plane.connect().await);
    let request = BroadcastRequest {
        payload: (&b"hi"[..]).into(),
        level: DeliveryLevel::Written.into(),
        timeout: milliseconds(100),
    };
    Ok(client.broadcast(request).await?.into_inner())
}

#[tokio::test]
async fn connections_are_counted_by_whether_they_got_it() {
    let plane = Plane::start().await;
    plane.directory.knows(&["a", "b", "ended"]);
    let asked = plane.serve_gateway("a", |_| counts(&[(Level::Written, 20_000)]));
    plane.serve_gateway("b", |_| {
        counts(&[
            (Level::Written, 7),
            (Level::Acknowledged, 1),
            (Level::Enqueued, 2),
            (Level::Gone, 3),
            (Level::Refused, 4),
        ])
    });
    let response = broadcast(&plane).await.expect("sent");
    assert_eq!((response.reached, response.failed), (20_008, 9));
    assert!(response.silent_gateways.is_empty(), "one of them has ended");
    let everybody = (Meant::Everybody(true), "hi".into(), Level::Written);
    assert_eq!(only_deliver(&asked), everybody);
    plane.stop().await;
}

#[tokio::test]
async fn silent_gateways_are_named() {
    let plane = Plane::start().await;
    plane.serve_gateway("a", |_| counts(&[(Level::Written, 1)]));
    plane.serve_gateway("b", silent);
    let response = broadcast(&plane).await.expect("sent by a");
    assert_eq!((response.reached, response.failed), (1, 0));
    assert_eq!(response.silent_gateways, ["b"]);
    plane.stop().await;
}

#[tokio::test]
async fn an_empty_cluster_is_no_failure_and_an_unknown_one_is() {
    let plane = Plane::start().await;
    plane.serve_gateway("a", empty);
    let response = broadcast(&plane).await.expect("nobody is there");
    assert_eq!(response, BroadcastResponse::default());
    plane.directory.fails(BusError::Unavailable);
    let status = broadcast(&plane).await.expect_err("who knows");
    assert_eq!(status.code(), Code::Unavailable);
    plane.stop().await;
}
