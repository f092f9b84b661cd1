//! Publish and PublishBatch.

use std::time::Duration;

use bus::{BusExt, Log, LogLimits, Pattern};
use control::client::PublishServiceClient;
use tonic::Code;
use wire::control::{NewPublication, PublishBatchRequest, PublishRequest};

use crate::plane::{Plane, publication};

fn publish(publication: NewPublication) -> PublishRequest {
    PublishRequest {
        publication: Some(publication),
    }
}

#[tokio::test]
async fn a_publication_reaches_listeners_and_gets_its_offset() {
    let plane = Plane::start().await;
    let everything = Pattern::new("tg.ch.>").expect("valid");
    let limits = LogLimits {
        messages: 10,
        age: Duration::from_secs(60),
    };
    let log = Log {
        name: "all".into(),
        patterns: vec![everything],
        limits,
    };
    plane.bus.keep_log(log).await.expect("kept");
    let listener = plane.listen().await;
    let mut client = PublishServiceClient::new(plane.connect().await);

    let mut first = publication("room.1", "hello");
    first.publication_id = "once".into();
    let published = client
        .publish(publish(first.clone()))
        .await
        .expect("published");
    let published = published.into_inner();
    assert!(published.offset > 0 && !published.duplicate);
    let again = client.publish(publish(first)).await.expect("published");
    let again = again.into_inner();
    assert_eq!((again.offset, again.duplicate), (published.offset, true));
    assert_eq!(listener.payloads("room.1"), ["hello"]);
    plane.stop().await;
}

#[tokio::test]
async fn refusals_have_a_status_each() {
    let plane = Plane::start().await;
    let mut client = PublishServiceClient::new(plane.connect().await);
    let mut headers = publication("room.1", "");
    headers.key = "a\r\nTg-User: root".into();
    let mut early = publication("room.1", "");
    early.published_at_us = -1;
    for (request, code) in [
        (PublishRequest { publication: None }, Code::InvalidArgument),
        (publish(publication("room.*", "")), Code::InvalidArgument),
        (publish(publication("lobby.1", "")), Code::NotFound),
        (publish(headers), Code::InvalidArgument),
        (publish(early), Code::InvalidArgument),
    ] {
        let status = client.publish(request.clone()).await.expect_err("refused");
        assert_eq!(status.code(), code, "{request:?}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn each_publication_of_a_batch_has_its_own_result() {
    let plane = Plane::start().await;
    let listener = plane.listen().await;
    let mut client = PublishServiceClient::new(plane.connect().await);
    let publications = vec![
        publication("room.1", "one"),
        publication("room..1", "bad"),
        publication("lobby.1", "unknown"),
        publication("room.1", "two"),
    ];
    let response = client
        .publish_batch(PublishBatchRequest { publications })
        .await
        .expect("answered");
    let codes: Vec<String> = response
        .into_inner()
        .results
        .into_iter()
        .map(|result| result.error.map(|error| error.code).unwrap_or_default())
        .collect();
    assert_eq!(codes, ["", "INVALID_CHANNEL", "UNKNOWN_NAMESPACE", ""]);
    assert_eq!(listener.payloads("room.1"), ["one", "two"]);
    plane.stop().await;
}

#[tokio::test]
async fn a_batch_that_is_too_long_is_refused_whole() {
    let plane = Plane::start().await;
    let listener = plane.listen().await;
    let mut client = PublishServiceClient::new(plane.connect().await);
    let publications = vec![publication("room.1", ""); 10_001];
    let status = client
        .publish_batch(PublishBatchRequest { publications })
        .await
        .expect_err("refused");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(listener.payloads("room.1").is_empty());
    plane.stop().await;
}
