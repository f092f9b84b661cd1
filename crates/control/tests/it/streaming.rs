//! PublishStream: order, errors in the middle, flow control and the end.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bus::{BusError, BusExt, Message, Pattern, Sink};
use control::{ControlConfig, client::PublishServiceClient};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{Code, Streaming, transport::Channel, transport::Endpoint};
use wire::control::{NewPublication, PublishStreamRequest, PublishStreamResponse};

use crate::{
    holding_bus::HoldingBus,
    plane::{Plane, config, publication},
};

fn batch(sequence: u64, publications: Vec<NewPublication>) -> PublishStreamRequest {
    PublishStreamRequest {
        sequence,
        publications,
    }
}

/// Streams all batches, as fast as the server takes them.
async fn stream(
    channel: Channel,
    batches: Vec<PublishStreamRequest>,
) -> Streaming<PublishStreamResponse> {
    PublishServiceClient::new(channel)
        .publish_stream(tokio_stream::iter(batches))
        .await
        .expect("answered")
        .into_inner()
}

async fn collect(answers: Streaming<PublishStreamResponse>) -> Vec<PublishStreamResponse> {
    answers
        .map(|answer| answer.expect("no end yet"))
        .collect()
        .await
}

#[tokio::test]
async fn order_is_kept_in_each_channel() {
    let plane = Plane::start().await;
    let listener = plane.listen().await;
    let channels = ["room.1", "room.2", "room.3"];
    let numbered = |number: u64| publication(channels[number as usize % 3], &number.to_string());
    let batches = (0..50)
        .map(|sequence| {
            let first = sequence * 20;
            batch(sequence, (first..first + 20).map(numbered).collect())
        })
        .collect();
    let answers = collect(stream(plane.connect().await, batches).await).await;
    assert_eq!(answers.len(), 50);
    for (sequence, answer) in (0..).zip(&answers) {
        assert_eq!((answer.sequence, answer.published), (sequence, 20));
        assert!(answer.failures.is_empty());
    }
    for (index, channel) in (0..).zip(channels) {
        let expected: Vec<String> = (0u64..1000)
            .filter(|number| number % 3 == index)
            .map(|number| number.to_string())
            .collect();
        assert_eq!(listener.payloads(channel), expected);
    }
    plane.stop().await;
}

#[tokio::test]
async fn failures_name_their_positions_and_stop_nothing() {
    let plane = Plane::start().await;
    let listener = plane.listen().await;
    let batches = vec![
        batch(
            7,
            vec![
                publication("room.1", "a"),
                publication("", "b"),
                publication("lobby.1", "c"),
                publication("room.1", "d"),
            ],
        ),
        batch(8, Vec::new()),
        batch(9, vec![publication("room.1", "e")]),
    ];
    let answers = collect(stream(plane.connect().await, batches).await).await;
    let counts: Vec<(u64, u32)> = answers
        .iter()
        .map(|answer| (answer.sequence, answer.published))
        .collect();
    assert_eq!(counts, [(7, 2), (8, 0), (9, 1)]);
    let failures: Vec<(u32, &str)> = answers[0]
        .failures
        .iter()
        .map(|failure| {
            let error = failure.error.as_ref().expect("says why");
            (failure.index, error.code.as_str())
        })
        .collect();
    assert_eq!(failures, [(1, "INVALID_CHANNEL"), (2, "UNKNOWN_NAMESPACE")]);
    assert_eq!(listener.payloads("room.1"), ["a", "d", "e"]);
    plane.stop().await;
}

