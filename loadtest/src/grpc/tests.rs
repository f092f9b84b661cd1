//! The stream against a double of the control plane.

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::task::{Context as TaskContext, Poll};
use std::thread;

use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, BoxStream, Service, http};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Response, Status};
use wire::control::{PublishError, PublishStreamFailure};

use super::*;

/// Reports what it gets; refuses what is for the channel `refused`.
#[derive(Clone, Debug)]
struct Double(SyncSender<PublishStreamRequest>);

impl NamedService for Double {
    const NAME: &'static str = "tidegate.control.v1.PublishService";
}

impl Service<http::Request<Body>> for Double {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        assert_eq!(request.uri().path(), METHOD);
        let double = self.clone();
        Box::pin(async move {
            Ok(Grpc::new(ProstCodec::default())
                .streaming(double, request)
                .await)
        })
    }
}

impl StreamingService<PublishStreamRequest> for Double {
    type Response = PublishStreamResponse;
    type ResponseStream = BoxStream<PublishStreamResponse>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<PublishStreamRequest>>) -> Self::Future {
        let answers = self.clone().answers(request.into_inner());
        Box::pin(async move { Ok(Response::new(Box::pin(answers) as BoxStream<_>)) })
    }
}

impl Double {
    fn answers(
        self,
        batches: Streaming<PublishStreamRequest>,
    ) -> impl Stream<Item = Result<PublishStreamResponse, Status>> + Send {
        batches.map(move |batch| {
            let batch = batch?;
            let refused = batch
                .publications
                .iter()
                .any(|publication| publication.channel == "refused");
            let failure = PublishStreamFailure {
                index: 0,
                error: Some(PublishError {
                    code: "NO".to_owned(),
                    message: "not this".to_owned(),
                }),
            };
            let answer = PublishStreamResponse {
                sequence: batch.sequence,
                published: 1,
                failures: refused.then_some(failure).into_iter().collect(),
            };
            self.0
                .send(batch)
                .map_err(|_| Status::cancelled("the test is over"))?;
            Ok(answer)
        })
    }

    /// Serves until the test's process ends; returns the address and what comes.
    fn serve() -> (String, Receiver<PublishStreamRequest>) {
        let (tx, rx) = sync_channel(BATCHES);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("in a runtime");
                let incoming = TcpListenerStream::new(listener);
                let server = tonic::transport::Server::builder().add_service(Double(tx));
                server.serve_with_incoming(incoming).await
            })
        });
        (url, rx)
    }
}

fn publication(channel: &str) -> NewPublication {
    NewPublication {
        channel: channel.to_owned(),
        ..NewPublication::default()
    }
}

#[test]
fn batches_come_in_order() {
    let (url, received) = Double::serve();
    let mut stream = PublishStream::open(&url).unwrap();
    for _ in 0..3 {
        assert!(stream.has_room().unwrap());
        stream.send(vec![publication("demo.load"), publication("demo.load")]);
    }
    for sequence in 1..=3 {
        let batch = received.recv_timeout(PATIENCE).unwrap();
        assert_eq!((batch.sequence, batch.publications.len()), (sequence, 2));
    }
}

#[test]
fn refusal_breaks_the_stream_and_says_why() {
    let (url, _received) = Double::serve();
    let mut stream = PublishStream::open(&url).unwrap();
    stream.send(vec![publication("refused")]);
    let error = stream.broken.recv_timeout(PATIENCE).unwrap();
    assert_eq!(error.to_string(), "refused: NO not this");
    // The thread's report is the last thing it does; then it ends.
    assert!(stream.broken.recv_timeout(PATIENCE).is_err());
    assert!(stream.has_room().is_err());
}

#[test]
fn only_loopback_is_connected_to() {
    assert!(PublishStream::open("http://192.0.2.1:7410").is_err());
}
