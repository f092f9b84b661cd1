//! `tidegate send` and `tidegate broadcast`.

use std::time::Duration;

use clap::ValueEnum;
use control::client::SendServiceClient;
use serde_json::json;
use wire::control::{
    BroadcastRequest, BroadcastResponse, DeliveryLevel, SendReceipt, SendRequest, SendResponse,
    send_request,
};

use super::{
    Failure,
    args::{GrpcArgs, WideTargetArgs, duration},
    output::{self, or_dash},
    payload::PayloadArgs,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: WideTargetArgs,

    /// Keep it in the user's mailbox until a client of his confirms it
    #[arg(long, requires = "user")]
    durable: bool,

    /// Keep the first of messages with the same id only
    #[arg(long, value_name = "ID", requires = "durable", default_value = "")]
    message_id: String,

    #[command(flatten)]
    message: MessageArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct BroadcastArgs {
    #[command(flatten)]
    message: MessageArgs,
}

/// What is sent, and what counts as sent.
#[derive(Debug, clap::Args)]
struct MessageArgs {
    #[command(flatten)]
    payload: PayloadArgs,

    /// What must have happened before it counts as sent
    #[arg(long, value_enum, default_value_t = Level::Enqueued)]
    level: Level,

    /// How long to wait for that
    #[arg(long, value_parser = duration, default_value = "5s")]
    timeout: Duration,

    #[command(flatten)]
    grpc: GrpcArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    /// It waits in the outbox of each connection
    Enqueued,
    /// Each socket took its last byte
    Written,
    /// Each client confirmed it
    Acknowledged,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    let Args {
        target,
        durable,
        message_id,
        message,
    } = args;
    let request = SendRequest {
        target: target.into(),
        level: message.level(),
        timeout: message.timeout()?,
        payload: message.payload.read()?,
        durable,
        message_id,
    };
    let mut client = SendServiceClient::new(message.grpc.connect().await?);
    let SendResponse {
        receipts,
        mailbox_offset,
        duplicate,
    } = client.send(request).await?.into_inner();
    if durable && json {
        output::line(json!({ "mailbox_offset": mailbox_offset, "duplicate": duplicate }))?;
    } else if durable {
        let kept = if duplicate { "kept before" } else { "kept" };
        output::line(format_args!("mailbox {mailbox_offset}  {kept}"))?;
    }
    for receipt in &receipts {
        print(receipt, json)?;
    }
    let failed = receipts.iter().filter(|it| !it.failure.is_empty()).count();
    all_got_it(failed as u64, receipts.len() as u64)
}

pub(super) async fn broadcast(args: BroadcastArgs, json: bool) -> Result<(), Failure> {
    let message = args.message;
    let request = BroadcastRequest {
        level: message.level(),
        timeout: message.timeout()?,
        payload: message.payload.read()?,
    };
    let mut client = SendServiceClient::new(message.grpc.connect().await?);
    let BroadcastResponse {
        reached,
        failed,
        silent_gateways,
    } = client.broadcast(request).await?.into_inner();
    if json {
        output::line(json!({
            "reached": reached, "failed": failed, "silent_gateways": silent_gateways,
        }))?;
    } else {
        output::line(format_args!("reached  {reached}\nfailed   {failed}"))?;
    }
    if !silent_gateways.is_empty() {
        let silent = silent_gateways.join(", ");
        return Err(Failure::failed(format_args!("no answer from {silent}")));
    }
    all_got_it(failed, reached + failed)
}

fn all_got_it(failed: u64, of: u64) -> Result<(), Failure> {
    match failed {
        0 => Ok(()),
        some => Err(Failure::failed(format_args!(
            "{some} of {of} did not get it"
        ))),
    }
}

fn print(receipt: &SendReceipt, json: bool) -> std::io::Result<()> {
    let SendReceipt {
        connection_id,
        failure,
        ..
    } = receipt;
    let level = word(receipt.level());
    if json {
        output::line(json!({ "connection_id": connection_id, "level": level, "failure": failure }))
    } else {
        let outcome = if failure.is_empty() { level } else { failure };
        let connection_id = or_dash(connection_id);
        output::line(format_args!("{connection_id}  {outcome}"))
    }
}

fn word(level: DeliveryLevel) -> &'static str {
    match level {
        DeliveryLevel::Unspecified => "-",
        DeliveryLevel::Enqueued => "enqueued",
        DeliveryLevel::Written => "written",
        DeliveryLevel::Acknowledged => "acknowledged",
    }
}

// === impl MessageArgs ===

impl MessageArgs {
    fn level(&self) -> i32 {
        DeliveryLevel::from(self.level).into()
    }

    fn timeout<T>(&self) -> Result<Option<T>, Failure>
    where
        Duration: TryInto<T>,
    {
        let timeout = self.timeout.try_into();
        timeout
            .map(Some)
            .map_err(|_| Failure::usage("that timeout is too long"))
    }
}

// === impl Level ===

impl From<Level> for DeliveryLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Enqueued => Self::Enqueued,
            Level::Written => Self::Written,
            Level::Acknowledged => Self::Acknowledged,
        }
    }
}

// === impl WideTargetArgs ===

impl From<WideTargetArgs> for Option<send_request::Target> {
    fn from(target: WideTargetArgs) -> Self {
        use send_request::Target;
        let user = target.user.map(Target::User);
        user.or(target.connection.map(Target::ConnectionId))
            .or(target.session.map(Target::SessionId))
            .or(target.label.map(Target::Label))
    }
}
