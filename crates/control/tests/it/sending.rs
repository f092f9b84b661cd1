//! Send: receipts of several gateways, nobody there, and silence.

use std::sync::Arc;

use control::client::SendServiceClient;
use parking_lot::Mutex;
use tonic::{Code, Status};
use wire::{
    control::{DeliveryLevel, SendReceipt, SendRequest, send_request::Target},
    gateway::{
        Deliver, Delivered, Level, Receipt, command::Command, command_reply::Reply,
        target::Target as Meant,
    },
};

use crate::plane::Plane;

fn to_user(user: &str) -> SendRequest {
    SendRequest {
        target: Some(Target::User(user.into())),
        payload: (&b"hi"[..]).into(),
        ..SendRequest::default()
    }
}

fn to_connection(id: &str) -> SendRequest {
    SendRequest {
        target: Some(Target::ConnectionId(id.into())),
        ..to_user("")
    }
}

fn milliseconds(milliseconds: i32) -> Option<prost_types::Duration> {
    Some(prost_types::Duration {
        seconds: 0,
        nanos: milliseconds * 1_000_000,
    })
}

fn receipts(receipts: &[(&str, Level)]) -> Option<Reply> {
    let receipts = receipts
        .iter()
        .map(|&(id, level)| Receipt {
            connection_id: id.into(),
            level: level.into(),
        })
        .collect();
    Some(Reply::Delivered(Delivered { receipts }))
}

/// A gateway where nobody is.
fn empty(_: Command) -> Option<Reply> {
    receipts(&[])
}

fn silent(_: Command) -> Option<Reply> {
    None
}

async fn send(plane: &Plane, request: SendRequest) -> Result<Vec<SendReceipt>, Status> {
    let mut client = SendServiceClient::new(plane.connect().await);
    Ok(client.send(request).await?.into_inner().receipts)
}

fn summary(receipts: &[SendReceipt]) -> Vec<(&str, DeliveryLevel, &str)> {
    receipts
        .iter()
        .map(|receipt| (&*receipt.connection_id, receipt.level(), &*receipt.failure))
        .collect()
}

#[tokio::test]
async fn receipts_of_all_gateways_are_merged() {
    let plane = Plane::start().await;
    plane.serve_gateway("a", |_| receipts(&[("a.0.1.1", Level::Written)]));
    plane.serve_gateway("b", |_| {
        receipts(&[("b.0.1.1", Level::Gone), ("b.0.2.1", Level::Refused)])
    });
    let mut request = to_user("alice");
    request.level = DeliveryLevel::Written.into();
    let receipts = send(&plane, request).await.expect("delivered");
    assert_eq!(
        summary(&receipts),
        [
            ("a.0.1.1", DeliveryLevel::Written, ""),
            ("b.0.1.1", DeliveryLevel::Unspecified, "gone"),
            ("b.0.2.1", DeliveryLevel::Unspecified, "refused"),
        ]
    );
    plane.stop().await;
}

#[tokio::test]
async fn a_connection_is_asked_of_its_gateway_only() {
    let plane = Plane::start().await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    plane.serve_gateway("a", |_| panic!("not this one"));
    plane.serve_gateway("b", move |command| {
        seen.lock().push(command);
        receipts(&[("b.0.1.1", Level::Enqueued)])
    });
    let receipts = send(&plane, to_connection("b.0.1.1"))
        .await
        .expect("delivered");
    assert_eq!(
        summary(&receipts),
        [("b.0.1.1", DeliveryLevel::Enqueued, "")]
    );
    let asked = std::mem::take(&mut *asked.lock());
    let [
        Command::Deliver(Deliver {
            target: Some(target),
            payload,
            await_level,
        }),
    ] = &asked[..]
    else {
        panic!("one Deliver was expected")
    };
    assert_eq!(target.target, Some(Meant::ConnectionId("b.0.1.1".into())));
    assert_eq!(payload, "hi");
    assert_eq!(*await_level, i32::from(Level::Enqueued));
    plane.stop().await;
}

#[tokio::test]
async fn nobody_there_is_not_found() {
    let plane = Plane::start().await;
    plane.serve_gateway("a", empty);
    plane.serve_gateway("b", empty);
    for request in [
        to_user("alice"),
        to_connection("a.0.0.0"),
        to_connection("elsewhere.0.0.0"),
    ] {
        let status = send(&plane, request.clone()).await.expect_err("nobody");
        assert_eq!(status.code(), Code::NotFound, "{request:?}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn a_silent_gateway_is_told_from_an_empty_one() {
    let plane = Plane::start().await;
    let status = send(&plane, to_user("alice"))
        .await
        .expect_err("no gateway");
    assert_eq!(status.code(), Code::Unavailable);

    plane.serve_gateway("a", empty);
    plane.serve_gateway("b", silent);
    let mut request = to_user("alice");
    request.timeout = milliseconds(20);
    let status = send(&plane, request).await.expect_err("b is silent");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    plane.stop().await;
}

#[tokio::test]
async fn silence_does_not_hide_what_was_delivered() {
    let plane = Plane::start().await;
    plane.serve_gateway("a", |_| receipts(&[("a.0.1.1", Level::Enqueued)]));
    plane.serve_gateway("b", silent);
    let mut request = to_user("alice");
    request.timeout = milliseconds(20);
    let receipts = send(&plane, request).await.expect("delivered by a");
    assert_eq!(
        summary(&receipts),
        [
            ("a.0.1.1", DeliveryLevel::Enqueued, ""),
            ("", DeliveryLevel::Unspecified, "timeout"),
        ]
    );
    let mut request = to_connection("b.0.1.1");
    request.timeout = milliseconds(20);
    let receipts = send(&plane, request).await.expect("a receipt all the same");
    assert_eq!(
        summary(&receipts),
        [("b.0.1.1", DeliveryLevel::Unspecified, "timeout")]
    );
    plane.stop().await;
}

#[tokio::test]
async fn malformed_sends_are_refused() {
    let plane = Plane::start().await;
    let mut nobody = to_user("alice");
    nobody.target = None;
    let mut acknowledged = to_user("alice");
    acknowledged.level = DeliveryLevel::Acknowledged.into();
    let mut unknown = to_user("alice");
    unknown.level = 99;
    let mut forever = to_user("alice");
    forever.timeout = Some(prost_types::Duration {
        seconds: 3600,
        nanos: 0,
    });
    for (request, code) in [
        (nobody, Code::InvalidArgument),
        (to_user(""), Code::InvalidArgument),
        (to_connection("a.b"), Code::InvalidArgument),
        (unknown, Code::InvalidArgument),
        (forever, Code::InvalidArgument),
        (acknowledged, Code::Unimplemented),
    ] {
        let status = send(&plane, request.clone()).await.expect_err("refused");
        assert_eq!(status.code(), code, "{request:?}");
    }
    plane.stop().await;
}
