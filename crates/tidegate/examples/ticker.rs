//! Prices, published by a backend over gRPC and watched by clients over
//! WebSocket. Start `cargo run -- dev`, then:
//!
//!     cargo run --example ticker              both, in one process
//!     cargo run --example ticker -- publish   the backend alone
//!     cargo run --example ticker -- watch     a client alone; start several

use std::time::Duration;

use anyhow::{Context, Result, bail};
use client::{Client, SubscriptionEvent};
use control::client::{AuthServiceClient, PublishServiceClient};
use futures_util::{StreamExt, stream};
use wire::control::{IssueTokenRequest, NewPublication, PublishStreamRequest};

/// Where `tidegate dev` serves backends, and where clients. `TIDEGATE_GRPC` and
/// `TIDEGATE_URL` name others, as they do for the command line.
const GRPC_URL: &str = "http://127.0.0.1:7410";
const CLIENT_URL: &str = "ws://127.0.0.1:7400/v1/ws";

/// Namespace `market` of the development node: only backends publish there,
/// everybody may subscribe, and the last hundred prices are kept.
const CHANNEL: &str = "market.BTC-USD";

/// Ten prices a second.
const INTERVAL: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> Result<()> {
    let role = std::env::args().nth(1).unwrap_or_default();
    let work = async {
        match role.as_str() {
            "publish" => publish().await,
            "watch" => watch().await,
            "" => tokio::try_join!(publish(), watch()).map(|_| ()),
            other => bail!("`{other}` is neither `publish` nor `watch`"),
        }
    };
    tokio::select! {
        outcome = work => outcome,
        pressed = tokio::signal::ctrl_c() => Ok(pressed?),
    }
}

/// The backend: a stream of batches up, an answer to each down.
async fn publish() -> Result<()> {
    let channel = control::client::connect(&address("TIDEGATE_GRPC", GRPC_URL))
        .await
        .context(HELP)?;
    let mut backend = PublishServiceClient::new(channel);
    let mut answers = backend.publish_stream(prices()).await?.into_inner();
    while let Some(answer) = answers.message().await? {
        // Each publication of a batch succeeds or fails for itself.
        for failure in answer.failures {
            let error = failure.error.unwrap_or_default();
            eprintln!(
                "batch {} refused: {} ({})",
                answer.sequence, error.message, error.code
            );
        }
    }
    bail!("the control plane ended the stream")
}

/// A price that wanders, one batch for each step. Backends with more to say put
/// many publications into a batch.
fn prices() -> impl futures_util::Stream<Item = PublishStreamRequest> {
    let start = (1_u64, 65_000.0_f64, tokio::time::interval(INTERVAL));
    stream::unfold(start, |(sequence, price, mut clock)| async move {
        clock.tick().await;
        let price = price * (1.0 + (fastrand::f64() - 0.5) / 1_000.0);
        let publication = NewPublication {
            channel: CHANNEL.to_owned(),
            payload: format!("{price:.2}").into(),
            ..NewPublication::default()
        };
        let batch = PublishStreamRequest {
            sequence,
            publications: vec![publication],
        };
        Some((batch, (sequence + 1, price, clock)))
    })
}

/// A client: connects with a token and prints what comes.
async fn watch() -> Result<()> {
    let client = Client::builder(&address("TIDEGATE_URL", CLIENT_URL))
        .token(token().await?)
        .connect()
        .await
        .context(HELP)?;
    let mut prices = client.subscribe(CHANNEL).await?;
    println!("watching {CHANNEL}; Ctrl-C ends it");
    while let Some(event) = prices.next().await {
        match event {
            SubscriptionEvent::Publication(price) => {
                println!(
                    "{:>8}  {}",
                    price.offset,
                    String::from_utf8_lossy(&price.payload)
                );
            }
            // Whatever was not delivered is reported: show stale prices as such.
            other => println!("          {other:?}"),
        }
    }
    bail!("the subscription ended")
}

/// Clients get their tokens from a backend of yours that knows them. It asks
/// the control plane, as this does.
async fn token() -> Result<String> {
    let channel = control::client::connect(&address("TIDEGATE_GRPC", GRPC_URL))
        .await
        .context(HELP)?;
    let request = IssueTokenRequest {
        user: "ticker".to_owned(),
        ..IssueTokenRequest::default()
    };
    Ok(AuthServiceClient::new(channel)
        .issue_token(request)
        .await?
        .into_inner()
        .token)
}

fn address(variable: &str, default: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| default.to_owned())
}

/// What to do when nobody answers.
const HELP: &str = "no server here: start one with `cargo run -- dev`";
