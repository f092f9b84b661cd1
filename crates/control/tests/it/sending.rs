//! Send: receipts of several gateways, nobody there, and silence.

use bus::BusError;
use bytes::Bytes;
use control::client::{SendServiceClient, reason};
use tonic::{Code, Status};
use wire::{
    control::{DeliveryLevel, Label, SendReceipt, SendRequest, send_request::Target},
    gateway::{
        Delivered, Level, Receipt, command::Command, command_reply::Reply, target::Target as Meant,
    },
};

use crate::plane::{Asked, Plane};

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

pub(crate) fn milliseconds(milliseconds: i32) -> Option<prost_types::Duration> {
    Some(prost_types::Duration {
        seconds: 0,
        nanos: milliseconds * 1_000_000,
    })
}

pub(crate) fn receipts(receipts: &[(&str, Level)]) -> Option<Reply> {
    let receipts = receipts
        .iter()
        .map(|&(id, level)| Receipt {
            connection_id: id.into(),
            level: level.into(),
        })
        .collect();
    Some(Reply::Delivered(Delivered {
        receipts,
        counts: Vec::new(),
    }))
}

/// A gateway where nobody is.
pub(crate) fn empty(_: Command) -> Option<Reply> {
    receipts(&[])
}

pub(crate) fn silent(_: Command) -> Option<Reply> {
    None
}

/// The one command that was asked, which must be a Deliver: to whom, what and
/// how far.
pub(crate) fn only_deliver(asked: &Asked) -> (Meant, Bytes, Level) {
    let asked = asked.lock();
    let [Command::Deliver(deliver)] = &asked[..] else {
        panic!("one Deliver was expected, not {asked:?}")
    };
    let target = deliver.target.clone().and_then(|target| target.target);
    let target = target.expect("a target");
    (target, deliver.payload.clone(), deliver.await_level())
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
    let others = plane.serve_gateway("a", empty);
    let asked = plane.serve_gateway("b", |_| receipts(&[("b.0.1.1", Level::Enqueued)]));
    let receipts = send(&plane, to_connection("b.0.1.1"))
        .await
        .expect("delivered");
    assert_eq!(
        summary(&receipts),
        [("b.0.1.1", DeliveryLevel::Enqueued, "")]
    );
    let (target, payload, level) = only_deliver(&asked);
    assert_eq!(target, Meant::ConnectionId("b.0.1.1".into()));
    assert_eq!((payload, level), ("hi".into(), Level::Enqueued));
    assert!(others.lock().is_empty());
    plane.stop().await;
}

#[tokio::test]
async fn only_gateways_that_hold_one_are_asked() {
    let session = "000000000000000000000000000000ab";
    let label = Label {
        name: "tier".into(),
        value: "gold".into(),
    };
    for (holder, target, meant) in [
        (
            "alice",
            Target::User("alice".into()),
            Meant::User("alice".into()),
        ),
        (
            session,
            Target::SessionId(session.into()),
            Meant::SessionId(session.into()),
        ),
        (
            "tier=gold",
            Target::Label(label.clone()),
            Meant::Label(wire::gateway::Label {
                name: "tier".into(),
                value: "gold".into(),
            }),
        ),
    ] {
        let plane = Plane::start().await;
        plane.directory.holders(holder, &["b"]);
        let others = plane.serve_gateway("a", empty);
        let asked = plane.serve_gateway("b", |_| receipts(&[("b.0.1.1", Level::Enqueued)]));
        let request = SendRequest {
            target: Some(target),
            ..to_user("")
        };
        let receipts = send(&plane, request).await.expect("delivered");
        assert_eq!(receipts.len(), 1, "{holder}");
        assert_eq!(only_deliver(&asked).0, meant);
        assert_eq!(others.lock().len(), 0, "{holder}");
        plane.stop().await;
    }
}

#[tokio::test]
async fn nobody_there_is_not_found() {
    let plane = Plane::start().await;
    plane.directory.holders("alice", &[]);
    plane.directory.holders("bob", &["a", "b", "ended"]);
    let a = plane.serve_gateway("a", empty);
    let b = plane.serve_gateway("b", empty);
    for (request, asked) in [
        // The look-up knows it.
        (to_user("alice"), [0, 0]),
        // They left while the look-up was under way, or their gateway ended.
        (to_user("bob"), [1, 1]),
        (to_connection("a.0.0.0"), [2, 1]),
        (to_connection("ended.0.0.0"), [2, 1]),
    ] {
        let status = send(&plane, request.clone()).await.expect_err("nobody");
        assert_eq!(status.code(), Code::NotFound, "{request:?}");
        assert_eq!(reason(&status).as_deref(), Some("NOT_CONNECTED"));
        assert_eq!([a.lock().len(), b.lock().len()], asked, "{request:?}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn a_look_up_that_fails_never_means_nobody() {
    let plane = Plane::start().await;
    let asked = plane.serve_gateway("a", empty);
    for (error, code) in [
        (BusError::Unavailable, Code::Unavailable),
        (BusError::DeadlineExceeded, Code::Unavailable),
        (BusError::NoTable, Code::Unavailable),
        (BusError::Overloaded, Code::ResourceExhausted),
    ] {
        plane.directory.fails(error);
        let status = send(&plane, to_user("alice")).await.expect_err("unknown");
        assert_eq!(status.code(), code);
    }
    assert!(asked.lock().is_empty());
    plane.stop().await;
}

#[tokio::test]
async fn a_level_that_was_not_reached_in_time_is_told() {
    let plane = Plane::start().await;
    let asked = plane.serve_gateway("a", |_| {
        receipts(&[
            ("a.0.1.1", Level::Acknowledged),
            ("a.0.2.1", Level::Written),
            ("a.0.3.1", Level::Enqueued),
            ("a.0.4.1", Level::Gone),
        ])
    });
    let mut request = to_user("alice");
    request.level = DeliveryLevel::Acknowledged.into();
    let receipts = send(&plane, request).await.expect("delivered");
    assert_eq!(
        summary(&receipts),
        [
            ("a.0.1.1", DeliveryLevel::Acknowledged, ""),
            ("a.0.2.1", DeliveryLevel::Written, "timeout"),
            ("a.0.3.1", DeliveryLevel::Enqueued, "timeout"),
            ("a.0.4.1", DeliveryLevel::Unspecified, "gone"),
        ]
    );
    assert_eq!(only_deliver(&asked).2, Level::Acknowledged);
    plane.stop().await;
}

#[tokio::test]
async fn a_silent_gateway_is_told_from_an_empty_one() {
    let plane = Plane::start().await;
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
    let with = |target| SendRequest {
        target: Some(target),
        ..to_user("")
    };
    let label = Label {
        name: "ti.er".into(),
        value: "gold".into(),
    };
    let mut unknown = to_user("alice");
    unknown.level = 99;
    let mut forever = to_user("alice");
    forever.timeout = Some(prost_types::Duration {
        seconds: 3600,
        nanos: 0,
    });
    for request in [
        nobody,
        to_user(""),
        to_connection("a.b"),
        with(Target::SessionId("ab".into())),
        with(Target::Label(label)),
        unknown,
        forever,
    ] {
        let status = send(&plane, request.clone()).await.expect_err("refused");
        assert_eq!(status.code(), Code::InvalidArgument, "{request:?}");
    }
    plane.stop().await;
}
