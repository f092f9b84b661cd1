//! The Rust SDK as a client under test: tasks in, reports out. In one task, which ends
//! with its input.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use client::{
    Client, DirectEvent, Error, PublishOptions, RequestOptions, State, Subscription,
    SubscriptionEvent, Verdict,
};
use conformance::{Report, Task};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    select,
    sync::mpsc,
};

/// Reports on their way out; whoever has more waits.
const REPORTS: usize = 1024;

/// Does what `tasks` say until they end.
pub(crate) async fn drive(
    tasks: impl AsyncRead + Unpin,
    mut reports: impl AsyncWrite + Unpin,
) -> std::io::Result<()> {
    let (told, mut telling) = mpsc::channel(REPORTS);
    let mut lines = BufReader::new(tasks).lines();
    let mut under_way: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
    let mut client = None;
    loop {
        select! {
            line = lines.next_line() => {
                let Some(line) = line? else {
                    return Ok(());
                };
                let task = serde_json::from_str(&line).expect("a task");
                match (task, client.clone()) {
                    (Task::Connect { url }, _) => {
                        client = connect(&url, &told, &under_way).await;
                    }
                    (task, Some(client)) => {
                        under_way.push(Box::pin(perform(client, task, told.clone())));
                    }
                    (task, None) => panic!("no client for {task:?}"),
                }
            }
            Some(report) = telling.recv() => {
                let mut line = serde_json::to_vec(&report)?;
                line.push(b'\n');
                reports.write_all(&line).await?;
                reports.flush().await?;
            }
            Some(()) = under_way.next() => {}
        }
    }
}

type Told = mpsc::Sender<Report>;

async fn tell(told: &Told, report: Report) {
    told.send(report)
        .await
        .expect("the loop outlives its futures");
}

async fn connect(
    url: &str,
    told: &Told,
    under_way: &FuturesUnordered<BoxFuture<'_, ()>>,
) -> Option<Client> {
    let asked = Arc::new(AtomicU32::new(0));
    let builder = Client::builder(url).token_source(move || {
        let nth = asked.fetch_add(1, Ordering::Relaxed) + 1;
        async move { Ok::<_, Infallible>(format!("token-{nth}")) }
    });
    match builder.connect().await {
        Ok(client) => {
            under_way.push(Box::pin(watch_state(client.clone(), told.clone())));
            under_way.push(Box::pin(watch_direct(client.clone(), told.clone())));
            under_way.push(Box::pin(watch_notices(client.clone(), told.clone())));
            Some(client)
        }
        Err(Error::Connect(ending) | Error::Closed(ending)) => {
            tell(told, closed(&ending)).await;
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn closed(ending: &client::Ending) -> Report {
    Report::State {
        state: conformance::State::Closed,
        code: ending.code(),
        cause: ending.cause().into(),
    }
}

async fn watch_state(client: Client, told: Told) {
    let mut states = client.state();
    loop {
        let state = states.borrow_and_update().clone();
        let standing = |state| Report::State {
            state,
            code: 0,
            cause: String::new(),
        };
        let report = match &state {
            State::Connecting | State::Disconnected { .. } => {
                standing(conformance::State::Connecting)
            }
            State::Connected { .. } => standing(conformance::State::Connected),
            State::Closed { cause } => closed(cause),
        };
        tell(&told, report).await;
        if states.changed().await.is_err() {
            return;
        }
    }
}

async fn watch_direct(client: Client, told: Told) {
    let mut messages = client.direct();
    while let Some(event) = messages.next().await {
        let report = match event {
            DirectEvent::Message(direct) => Report::Direct {
                offset: direct.offset,
                payload: text(&direct.payload),
            },
            DirectEvent::Gap(gap) => Report::DirectGap {
                from: gap.from,
                to: gap.to,
            },
            _ => continue,
        };
        tell(&told, report).await;
    }
}

async fn watch_notices(client: Client, told: Told) {
    let mut notices = client.notices();
    while let Some(notice) = notices.next().await {
        tell(&told, Report::Notice { kind: notice.kind }).await;
    }
}

async fn perform(client: Client, task: Task, told: Told) {
    match task {
        Task::Subscribe { channel } => match client.subscribe(&channel).await {
            Ok(subscription) => follow(subscription, channel, &told).await,
            Err(_) => tell(&told, Report::Ended { channel }).await,
        },
        Task::Publish {
            call,
            channel,
            payload,
            publication_id,
        } => {
            let options = PublishOptions {
                publication_id,
                ..PublishOptions::default()
            };
            let outcome = client.publish_with(&channel, payload, options).await;
            tell(&told, answer(call, outcome.map(|_| String::new()))).await;
        }
        Task::Request {
            call,
            route,
            payload,
            idempotency_key,
        } => {
            let options = RequestOptions {
                idempotency_key,
                ..RequestOptions::default()
            };
            let outcome = client.request_with(&route, payload, options).await;
            tell(&told, answer(call, outcome.map(|payload| text(&payload)))).await;
        }
        Task::Close => client.close().await,
        other => panic!("not known here: {other:?}"),
    }
}

async fn follow(mut subscription: Subscription, channel: String, told: &Told) {
    let subscribed = |verdict| Report::Subscribed {
        channel: channel.clone(),
        verdict: match verdict {
            Verdict::Fresh => "fresh",
            Verdict::Recovered => "recovered",
            Verdict::Resnapshot => "resnapshot",
            Verdict::Lost => "lost",
        }
        .into(),
    };
    tell(told, subscribed(Verdict::Fresh)).await;
    while let Some(event) = subscription.next().await {
        let channel = channel.clone();
        let report = match event {
            SubscriptionEvent::Publication(publication) => Report::Publication {
                channel,
                offset: publication.offset,
                payload: text(&publication.payload),
                snapshot: publication.is_snapshot,
            },
            SubscriptionEvent::Gap(gap) => Report::Gap {
                channel,
                from: gap.from,
                to: gap.to,
            },
            SubscriptionEvent::Resubscribed { verdict } => subscribed(verdict),
            SubscriptionEvent::Ended(_) => Report::Ended { channel },
            _ => continue,
        };
        tell(told, report).await;
    }
}

fn answer(call: u32, outcome: Result<String, Error>) -> Report {
    let (payload, error) = match outcome {
        Ok(payload) => (payload, String::new()),
        Err(Error::ConnectionLost) => (String::new(), "connection_lost".into()),
        Err(error) => match error.code() {
            Some(code) => {
                let name = code.as_str_name().trim_start_matches("ERROR_CODE_");
                (String::new(), name.into())
            }
            None => (String::new(), error.to_string()),
        },
    };
    Report::Answer {
        call,
        payload,
        error,
    }
}

fn text(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload).into_owned()
}
