//! Explain.

use std::time::Duration;

use control::client::ConnectionServiceClient;
use tonic::{Code, transport::Channel};
use wire::{
    control::{ExplainRequest, Explanation, Outbox, Tcp, explain_request::Target},
    gateway::{self, Explained, ExplainedConnection, command::Command, command_reply::Reply},
};

use crate::{
    crowd::connection,
    plane::{Plane, timed},
};

type Client = ConnectionServiceClient<Channel>;

/// A gateway that holds one connection, of a client that does not read.
fn deaf(name: &'static str) -> impl Fn(Command) -> Option<Reply> {
    move |_| {
        let explained = ExplainedConnection {
            connection: Some(connection(name, 3).1),
            explanation: Some(Explanation {
                outbox: Some(Outbox {
                    bytes: 5 << 20,
                    ..Outbox::default()
                }),
                tcp: Some(Tcp {
                    unsent_bytes: 1_000,
                    last_sent_ms: 4_000,
                    ..Tcp::default()
                }),
                ..Explanation::default()
            }),
        };
        Some(Reply::Explained(Explained {
            connections: vec![explained],
            more: false,
        }))
    }
}

fn of(target: Target) -> ExplainRequest {
    ExplainRequest {
        target: Some(target),
        record: None,
    }
}

fn of_connection(id: &str) -> ExplainRequest {
    of(Target::ConnectionId(id.into()))
}

async fn start() -> (Plane, Client) {
    let plane = Plane::start().await;
    let client = ConnectionServiceClient::new(plane.connect().await);
    (plane, client)
}

#[tokio::test]
async fn a_connection_is_explained_by_its_gateway_with_what_stands_out() {
    let (plane, mut client) = start().await;
    let asked = plane.serve_gateway("a", deaf("a"));
    let mut request = of_connection("a.0.3.1");
    request.record = Duration::from_millis(1_500).try_into().ok();
    let explained = client.explain(request).await.expect("it is there");
    let explained = explained.into_inner();
    let [one] = &explained.connections[..] else {
        panic!("one: {explained:?}");
    };
    let connection = one.connection.as_ref().expect("with it");
    assert_eq!(
        (&*connection.gateway, &*connection.connection_id),
        ("a", "a.0.3.1")
    );
    let [finding] = &one.findings[..] else {
        panic!("one: {:?}", one.findings);
    };
    assert_eq!(finding.code, "client_does_not_read");
    assert!(finding.message.contains("5.0 MiB"), "{finding:?}");
    let asked = asked.lock().clone();
    let [Command::Explain(gateway::Explain { target, record_ms })] = &asked[..] else {
        panic!("asked for something else: {asked:?}");
    };
    assert_eq!((target.is_some(), *record_ms), (true, 1_500));
    plane.stop().await;
}

#[tokio::test]
async fn all_connections_of_a_user_are_explained_wherever_they_are() {
    let (plane, mut client) = start().await;
    plane.serve_gateway("b", deaf("b"));
    plane.serve_gateway("a", deaf("a"));
    let explained = client.explain(of(Target::User("bob".into()))).await;
    let explained = explained.expect("two").into_inner().connections;
    let ids = explained.iter().flat_map(|it| &it.connection);
    let ids: Vec<_> = ids.map(|it| it.connection_id.as_str()).collect();
    assert_eq!(ids, ["a.0.3.1", "b.0.3.1"]);
    plane.stop().await;
}

#[tokio::test]
async fn who_is_not_there_and_who_does_not_answer_are_told_apart() {
    let (plane, mut client) = start().await;
    plane.serve_gateway("a", |_| Some(Reply::Explained(Explained::default())));
    plane.serve_gateway("b", |_| None);
    plane.serve_gateway("c", |_| Some(Reply::Failure("unknown command".into())));
    for (id, code, says) in [
        ("a.0.3.1", Code::NotFound, "no such connection"),
        ("ended.0.3.1", Code::NotFound, "no such connection"),
        (
            "b.0.3.1",
            Code::DeadlineExceeded,
            "gateway b did not answer",
        ),
        ("c.0.3.1", Code::Internal, "gateway c could not do it"),
        ("nonsense", Code::InvalidArgument, "connection_id"),
    ] {
        let status = client.explain(timed(of_connection(id))).await;
        let status = status.expect_err(id);
        assert_eq!(status.code(), code, "{id}: {status:?}");
        assert!(status.message().contains(says), "{id}: {status:?}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn what_can_not_be_recorded_is_refused() {
    let (plane, mut client) = start().await;
    let asked = plane.serve_gateway("a", deaf("a"));
    let status = client.explain(ExplainRequest::default()).await;
    assert_eq!(status.expect_err("whose?").code(), Code::InvalidArgument);
    for (seconds, nanos) in [(601, 0), (600, 1), (-1, 0), (i64::MAX, 0)] {
        let mut request = of_connection("a.0.3.1");
        request.record = Some(prost_types::Duration { seconds, nanos });
        let status = client.explain(request).await.expect_err("not so long");
        assert_eq!(status.code(), Code::InvalidArgument, "{seconds}");
    }
    assert!(asked.lock().is_empty());
    plane.stop().await;
}
