//! A client with some subscriptions, which writes down all that they bring.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use client::{Client, State, Subscription, SubscriptionEvent};
use futures_util::StreamExt;
use tokio::{task::JoinSet, time::sleep};

use super::{
    record::{PublicationId, Seen, Subscribed, What},
    run::Shared,
};

/// More than a run of ten minutes lets wait, so that gaps are never our own.
const QUEUE: (usize, usize) = (1 << 20, 256 << 20);

/// A gateway that stands still is given up, and another tried.
const CONNECT: Duration = Duration::from_secs(4);

/// The first connection is tried so often.
const ATTEMPTS: u32 = 20;

/// Runs client `number` until told to stop.
pub(super) async fn run(
    shared: Arc<Shared>,
    number: usize,
    channels: Vec<(usize, usize)>,
) -> Result<Vec<Subscribed>> {
    let client = connect(&shared, number).await?;
    let mut readers = JoinSet::new();
    for (slot, channel) in channels {
        let name = &shared.channels[channel].name;
        let subscription = client.subscribe(name).await;
        let subscription = subscription.with_context(|| format!("subscribing to {name}"))?;
        let subscribed = Subscribed {
            client: number,
            channel,
            since: shared.now(),
            seen: Vec::new(),
            is_complete: false,
        };
        readers.spawn(read(shared.clone(), subscription, subscribed, slot));
    }
    shared.is_subscribed(readers.len());
    let mut state = client.state();
    let mut all = Vec::new();
    let mut was_connected = true;
    loop {
        tokio::select! {
            read = readers.join_next() => match read {
                Some(read) => all.push(read?),
                None => break,
            },
            changed = state.changed() => {
                changed.context("the client ended")?;
                let is_connected = matches!(*state.borrow_and_update(), State::Connected { .. });
                if was_connected && !is_connected {
                    shared.disconnected();
                }
                was_connected = is_connected;
            }
        }
    }
    client.close().await;
    Ok(all)
}

/// Connects client `number`.
pub(super) async fn connect(shared: &Arc<Shared>, number: usize) -> Result<Client> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let (places, rate) = (shared.places.clone(), shared.places.rate(number));
        let (items, bytes) = QUEUE;
        let connecting = Client::builder("ws://cluster.test/v1/ws")
            .token(shared.token(number))
            .queue(items, bytes)
            .connect_timeout(CONNECT)
            .dial(move || {
                let (places, rate) = (places.clone(), rate.clone());
                async move { places.dial(rate).await }
            });
        match connecting.connect().await {
            Ok(client) => return Ok(client),
            Err(error) => last = Some(error),
        }
        sleep(Duration::from_millis(200)).await;
    }
    let last = last.context("at least one attempt")?;
    Err(last).with_context(|| format!("client {number} can't connect"))
}

async fn read(
    shared: Arc<Shared>,
    mut subscription: Subscription,
    mut subscribed: Subscribed,
    slot: usize,
) -> Subscribed {
    let mut stop = shared.subscribers_stop.subscribe();
    let name = &shared.channels[subscribed.channel].name;
    loop {
        let event = tokio::select! {
            biased;
            event = subscription.next() => event,
            _ = stop.wait_for(|stop| *stop) => {
                subscribed.is_complete = true;
                return subscribed;
            }
        };
        let at = shared.now();
        let what = match event {
            // State, and no news: it is no part of the chain.
            Some(SubscriptionEvent::Publication(state)) if state.is_snapshot => continue,
            Some(SubscriptionEvent::Publication(publication)) => {
                let id = PublicationId::of_payload(&publication.payload, name);
                if let Some(id) = id {
                    shared.came(slot, id);
                }
                What::Publication(publication.offset, id)
            }
            Some(SubscriptionEvent::Gap(gap)) => What::Gap(gap),
            Some(SubscriptionEvent::Resubscribed { verdict }) => What::Resubscribed(verdict),
            Some(SubscriptionEvent::Ended(error)) => What::Ended(error.to_string()),
            Some(other) => What::Ended(format!("unknown event {other:?}")),
            None => return subscribed,
        };
        subscribed.seen.push(Seen { at, what });
    }
}
