//! Reads what the logs hold in the end, from NATS itself.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result};
use async_nats::jetstream::{self, consumer::pull::OrderedConfig};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::record::{ChannelInfo, Keeps, Log, PublicationId};

/// How long reading may stand still.
const PATIENCE: Duration = Duration::from_secs(20);

/// The stream of the namespace with a log, and what comes before a channel's name
/// in its subjects.
const STREAM: &str = "TG_CH_LOG";
const PREFIX: &str = "tg.ch.";

/// By channel; empty for those that keep none.
pub(super) async fn read(servers: &[String], channels: &[ChannelInfo]) -> Result<Vec<Log>> {
    let mut logs = vec![Log::new(); channels.len()];
    let keeps_log = |(_, channel): &(usize, &ChannelInfo)| channel.keeps != Keeps::Nothing;
    let by_name: HashMap<_, _> = channels
        .iter()
        .enumerate()
        .filter(keeps_log)
        .map(|(index, channel)| (&*channel.name, index))
        .collect();
    if by_name.is_empty() {
        return Ok(logs);
    }
    let client = async_nats::connect(servers.to_vec()).await?;
    let stream = jetstream::new(client).get_stream(STREAM).await;
    let mut stream = stream.context("the log's stream")?;
    let mut left = stream.info().await?.state.messages;
    let consumer = stream.create_consumer(OrderedConfig::default()).await?;
    let mut messages = consumer.messages().await?;
    while left > 0 {
        let message = timeout(PATIENCE, messages.next()).await;
        let message = message
            .context("the log stands still")?
            .context("the log ended")??;
        let info = message.info().map_err(|error| anyhow::anyhow!(error))?;
        left = left.min(info.pending);
        let name = message.subject.strip_prefix(PREFIX).unwrap_or_default();
        let Some(&index) = by_name.get(name) else {
            continue;
        };
        if let Some(id) = PublicationId::of_payload(&message.payload, name) {
            logs[index].insert(info.stream_sequence, id);
        }
    }
    Ok(logs)
}
