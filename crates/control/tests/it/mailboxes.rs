//! Durable sends: kept first, then told to whoever is there.

use control::client::{SendServiceClient, reason};
use tonic::{Code, Status};
use wire::{
    control::{
        DeliveryLevel, MailboxRequest, MailboxResponse, SendRequest, SendResponse,
        send_request::Target,
    },
    gateway::{Level, command::Command},
};

use crate::{
    plane::{Plane, config},
    sending::{empty, milliseconds, receipts, silent},
};

async fn plane() -> Plane {
    let mut config = config();
    config.mailboxes = true;
    let plane = Plane::start_with(config, None, None).await;
    let limits = bus::LogLimits {
        messages: 100,
        age: std::time::Duration::from_secs(60),
    };
    mailboxes::declare(&*plane.bus, limits)
        .await
        .expect("memory has both");
    plane
}

fn to_alice(payload: &str, message_id: &str) -> SendRequest {
    SendRequest {
        target: Some(Target::User("alice".into())),
        payload: payload.to_owned().into(),
        durable: true,
        message_id: message_id.into(),
        ..SendRequest::default()
    }
}

async fn send(plane: &Plane, request: SendRequest) -> Result<SendResponse, Status> {
    let mut client = SendServiceClient::new(plane.connect().await);
    Ok(client.send(request).await?.into_inner())
}

async fn standing(plane: &Plane) -> MailboxResponse {
    let mut client = SendServiceClient::new(plane.connect().await);
    let user = "alice".into();
    let standing = client.mailbox(MailboxRequest { user }).await;
    standing.expect("it can be read").into_inner()
}

#[tokio::test]
async fn a_durable_send_succeeds_with_nobody_there_and_is_kept_once() {
    let plane = plane().await;
    plane.serve_gateway("a", empty);
    plane.serve_gateway("b", empty);
    assert_eq!(standing(&plane).await, MailboxResponse::default());
    let first = send(&plane, to_alice("one", "id-1")).await.expect("kept");
    assert!(first.receipts.is_empty() && !first.duplicate);
    let again = send(&plane, to_alice("one", "id-1")).await.expect("kept");
    assert_eq!(again.mailbox_offset, first.mailbox_offset);
    assert!(again.duplicate);
    let second = send(&plane, to_alice("two", "")).await.expect("kept");
    assert!(second.mailbox_offset > first.mailbox_offset);
    let user = wire::UserId::new("alice").expect("valid");
    let acknowledged = mailboxes::acknowledge(&*plane.bus, &user, first.mailbox_offset);
    acknowledged.await.expect("memory has room");
    // It only grows.
    let back = mailboxes::acknowledge(&*plane.bus, &user, 0);
    back.await.expect("memory has room");
    let expected = MailboxResponse {
        acknowledged_up_to: first.mailbox_offset,
        newest: second.mailbox_offset,
        unacknowledged: 1,
    };
    assert_eq!(standing(&plane).await, expected);
    plane.stop().await;
}

#[tokio::test]
async fn gateways_are_told_where_the_message_is() {
    let plane = plane().await;
    let asked = plane.serve_gateway("a", |_| receipts(&[("a.0.1.1", Level::Acknowledged)]));
    plane.serve_gateway("b", |_| receipts(&[("b.0.1.1", Level::Unspecified)]));
    let mut request = to_alice("one", "");
    request.level = DeliveryLevel::Acknowledged.into();
    let sent = send(&plane, request).await.expect("kept");
    let outcome = |index: usize| (sent.receipts[index].level(), &*sent.receipts[index].failure);
    assert_eq!(outcome(0), (DeliveryLevel::Acknowledged, ""));
    assert_eq!(outcome(1), (DeliveryLevel::Unspecified, "timeout"));
    let asked = asked.lock().clone();
    let [Command::Deliver(deliver)] = &asked[..] else {
        panic!("unexpected {asked:?}");
    };
    assert_eq!(deliver.mailbox_offset, sent.mailbox_offset);
    assert!(deliver.payload.is_empty(), "it is read from the mailbox");
    plane.stop().await;
}

#[tokio::test]
async fn what_becomes_of_the_delivery_is_no_failure_of_the_send() {
    let plane = plane().await;
    plane.serve_gateway("a", silent);
    plane.serve_gateway("b", empty);
    let mut request = to_alice("one", "");
    request.timeout = milliseconds(100);
    let sent = send(&plane, request).await.expect("kept");
    assert_eq!(sent.receipts.len(), 1);
    assert_eq!(sent.receipts[0].failure, "timeout");
    plane.directory.fails(bus::BusError::Unavailable);
    let mut request = to_alice("two", "");
    request.timeout = milliseconds(300);
    let sent = send(&plane, request).await.expect("kept");
    assert!(sent.receipts.is_empty() && sent.mailbox_offset > 0);
    assert_eq!(standing(&plane).await.unacknowledged, 2);
    plane.stop().await;
}

#[tokio::test]
async fn durable_sends_that_can_not_be_kept_are_refused() {
    let plane = plane().await;
    let refused = async |change: fn(&mut SendRequest)| {
        let mut request = to_alice("one", "");
        change(&mut request);
        let refusal = send(&plane, request).await.expect_err("refused");
        assert_eq!(refusal.code(), Code::InvalidArgument, "{refusal}");
    };
    refused(|it| it.target = Some(Target::SessionId("0".repeat(32)))).await;
    refused(|it| it.payload = vec![0; mailboxes::MAX_MESSAGE_BYTES + 1].into()).await;
    refused(|it| it.message_id = "a\nb".into()).await;
    refused(|it| it.message_id = "x".repeat(256)).await;
    refused(|it| (it.durable, it.message_id) = (false, "id".into())).await;
    assert_eq!(standing(&plane).await, MailboxResponse::default());
    plane.stop().await;

    let without = Plane::start().await;
    let refusal = send(&without, to_alice("one", ""))
        .await
        .expect_err("refused");
    assert_eq!(reason(&refusal).as_deref(), Some("NO_MAILBOXES"));
    without.stop().await;
}
