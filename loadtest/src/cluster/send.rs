//! Targeted sends: look-up in the registry, command to the gateway, receipt.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use client::Client;
use control::client::{AuthServiceClient, CallerOptions, SendServiceClient, connect_as};
use tokio::{task::JoinSet, time::sleep};
use wire::control::{IssueTokenRequest, SendRequest, send_request::Target};

use super::{SendArgs, latencies, micros, percentiles};

const USER: &str = "loadtest";

/// How long the registry may take to know a new connection.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn run(args: &SendArgs) -> Result<()> {
    let channel = connect_as(&args.grpc, &CallerOptions::from_environment()).await?;
    let token = AuthServiceClient::new(channel.clone())
        .issue_token(IssueTokenRequest {
            user: USER.to_owned(),
            ..IssueTokenRequest::default()
        })
        .await?
        .into_inner()
        .token;
    let client = Client::builder(&args.url).token(token).connect().await?;
    let send = SendRequest {
        target: Some(Target::User(USER.to_owned())),
        payload: vec![0; 128].into(),
        ..SendRequest::default()
    };
    let until = Instant::now() + PATIENCE;
    while SendServiceClient::new(channel.clone())
        .send(send.clone())
        .await
        .is_err()
    {
        ensure!(Instant::now() < until, "the user is not found");
        sleep(Duration::from_millis(10)).await;
    }
    let (start, limit) = (Instant::now(), Duration::from_secs_f64(args.secs));
    let mut senders = JoinSet::new();
    for _ in 0..args.window {
        let (mut sender, send) = (SendServiceClient::new(channel.clone()), send.clone());
        senders.spawn(async move {
            let (mut count, mut failed, mut latencies) = (0_u64, 0_u64, latencies());
            while start.elapsed() < limit {
                let asked = Instant::now();
                match sender.send(send.clone()).await {
                    Ok(_) => count += 1,
                    Err(_) => failed += 1,
                }
                latencies.saturating_record(micros(asked.elapsed()));
            }
            (count, failed, latencies)
        });
    }
    let (mut total, mut failures, mut all) = (0, 0, latencies());
    while let Some(sender) = senders.join_next().await {
        let (count, failed, latencies) = sender?;
        total += count;
        failures += failed;
        all.add(&latencies).context("equal bounds")?;
    }
    client.close().await;
    println!(
        "targeted sends, {} under way: {:.0}/s, {}, {failures} failed",
        args.window,
        total as f64 / start.elapsed().as_secs_f64(),
        percentiles(&all)
    );
    Ok(())
}
