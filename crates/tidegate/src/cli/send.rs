//! `tidegate send`.

use std::time::Duration;

use clap::ValueEnum;
use control::client::SendServiceClient;
use serde_json::json;
use wire::control::{DeliveryLevel, SendReceipt, SendRequest, send_request};

use super::{
    Failure,
    args::{GrpcArgs, TargetArgs, duration},
    output,
    payload::PayloadArgs,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: TargetArgs,

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
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    let timeout = args
        .timeout
        .try_into()
        .map_err(|_| Failure::usage("that timeout is too long"))?;
    let request = SendRequest {
        target: args.target.into(),
        payload: args.payload.read()?,
        level: DeliveryLevel::from(args.level).into(),
        timeout: Some(timeout),
    };
    let mut client = SendServiceClient::new(args.grpc.connect().await?);
    let receipts = client.send(request).await?.into_inner().receipts;
    for receipt in &receipts {
        print(receipt, json)?;
    }
    match receipts
        .iter()
        .filter(|receipt| !receipt.failure.is_empty())
        .count()
    {
        0 => Ok(()),
        some => Err(Failure::failed(format_args!(
            "{some} of {} did not get it",
            receipts.len()
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

// === impl Level ===

impl From<Level> for DeliveryLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Enqueued => Self::Enqueued,
            Level::Written => Self::Written,
        }
    }
}

// === impl TargetArgs ===

impl From<TargetArgs> for Option<send_request::Target> {
    fn from(target: TargetArgs) -> Self {
        let user = target.user.map(send_request::Target::User);
        user.or(target.connection.map(send_request::Target::ConnectionId))
    }
}
