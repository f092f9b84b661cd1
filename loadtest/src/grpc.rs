//! The publisher's way over the control plane: one `PublishStream`, driven by a
//! thread of its own, which ends when the publisher is dropped or the stream
//! breaks.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use control::client::CallerOptions;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};
use tonic_prost::ProstCodec;
use wire::control::{NewPublication, PublishStreamRequest, PublishStreamResponse};

/// Batches that wait for the thread; more are refused, so that a server that
/// pushes back is noticed.
const BATCHES: usize = 64;
/// Reports of the thread that wait to be read; all say that something is wrong.
const REPORTS: usize = 4;
/// How long the control plane may take to answer the connect.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long answers are awaited when all is sent.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

const METHOD: &str = "/tidegate.control.v1.PublishService/PublishStream";

/// An open stream.
#[derive(Debug)]
pub(crate) struct PublishStream {
    batches: Option<mpsc::Sender<PublishStreamRequest>>,
    /// Dropped when no more will be sent.
    open: Option<oneshot::Sender<()>>,
    broken: Receiver<anyhow::Error>,
    sequence: u64,
    thread: Option<JoinHandle<()>>,
}

// === impl PublishStream ===

impl PublishStream {
    /// Opens the stream to a control plane on this machine.
    pub(crate) fn open(url: &str) -> Result<Self> {
        let endpoint = Endpoint::from_shared(url.to_owned())?.connect_timeout(PATIENCE);
        let host = endpoint.uri().host().unwrap_or_default();
        ensure!(
            host == "localhost" || host.starts_with("127."),
            "{url} is not on this machine: only loopback addresses are loaded"
        );
        let (batches, rx) = mpsc::channel(BATCHES);
        let (open, ended) = oneshot::channel();
        let (report, broken) = sync_channel(REPORTS);
        let thread = thread::Builder::new()
            .name("publish stream".to_owned())
            .spawn(move || drive(&endpoint, rx, ended, &report))?;
        Ok(Self {
            batches: Some(batches),
            open: Some(open),
            broken,
            sequence: 0,
            thread: Some(thread),
        })
    }

    /// Whether there is room for another batch.
    ///
    /// # Errors
    /// The stream broke, or the control plane refused a publication.
    pub(crate) fn has_room(&self) -> Result<bool> {
        match self.broken.try_recv() {
            Ok(error) => return Err(error),
            Err(TryRecvError::Disconnected) => bail!("the publish stream ended"),
            Err(TryRecvError::Empty) => {}
        }
        let batches = self.batches.as_ref().context("the publish stream ended")?;
        Ok(batches.capacity() > 0)
    }

    /// Sends a batch, for which there must be room.
    pub(crate) fn send(&mut self, publications: Vec<NewPublication>) {
        self.sequence += 1;
        let batch = PublishStreamRequest {
            sequence: self.sequence,
            publications,
        };
        if let Some(batches) = &self.batches {
            // If the thread has ended, `has_room` tells why.
            let _ = batches.try_send(batch);
        }
    }
}

impl Drop for PublishStream {
    fn drop(&mut self) {
        (self.batches, self.open) = (None, None);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed already.
            let _ = thread.join();
        }
    }
}

/// The thread: sends batches and reads the answers until either ends.
fn drive(
    endpoint: &Endpoint,
    batches: mpsc::Receiver<PublishStreamRequest>,
    ended: oneshot::Receiver<()>,
    report: &SyncSender<anyhow::Error>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(stream(endpoint, batches, ended)),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = result {
        // Nobody reads it once the publisher is gone.
        let _ = report.try_send(error);
    }
}

async fn stream(
    endpoint: &Endpoint,
    batches: mpsc::Receiver<PublishStreamRequest>,
    ended: oneshot::Receiver<()>,
) -> Result<()> {
    let last_answers = async {
        // Nothing is ever sent: the channel closes when the publisher is gone.
        let _ = ended.await;
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        result = exchange(endpoint, batches) => result,
        () = last_answers => Ok(()),
    }
}

async fn exchange(
    endpoint: &Endpoint,
    batches: mpsc::Receiver<PublishStreamRequest>,
) -> Result<()> {
    let channel = endpoint.connect().await.context("the control plane")?;
    let mut answers = publish_stream(channel, batches).await?;
    while let Some(answer) = answers.next().await {
        if let Some(failure) = answer?.failures.into_iter().next() {
            let error = failure.error.unwrap_or_default();
            return Err(anyhow!("refused: {} {}", error.code, error.message));
        }
    }
    Ok(())
}

async fn publish_stream(
    channel: Channel,
    batches: mpsc::Receiver<PublishStreamRequest>,
) -> Result<Streaming<PublishStreamResponse>> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await?;
    let mut request = Request::new(ReceiverStream::new(batches));
    let bearer = CallerOptions::from_environment().bearer()?;
    bearer.show(request.metadata_mut());
    let answers = client
        .streaming(
            request,
            PathAndQuery::from_static(METHOD),
            ProstCodec::default(),
        )
        .await?;
    Ok(answers.into_inner())
}

#[cfg(test)]
mod tests;
