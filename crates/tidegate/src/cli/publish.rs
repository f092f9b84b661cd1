//! `tidegate publish`: one publication, or many over a stream.

use std::io;

use bytes::Bytes;
use control::client::{CallerChannel, PublishServiceClient};
use futures_util::stream;
use serde_json::json;
use tokio::sync::mpsc;
use wire::control::{
    NewPublication, PublishRequest, PublishResponse, PublishStreamFailure, PublishStreamRequest,
    PublishStreamResponse,
};

use super::{
    Failure,
    args::GrpcArgs,
    output,
    payload::{self, PayloadArgs},
};

/// Publications in one message of the stream, at most.
const BATCH_ITEMS: usize = 256;
/// Payload after which a message of the stream is full; the server takes 4 MiB.
const BATCH_BYTES: usize = 256 << 10;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The channel, e.g. demo.hello
    channel: String,

    #[command(flatten)]
    payload: PayloadArgs,

    /// Key of the publication
    #[arg(long, default_value = "", hide_default_value = true)]
    key: String,

    /// Id of the publication: the log stores one id only once
    #[arg(long, default_value = "", hide_default_value = true, conflicts_with_all = ["count", "lines"])]
    id: String,

    /// Publish it so many times, as fast as possible
    #[arg(long, value_name = "N", conflicts_with = "lines")]
    count: Option<usize>,

    /// Publish each line of stdin as it comes
    #[arg(long, conflicts_with_all = ["payload", "file"])]
    lines: bool,

    #[command(flatten)]
    grpc: GrpcArgs,
}

/// What became of a stream.
#[derive(Debug, Default)]
struct Tally {
    published: u64,
    refused: u64,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    let Args {
        channel,
        payload,
        key,
        id,
        count,
        lines,
        grpc,
    } = args;
    let publication_id = id;
    let new = NewPublication {
        channel,
        key,
        publication_id,
        ..NewPublication::default()
    };
    let client = PublishServiceClient::new(grpc.connect().await?);
    if lines {
        return publish_all(
            client,
            new,
            payload::read_ahead(payload::stdin_lines())?,
            json,
        )
        .await;
    }
    let payload = payload.read()?;
    match count {
        None => publish_one(client, NewPublication { payload, ..new }, json).await,
        Some(count) => {
            let copies = std::iter::repeat_n(payload, count).map(Ok);
            publish_all(client, new, payload::read_ahead(copies)?, json).await
        }
    }
}

async fn publish_one(
    mut client: PublishServiceClient<CallerChannel>,
    new: NewPublication,
    json: bool,
) -> Result<(), Failure> {
    let channel = new.channel.clone();
    let request = PublishRequest {
        publication: Some(new),
    };
    let PublishResponse { offset, duplicate } = client.publish(request).await?.into_inner();
    if json {
        output::line(json!({ "channel": channel, "offset": offset, "duplicate": duplicate }))?;
        return Ok(());
    }
    output::line(offset)?;
    match (offset, duplicate) {
        (0, _) => output::note("the channel keeps no log: it has no offsets"),
        (_, true) => output::note("the log had this id already: nothing was stored"),
        (_, false) => {}
    }
    Ok(())
}

/// Publishes what comes until there is no more.
async fn publish_all(
    mut client: PublishServiceClient<CallerChannel>,
    new: NewPublication,
    payloads: mpsc::Receiver<io::Result<Bytes>>,
    json: bool,
) -> Result<(), Failure> {
    let (batches, mut outgoing) = mpsc::channel(1);
    let outgoing = stream::poll_fn(move |ctx| outgoing.poll_recv(ctx));
    let answered = async move {
        let mut answers = client.publish_stream(outgoing).await?.into_inner();
        let mut tally = Tally::default();
        while let Some(answer) = answers.message().await? {
            tally.add(&answer);
        }
        Ok::<_, Failure>(tally)
    };
    let sent = async { batch(&new, payloads, batches).await.map_err(Failure::from) };
    let (tally, ()) = tokio::try_join!(answered, sent)?;
    let Tally { published, refused } = tally;
    if json {
        output::line(
            json!({ "channel": new.channel, "published": published, "refused": refused }),
        )?;
    } else {
        output::line(published)?;
    }
    match refused {
        0 => Ok(()),
        some => Err(Failure::failed(format_args!(
            "{some} of {} were refused",
            some + published
        ))),
    }
}

/// Sends what is waiting as one batch, so that single lines leave at once and
/// many leave together. Each batch is named by the number of its first payload.
async fn batch(
    new: &NewPublication,
    mut payloads: mpsc::Receiver<io::Result<Bytes>>,
    batches: mpsc::Sender<PublishStreamRequest>,
) -> io::Result<()> {
    let mut sequence = 1;
    while let Some(first) = payloads.recv().await {
        let mut bytes = 0;
        let mut publications = Vec::new();
        let mut next = Ok(first);
        while let Ok(payload) = next {
            let payload = payload?;
            bytes += payload.len();
            publications.push(NewPublication {
                payload,
                ..new.clone()
            });
            if publications.len() == BATCH_ITEMS || bytes >= BATCH_BYTES {
                break;
            }
            next = payloads.try_recv();
        }
        let following = sequence + publications.len() as u64;
        let request = PublishStreamRequest {
            sequence,
            publications,
        };
        // Refused when the server ended the stream; its answer says why.
        if batches.send(request).await.is_err() {
            break;
        }
        sequence = following;
    }
    Ok(())
}

// === impl Tally ===

impl Tally {
    fn add(&mut self, answer: &PublishStreamResponse) {
        self.published += u64::from(answer.published);
        self.refused += answer.failures.len() as u64;
        for PublishStreamFailure { index, error } in &answer.failures {
            let number = answer.sequence + u64::from(*index);
            let error = error.clone().unwrap_or_default();
            output::note(format_args!("{number}: {} ({})", error.message, error.code));
        }
    }
}