#[tokio::test]
async fn no_more_batches_are_taken_than_may_be_in_flight() {
    let bus = HoldingBus::new();
    let limited = ControlConfig {
        in_flight_batches: 3,
        ..config()
    };
    let plane = Plane::start_with(limited, Some(bus.clone()), None).await;
    let pair = || vec![publication("room.1", ""), publication("room.2", "")];
    let batches = (0..10).map(|sequence| batch(sequence, pair())).collect();
    let answers = stream(plane.connect().await, batches).await;

    // The newest complete first; only three batches are ever under way.
    bus.holds(6).await;
    for _ in 0..5 {
        bus.complete_newest(Ok(()));
    }
    bus.complete_newest(Err(BusError::Overloaded));
    let completing = async {
        for held in [6, 6, 2] {
            bus.holds(held).await;
            for _ in 0..held {
                bus.complete_newest(Ok(()));
            }
        }
    };
    let (answers, ()) = tokio::join!(collect(answers), completing);
    let counts: Vec<(u64, u32)> = answers
        .iter()
        .map(|answer| (answer.sequence, answer.published))
        .collect();
    let expected: Vec<(u64, u32)> = (0..10)
        .map(|sequence| (sequence, if sequence == 0 { 1 } else { 2 }))
        .collect();
    assert_eq!(counts, expected);
    assert_eq!(
        answers[0].failures[0]
            .error
            .as_ref()
            .map(|error| &*error.code),
        Some("OVERLOADED")
    );
    assert_eq!(bus.most(), 6);
    plane.stop().await;
}

/// Counts what is published.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Sink for Counter {
    fn deliver(&self, _: &Message) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn lost(&self, _dropped: u64) {}
}

#[tokio::test]
async fn a_caller_that_reads_slowly_is_stalled_and_not_buffered() {
    const BATCHES: usize = 200;
    let plane = Plane::start().await;
    let published = Arc::new(Counter::default());
    let everything = Pattern::new("tg.ch.>").expect("valid");
    let listening = plane.bus.listen(everything, published.clone());
    listening.await.expect("in memory");

    // Small to send, large to answer: one publication that counts the batch and
    // a thousand that are refused, each with a text.
    let mut publications = vec![publication("!", ""); 1000];
    publications.push(publication("room.1", ""));
    let batches = (0..BATCHES as u64)
        .map(|sequence| batch(sequence, publications.clone()))
        .collect();
    let channel = Endpoint::from_shared(format!("http://{}", plane.address))
        .expect("an address")
        .initial_stream_window_size(65_535)
        .connect()
        .await
        .expect("the plane listens");
    let mut answers = stream(channel, batches).await;

    // Each answer is over 64 KiB: the window holds less than one, HTTP/2 and
    // hyper's send buffer a few more.
    let mut read = 0;
    while let Some(answer) = answers.next().await {
        let answer = answer.expect("no end yet");
        assert_eq!((answer.published, answer.failures.len()), (1, 1000));
        read += 1;
        let ahead = published.0.load(Ordering::Relaxed).saturating_sub(read);
        assert!(ahead <= 16, "{ahead} batches were taken and not read");
    }
    assert_eq!(read, BATCHES);
    plane.stop().await;
}

#[tokio::test]
async fn shutdown_answers_what_was_taken_and_ends_the_stream() {
    let bus = HoldingBus::new();
    let plane = Plane::start_with(config(), Some(bus.clone()), None).await;
    let (batches, rx) = mpsc::channel(1);
    let mut answers = PublishServiceClient::new(plane.connect().await)
        .publish_stream(ReceiverStream::new(rx))
        .await
        .expect("answered")
        .into_inner();
    let one = batch(1, vec![publication("room.1", "")]);
    batches.send(one).await.expect("the stream is open");
    bus.holds(1).await;
    plane.scope.cancel();
    bus.complete_newest(Ok(()));
    let answer = answers
        .next()
        .await
        .expect("an answer")
        .expect("not yet the end");
    assert_eq!((answer.sequence, answer.published), (1, 1));
    let status = answers
        .next()
        .await
        .expect("an end")
        .expect_err("with a reason");
    assert_eq!(status.code(), Code::Unavailable);
    plane.stop().await;
}

#[tokio::test]
async fn a_batch_that_is_too_long_ends_the_stream_after_the_answers_before_it() {
    let plane = Plane::start().await;
    let batches = vec![
        batch(1, vec![publication("room.1", "")]),
        batch(2, vec![publication("room.1", ""); 10_001]),
        batch(3, vec![publication("room.1", "")]),
    ];
    let mut answers = stream(plane.connect().await, batches).await;
    let answer = answers
        .next()
        .await
        .expect("an answer")
        .expect("not yet the end");
    assert_eq!(answer.sequence, 1);
    let status = answers
        .next()
        .await
        .expect("an end")
        .expect_err("with a reason");
    assert_eq!(status.code(), Code::InvalidArgument);
    plane.stop().await;
}
