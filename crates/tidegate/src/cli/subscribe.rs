//! `tidegate subscribe`: prints what is published, until it has seen enough, the
//! subscriptions end, or Ctrl-C.

mod members;
mod show;

use std::sync::Arc;

use client::{Client, DirectEvent, State, SubscribeOptions, Subscription, SubscriptionEvent};
use futures_util::{Stream, StreamExt, stream};
use lifecycle::Signals;

use self::{members::Change, show::Style};
use super::{Failure, args::ClientArgs};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The channels
    #[arg(required = true, value_name = "CHANNEL")]
    channels: Vec<String>,

    /// End after so many publications
    #[arg(long, value_name = "N")]
    count: Option<u64>,

    /// Begin with the newest publication of each key, as far as the log has it
    #[arg(long)]
    latest: bool,

    /// Print who comes and goes, where the namespace keeps presence
    #[arg(long)]
    presence: bool,

    /// Print payloads only, as they are, one a line
    #[arg(long, conflicts_with = "json")]
    raw: bool,

    #[command(flatten)]
    client: ClientArgs,
}

/// What a subscriber waits for.
enum Event {
    Channel(Arc<str>, SubscriptionEvent),
    Direct(DirectEvent),
    Members(Change),
    State(State),
    /// Every subscription has ended.
    Ended,
    /// Ctrl-C, or its like.
    Signal,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    let style = Style::new(json, args.raw);
    let mut signals = Signals::listen()?;
    let (client, subscriptions) = tokio::select! {
        subscribed = subscribe(&args, style) => subscribed?,
        _ = signals.next() => return Ok(()),
    };
    let outcome = follow(&client, subscriptions, signals, &args, style).await;
    client.close().await;
    outcome
}

async fn subscribe(args: &Args, style: Style) -> Result<(Client, Vec<Subscription>), Failure> {
    let client = args.client.connect().await?;
    let mut subscriptions = Vec::new();
    for channel in &args.channels {
        let options = SubscribeOptions {
            latest: args.latest,
            presence: args.presence,
            ..SubscribeOptions::default()
        };
        let subscribed = client.subscribe_with(channel, options).await;
        subscriptions.push(subscribed.map_err(|error| args.client.failure(&error))?);
        style.subscribed(channel)?;
    }
    Ok((client, subscriptions))
}

async fn follow(
    client: &Client,
    subscriptions: Vec<Subscription>,
    mut signals: Signals,
    args: &Args,
    style: Style,
) -> Result<(), Failure> {
    let members = subscriptions.iter().map(|it| Box::pin(members::follow(it)));
    let mut members = stream::select_all(members.filter(|_| args.presence));
    let mut events = stream::select_all(subscriptions.into_iter().map(named));
    let mut directs = client.direct();
    let mut state = client.state();
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut outcome = Ok(());
    while left > 0 {
        let event = tokio::select! {
            event = events.next() => event.map_or(Event::Ended, |(channel, event)| Event::Channel(channel, event)),
            Some(event) = directs.next() => Event::Direct(event),
            Some(change) = members.next() => Event::Members(change),
            Ok(()) = state.changed() => Event::State(state.borrow_and_update().clone()),
            _ = signals.next() => Event::Signal,
        };
        match event {
            Event::Channel(channel, SubscriptionEvent::Publication(publication)) => {
                style.publication(&channel, &publication)?;
                left -= 1;
            }
            Event::Channel(_, SubscriptionEvent::Ended(error)) => {
                outcome = Err(args.client.failure(&error));
            }
            Event::Channel(channel, other) => style.other(&channel, &other)?,
            Event::Direct(direct) => style.direct(&direct)?,
            Event::Members(change) => style.members(&change)?,
            Event::State(state) => style.state(&state)?,
            Event::Ended => return outcome,
            Event::Signal => return Ok(()),
        }
    }
    Ok(())
}

/// Its events, each with the channel's name.
fn named(subscription: Subscription) -> impl Stream<Item = (Arc<str>, SubscriptionEvent)> {
    let channel: Arc<str> = subscription.channel().into();
    subscription.map(move |event| (channel.clone(), event))
}
