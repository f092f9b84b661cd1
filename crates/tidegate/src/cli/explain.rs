//! `tidegate explain`: one connection, seen whole.

mod json;
mod page;

use std::time::{Duration, SystemTime};

use control::client::{CallerChannel, ConnectionServiceClient};
use lifecycle::Signals;
use wire::control::{
    ExplainRequest, ExplainResponse, ExplainedConnection, Explanation, explain_request::Target,
};

use super::{
    Failure,
    args::{GrpcArgs, duration},
    output,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: ExplainTarget,

    /// Record frames and events for so long first, then show them, e.g. 30s; at
    /// most 10m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    record: Option<Duration>,

    #[command(flatten)]
    grpc: GrpcArgs,
}

/// Whose connections are meant.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct ExplainTarget {
    /// The connection
    #[arg(value_name = "CONNECTION")]
    connection: Option<String>,

    /// The connections of this user; a list if there are several
    #[arg(long)]
    user: Option<String>,

    /// Those of this session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
}

/// What flowed between two looks, per second.
#[derive(Clone, Copy, Debug)]
struct Rates {
    received_bytes: f64,
    messages: f64,
    acked_bytes: f64,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    let mut client = ConnectionServiceClient::new(args.grpc.connect().await?);
    let target = args.target.into_target();
    let first = ask(&mut client, &target, args.record).await?;
    let (explained, before) = match args.record {
        None => (first, Vec::new()),
        Some(record) => {
            wait(record).await?;
            let later = ask(&mut client, &target, None).await?;
            (later, first.connections)
        }
    };
    let connections = explained.connections.iter();
    let rates = connections.map(|after| Rates::between(&before, after));
    let shown: Vec<_> = explained.connections.iter().zip(rates).collect();
    if json {
        for (connection, rates) in shown {
            output::line(json::describe(connection, rates))?;
        }
    } else if let [(connection, rates)] = shown[..] {
        output::line(page::page(connection, rates))?;
    } else {
        output::line(page::list(&explained.connections))?;
        output::note("tidegate explain CONNECTION shows one of them whole");
    }
    if explained.more {
        output::note("there are more: a gateway explains 16 at once");
    }
    Ok(())
}

async fn ask(
    client: &mut ConnectionServiceClient<CallerChannel>,
    target: &Target,
    record: Option<Duration>,
) -> Result<ExplainResponse, Failure> {
    let request = ExplainRequest {
        target: Some(target.clone()),
        record: record.and_then(|record| record.try_into().ok()),
    };
    Ok(client.explain(request).await?.into_inner())
}

/// Until the recording is over, or Ctrl-C.
async fn wait(record: Duration) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let time = humantime::format_duration(record);
    output::note(format_args!(
        "recording for {time}; Ctrl-C shows what there is"
    ));
    tokio::select! {
        () = tokio::time::sleep(record) => {}
        _ = signals.next() => {}
    }
    Ok(())
}

// === impl ExplainTarget ===

impl ExplainTarget {
    fn into_target(self) -> Target {
        match (self.user, self.session) {
            (Some(user), _) => Target::User(user),
            (None, Some(session)) => Target::SessionId(session),
            (None, None) => Target::ConnectionId(self.connection.unwrap_or_default()),
        }
    }
}

// === impl Rates ===

impl Rates {
    /// What has flowed since an earlier look, if there was one.
    fn between(before: &[ExplainedConnection], after: &ExplainedConnection) -> Option<Self> {
        let id = |it: &ExplainedConnection| {
            let connection = it.connection.as_ref();
            connection.map(|it| it.connection_id.clone())
        };
        let before = before.iter().find(|it| id(it) == id(after))?;
        let (before, after) = (before.explanation.as_ref()?, after.explanation.as_ref()?);
        let passed = time(after)?.duration_since(time(before)?).ok()?;
        let per_second = |before: u64, after: u64| {
            after.saturating_sub(before) as f64 / passed.as_secs_f64().max(0.001)
        };
        let tcp = (
            before.tcp.unwrap_or_default(),
            after.tcp.unwrap_or_default(),
        );
        let read = |it: &Explanation| it.upstream.map_or(0, |it| it.messages);
        Some(Self {
            received_bytes: per_second(tcp.0.received_bytes, tcp.1.received_bytes),
            messages: per_second(read(before), read(after)),
            acked_bytes: per_second(tcp.0.acked_bytes, tcp.1.acked_bytes),
        })
    }
}

fn time(explanation: &Explanation) -> Option<SystemTime> {
    explanation.explained_at?.try_into().ok()
}
