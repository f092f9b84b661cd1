//! What a channel with local interest costs a gateway's memory.

use std::time::Duration;

use anyhow::Result;
use client::{Client, Subscription};
use control::client::{AuthServiceClient, CallerOptions, connect_as};
use tokio::time::sleep;
use wire::control::IssueTokenRequest;

use super::InterestArgs;
use crate::process::memory;

/// Until what was freed late is freed.
const SETTLE: Duration = Duration::from_secs(2);

pub(super) async fn run(args: &InterestArgs) -> Result<()> {
    let channel = connect_as(&args.grpc, &CallerOptions::from_environment()).await?;
    let token = AuthServiceClient::new(channel)
        .issue_token(IssueTokenRequest {
            user: "loadtest".to_owned(),
            ..IssueTokenRequest::default()
        })
        .await?
        .into_inner()
        .token;
    let mut clients = Vec::new();
    for _ in 0..args.channels.div_ceil(args.per_connection) {
        clients.push(
            Client::builder(&args.url)
                .token(token.clone())
                .connect()
                .await?,
        );
    }
    sleep(SETTLE).await;
    let before = memory(args.server_pid).rss;
    let mut held: Vec<Subscription> = Vec::new();
    for number in 0..args.channels {
        let client = &clients[number / args.per_connection];
        held.push(
            client
                .subscribe(&format!("{}.interest-{number}", args.namespace))
                .await?,
        );
    }
    sleep(SETTLE).await;
    let after = memory(args.server_pid).rss;
    println!(
        "{} channels of `{}`: gateway RSS {:.1} MiB more, {} bytes a channel",
        held.len(),
        args.namespace,
        (after - before) as f64 / f64::from(1 << 20),
        (after - before) / held.len() as u64
    );
    Ok(())
}
