//! Watch: events from the bus, what a slow reader misses, and the end.

use bus::{BusExt, Outgoing, Subject};
use control::client::ConnectionServiceClient;
use prost::Message;
use tokio_stream::StreamExt;
use tonic::{Code, Streaming, transport::Endpoint};
use wire::{
    Offset,
    control::{
        Connection, ConnectionEvent, ConnectionEventKind, WatchRequest, WatchResponse,
        watch_response::Item,
    },
};

use crate::plane::Plane;

fn event(kind: ConnectionEventKind, user: &str, id: &str) -> ConnectionEvent {
    ConnectionEvent {
        event_id: format!("{id}.{}", kind.as_str_name()),
        kind: kind.into(),
        connection: Some(Connection {
            connection_id: id.into(),
            user: user.into(),
            ..Connection::default()
        }),
        ..ConnectionEvent::default()
    }
}

fn opened(user: &str, id: &str) -> ConnectionEvent {
    event(ConnectionEventKind::Opened, user, id)
}

fn closed(user: &str, id: &str) -> ConnectionEvent {
    event(ConnectionEventKind::Closed, user, id)
}

async fn publish(plane: &Plane, event: &ConnectionEvent) {
    let name = match event.kind() {
        ConnectionEventKind::Closed => "closed",
        _ => "opened",
    };
    publish_raw(plane, name, event.encode_to_vec()).await;
}

async fn publish_raw(plane: &Plane, name: &str, payload: Vec<u8>) {
    let subject = Subject::new(&format!("tg.ev.conn.{name}")).expect("a subject");
    let outgoing = Outgoing {
        subject,
        payload: payload.into(),
        key: "".into(),
        published_at_us: 0,
        message_id: "".into(),
        traceparent: Box::default(),
    };
    let published = plane.bus.send(outgoing).await.expect("in memory");
    assert_eq!(published.offset, Offset::NONE);
}

async fn watch(plane: &Plane, user: &str) -> Streaming<WatchResponse> {
    let mut client = ConnectionServiceClient::new(plane.connect().await);
    let request = WatchRequest { user: user.into() };
    client.watch(request).await.expect("watched").into_inner()
}

async fn next(events: &mut Streaming<WatchResponse>) -> Item {
    let next = events.next().await.expect("not yet the end");
    next.expect("no error").item.expect("of a kind")
}

#[tokio::test]
async fn events_come_in_order_and_whole() {
    let plane = Plane::start().await;
    let mut events = watch(&plane, "").await;
    for event in [opened("alice", "a.0.0.1"), closed("alice", "a.0.0.1")] {
        publish(&plane, &event).await;
        assert_eq!(next(&mut events).await, Item::Event(event));
    }
    plane.stop().await;
}

#[tokio::test]
async fn a_watch_of_one_user_gets_no_others() {
    let plane = Plane::start().await;
    let mut events = watch(&plane, "bob").await;
    publish(&plane, &opened("alice", "a.0.0.1")).await;
    let bobs = opened("bob", "a.0.1.1");
    publish(&plane, &bobs).await;
    assert_eq!(next(&mut events).await, Item::Event(bobs));
    plane.stop().await;
}

#[tokio::test]
async fn an_event_that_nobody_can_read_is_one_that_is_missed() {
    let plane = Plane::start().await;
    let (mut all, mut bobs) = (watch(&plane, "").await, watch(&plane, "bob").await);
    publish_raw(&plane, "opened", b"\xff".to_vec()).await;
    publish_raw(&plane, "closed", Vec::new()).await;
    let last = opened("bob", "a.0.1.1");
    publish(&plane, &last).await;
    let mut missed = 0;
    loop {
        match next(&mut all).await {
            Item::Missed(more) => missed += more,
            Item::Event(event) => break assert_eq!(event, last),
        }
    }
    assert_eq!(missed, 2);
    // They may have been of others.
    assert_eq!(next(&mut bobs).await, Item::Missed(0));
    plane.stop().await;
}

#[tokio::test]
async fn what_a_slow_reader_misses_is_counted_in_its_place() {
    const EVENTS: u64 = 40_000;
    let plane = Plane::start().await;
    // What HTTP/2 holds for a reader is small, so that the queue fills.
    let channel = Endpoint::from_shared(format!("http://{}", plane.address))
        .expect("an address")
        .initial_stream_window_size(65_535)
        .connect()
        .await
        .expect("the plane listens");
    let mut client = ConnectionServiceClient::new(channel);
    let watched = client.watch(WatchRequest::default()).await;
    let mut slow = watched.expect("watched").into_inner();
    for number in 0..EVENTS {
        publish(&plane, &opened("alice", &number.to_string())).await;
    }

    let (mut events, mut missed, mut gaps) = (0, 0, 0);
    while events + missed < EVENTS {
        match next(&mut slow).await {
            Item::Missed(more) => {
                missed += more;
                gaps += 1;
            }
            Item::Event(event) => {
                let number = event.connection.expect("named").connection_id;
                // Where something is missing, it was counted just before.
                assert_eq!(number, (events + missed).to_string());
                events += 1;
            }
        }
    }
    assert!(
        missed > 0 && gaps > 0 && events >= 16_384,
        "{events}, {missed}"
    );
    let last = closed("alice", "last");
    publish(&plane, &last).await;
    assert_eq!(next(&mut slow).await, Item::Event(last));
    plane.stop().await;
}

#[tokio::test]
async fn shutdown_ends_a_watch_with_unavailable() {
    let plane = Plane::start().await;
    let mut events = watch(&plane, "").await;
    plane.scope.cancel();
    let status = events.next().await.expect("an end").expect_err("a reason");
    assert_eq!(status.code(), Code::Unavailable);
    plane.stop().await;
}

#[tokio::test]
async fn a_malformed_user_can_not_be_watched() {
    let plane = Plane::start().await;
    let mut client = ConnectionServiceClient::new(plane.connect().await);
    let user = "a\nb".into();
    let status = client.watch(WatchRequest { user }).await;
    let status = status.expect_err("refused");
    assert_eq!(status.code(), Code::InvalidArgument);
    plane.stop().await;
}
