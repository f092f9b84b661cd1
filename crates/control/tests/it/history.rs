//! Reading logs.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bus::{BusExt, Log, LogLimits, MemoryBus, Pattern};
use control::client::{ChannelServiceClient, PublishServiceClient, reason};
use tonic::{Code, transport::Channel};
use wire::control::{HistoryRequest, HistoryResponse, PublishRequest};

use crate::plane::{Plane, config, publication};

/// A plane with a log for `room`, and none for `void`.
async fn stage() -> (Plane, ChannelServiceClient<Channel>) {
    let bus = Arc::new(MemoryBus::new());
    let limits = LogLimits {
        messages: 2_000,
        age: Duration::from_secs(3_600),
    };
    let log = Log {
        name: "room".into(),
        patterns: vec![Pattern::new("tg.ch.room.>").expect("valid")],
        limits,
    };
    bus.keep_log(log).await.expect("in memory");
    let mut config = config();
    config.namespaces.push("void".into());
    let plane = Plane::start_with(config, Some(bus), None).await;
    let client = ChannelServiceClient::new(plane.connect().await);
    (plane, client)
}

async fn publish(plane: &Plane, channel: &str, payload: &str) -> u64 {
    let request = PublishRequest {
        publication: Some(publication(channel, payload)),
    };
    let mut client = PublishServiceClient::new(plane.connect().await);
    let published = client.publish(request).await.expect("published");
    published.into_inner().offset
}

fn of_room() -> HistoryRequest {
    HistoryRequest {
        channel: "room.1".into(),
        ..HistoryRequest::default()
    }
}

async fn read(
    client: &mut ChannelServiceClient<Channel>,
    request: HistoryRequest,
) -> HistoryResponse {
    client.history(request).await.expect("read").into_inner()
}

fn payloads(page: &HistoryResponse) -> Vec<&[u8]> {
    page.publications.iter().map(|it| &*it.payload).collect()
}

#[tokio::test]
async fn history_is_read_page_by_page() {
    let (plane, mut client) = stage().await;
    let empty = read(&mut client, of_room()).await;
    assert!(empty.publications.is_empty() && !empty.more && empty.newest_offset == 0);
    for payload in ["a", "b", "c"] {
        publish(&plane, "room.1", payload).await;
        publish(&plane, "room.2", "of another").await;
    }
    let request = HistoryRequest {
        limit: 2,
        ..of_room()
    };
    let first = read(&mut client, request.clone()).await;
    assert_eq!(
        (payloads(&first), first.more),
        (vec![&b"a"[..], b"b"], true)
    );
    let last = first.publications[1].offset;
    let request = HistoryRequest {
        after_offset: last,
        epoch: first.epoch.clone(),
        ..request
    };
    let second = read(&mut client, request).await;
    assert_eq!((payloads(&second), second.more), (vec![&b"c"[..]], false));
    assert_eq!(second.publications[0].previous, last);
    assert_eq!(second.newest_offset, second.publications[0].offset);
    assert_eq!(
        (&second.epoch, second.newest_offset),
        (&first.epoch, first.newest_offset)
    );
    plane.stop().await;
}

#[tokio::test]
async fn history_is_read_since_a_time() {
    let (plane, mut client) = stage().await;
    publish(&plane, "room.1", "a").await;
    let since = |time: prost_types::Timestamp| HistoryRequest {
        since: Some(time),
        ..of_room()
    };
    let at = |seconds| prost_types::Timestamp { seconds, nanos: 0 };
    for (time, expected) in [(at(0), 1), (at(-5), 1), (at(1 << 40), 0)] {
        let page = read(&mut client, since(time)).await;
        assert_eq!(page.publications.len(), expected, "{time:?}");
        assert_eq!(page.newest_offset, 1);
    }
    let now = since(SystemTime::now().into());
    let both = HistoryRequest {
        after_offset: 1,
        ..now
    };
    let refused = client.history(both).await.expect_err("one or the other");
    assert_eq!(refused.code(), Code::InvalidArgument);
    plane.stop().await;
}

#[tokio::test]
async fn pages_of_large_publications_are_short() {
    let (plane, mut client) = stage().await;
    let large = "x".repeat(400 << 10);
    for _ in 0..6 {
        publish(&plane, "room.1", &large).await;
    }
    let first = read(&mut client, of_room()).await;
    assert_eq!((first.publications.len(), first.more), (3, true));
    plane.stop().await;
}

#[tokio::test]
async fn what_can_not_be_read_says_why() {
    let (plane, mut client) = stage().await;
    let of = |channel: &str| HistoryRequest {
        channel: channel.into(),
        ..HistoryRequest::default()
    };
    let other_epoch = HistoryRequest {
        epoch: "another".into(),
        ..of("room.1")
    };
    let cases = [
        (of("void.1"), Code::FailedPrecondition, "NO_HISTORY"),
        (other_epoch, Code::FailedPrecondition, "OTHER_EPOCH"),
        (of("nowhere.1"), Code::NotFound, "UNKNOWN_NAMESPACE"),
        (of("room.*"), Code::InvalidArgument, "INVALID_CHANNEL"),
    ];
    for (request, code, name) in cases {
        let refused = client.history(request).await.expect_err("refused");
        assert_eq!(
            (refused.code(), reason(&refused).as_deref()),
            (code, Some(name))
        );
    }
    plane.stop().await;
}
