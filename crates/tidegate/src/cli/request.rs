//! `tidegate request`.

use std::time::{Duration, Instant};

use client::RequestOptions;
use serde_json::json;

use super::{
    Failure,
    args::{ClientArgs, duration},
    output,
    payload::PayloadArgs,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The route, e.g. echo
    route: String,

    #[command(flatten)]
    payload: PayloadArgs,

    /// How long to wait for the reply; the route's default if left out
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    deadline: Option<Duration>,

    /// The same for every repetition of one command
    #[arg(
        long,
        value_name = "KEY",
        default_value = "",
        hide_default_value = true
    )]
    idempotency_key: String,

    #[command(flatten)]
    client: ClientArgs,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    let payload = args.payload.read()?;
    let client = args.client.connect().await?;
    let asked = Instant::now();
    let options = RequestOptions {
        deadline: args.deadline,
        idempotency_key: args.idempotency_key,
        ..RequestOptions::default()
    };
    let reply = client.request_with(&args.route, payload, options).await;
    let reply = reply.map_err(|error| args.client.failure(&error))?;
    let latency_ms = asked.elapsed().as_secs_f64() * 1000.0;
    if json {
        let mut object = json!({ "route": args.route, "latency_ms": latency_ms });
        output::put_payload(&mut object, &reply);
        output::line(object)?;
    } else {
        output::raw(&reply)?;
        output::note(format_args!("{latency_ms:.2} ms"));
    }
    client.close().await;
    Ok(())
}
