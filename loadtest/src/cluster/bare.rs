//! Bare NATS: what the bus itself can do on this machine, with the same client
//! library.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use async_nats::Client;
use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::{sync::Semaphore, task::JoinSet, time::sleep};
use tokio_stream::StreamExt;

use super::{BareArgs, latencies, micros, percentiles};

const SUBJECT: &str = "bare.loadtest";

/// Publishes to one subscriber on a connection of its own.
pub(super) async fn pubsub(args: &BareArgs) -> Result<()> {
    let (publisher, subscriber) = (connect(args).await?, connect(args).await?);
    let (count, secs, _) = run(&publisher, &subscriber, args, 0.0).await?;
    let fastest = count as f64 / secs;
    let rate = if args.rate > 0.0 {
        args.rate
    } else {
        fastest / 2.0
    };
    let (_, _, latencies) = run(&publisher, &subscriber, args, rate).await?;
    println!(
        "bare publish/subscribe: {fastest:.0}/s; at {rate:.0}/s {}",
        percentiles(&latencies)
    );
    Ok(())
}

/// Publishes at `rate` (zero: as fast as the window allows); gives messages
/// received, seconds and latencies.
async fn run(
    publisher: &Client,
    subscriber: &Client,
    args: &BareArgs,
    rate: f64,
) -> Result<(u64, f64, Histogram<u64>)> {
    let mut messages = subscriber.subscribe(SUBJECT).await?;
    subscriber.flush().await?;
    // A message to itself through the server: the subscription is active.
    subscriber.publish(SUBJECT, Bytes::new()).await?;
    messages.next().await.context("the subscription ended")?;
    let start = Instant::now();
    let window = Arc::new(Semaphore::new(if rate > 0.0 {
        Semaphore::MAX_PERMITS
    } else {
        args.window * 64
    }));
    let limit = Duration::from_secs_f64(args.secs);
    let (publisher, size, gate) = (publisher.clone(), args.size.max(8), window.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut sent: u64 = 0;
        while start.elapsed() < limit {
            let due = if rate > 0.0 {
                (start.elapsed().as_secs_f64() * rate) as u64
            } else {
                u64::MAX
            };
            if sent >= due {
                sleep(Duration::from_millis(1)).await;
                continue;
            }
            let Ok(permit) = gate.acquire().await else {
                break;
            };
            permit.forget();
            // Stamped with the planned time, so that a stall counts.
            let planned = if rate > 0.0 {
                sent as f64 / rate
            } else {
                start.elapsed().as_secs_f64()
            };
            let mut payload = vec![0; size];
            payload[..8].copy_from_slice(&((planned * 1e6) as u64).to_le_bytes());
            if publisher.publish(SUBJECT, payload.into()).await.is_err() {
                break;
            }
            sent += 1;
        }
        // The end, behind everything.
        let _ = publisher.publish(SUBJECT, Bytes::new()).await;
        let _ = publisher.flush().await;
    });
    let (mut received, mut latencies) = (0, latencies());
    while let Some(message) = messages.next().await {
        let Some(stamp) = message.payload.first_chunk::<8>() else {
            break;
        };
        window.add_permits(usize::from(rate == 0.0));
        let planned = Duration::from_micros(u64::from_le_bytes(*stamp));
        latencies.saturating_record(micros(start.elapsed().saturating_sub(planned)));
        received += 1;
    }
    Ok((received, start.elapsed().as_secs_f64(), latencies))
}

/// Requests to one responder on a connection of its own.
pub(super) async fn request(args: &BareArgs) -> Result<()> {
    let (asking, answering) = (connect(args).await?, connect(args).await?);
    let mut requests = answering.queue_subscribe(SUBJECT, "q".to_owned()).await?;
    answering.flush().await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Some(request) = requests.next().await {
            if let Some(reply) = request.reply {
                let _ = answering.publish(reply, request.payload).await;
            }
        }
        (0, latencies())
    });
    let payload = Bytes::from(vec![0; args.size]);
    let (start, limit) = (Instant::now(), Duration::from_secs_f64(args.secs));
    let mut askers = JoinSet::new();
    for _ in 0..args.window {
        let (client, payload) = (asking.clone(), payload.clone());
        askers.spawn(async move {
            let (mut count, mut latencies) = (0_u64, latencies());
            while start.elapsed() < limit {
                let asked = Instant::now();
                if client.request(SUBJECT, payload.clone()).await.is_ok() {
                    latencies.saturating_record(micros(asked.elapsed()));
                    count += 1;
                }
            }
            (count, latencies)
        });
    }
    let (mut total, mut all) = (0, latencies());
    while let Some(asker) = askers.join_next().await {
        let (count, latencies) = asker?;
        total += count;
        all.add(&latencies).context("equal bounds")?;
    }
    println!(
        "bare request/reply, {} under way: {:.0}/s, {}",
        args.window,
        total as f64 / start.elapsed().as_secs_f64(),
        percentiles(&all)
    );
    Ok(())
}

async fn connect(args: &BareArgs) -> Result<Client> {
    let connecting = async_nats::connect(&args.nats);
    connecting
        .await
        .with_context(|| format!("connecting to {}", args.nats))
}
