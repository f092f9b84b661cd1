//! An order service, whole in one process: a node, a worker that takes orders,
//! and a client that places some.
//!
//!     cargo run --example orders
//!
//! Needs nothing else running. In production the three are processes of their
//! own, and this code is the same but for where the bus comes from.

use anyhow::Result;
use bytes::Bytes;
use client::Client;
use serde::{Deserialize, Serialize};
use tidegate::dev::{self, DevNode, DevOptions};
use worker::{Request, Worker, WorkerError};

/// Clients call routes; `orders.place` is endpoint `place` of worker `orders`.
/// A node's configuration lists the routes that clients may call, and the
/// development node's lists this one.
const ROUTE: &str = "orders.place";

/// Payloads are opaque to Tidegate. These are JSON; Protocol Buffers are usual.
#[derive(Debug, Deserialize, Serialize)]
struct Order {
    symbol: String,
    quantity: u32,
}

#[derive(Debug, Deserialize, Serialize)]
struct Confirmation {
    customer: String,
    total_cents: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let DevNode { node, token } = dev::start(&on_free_ports()).await?;

    // The worker takes requests from the bus until the node stops.
    let stop = node.scope().clone();
    let worker = Worker::new("orders").on("place", place);
    let serving = worker.run(node.bus().clone(), async move { stop.cancelled().await });
    node.scope().spawn("orders", serving);

    // Ctrl-C ends the shopping early; the node is stopped in order either way.
    let shopping = go_shopping(node.client_url().unwrap_or_default(), token);
    let outcome = tokio::select! {
        outcome = shopping => outcome,
        pressed = tokio::signal::ctrl_c() => pressed.map_err(Into::into),
    };
    node.stop().await?;
    outcome
}

/// The worker's side: one call for each order.
///
/// The gateway has authenticated the client: `request.user()` can be relied on.
async fn place(request: Request) -> Result<Bytes, WorkerError> {
    let order: Order = serde_json::from_slice(request.payload())
        .map_err(|error| WorkerError::new("malformed-order", &error.to_string()))?;
    let price_cents = match order.symbol.as_str() {
        "TIDE" => 1_250,
        "GATE" => 799,
        unknown => {
            let message = format!("{unknown} is not traded here");
            return Err(WorkerError::new("unknown-symbol", &message));
        }
    };
    let customer = request.user().map_or_else(String::new, ToString::to_string);
    let total_cents = price_cents * u64::from(order.quantity);
    Ok(json(&Confirmation {
        customer,
        total_cents,
    }))
}

/// The client's side: some orders, one after the other.
async fn go_shopping(url: &str, token: String) -> Result<()> {
    let client = Client::builder(url).token(token).connect().await?;
    for (symbol, quantity) in [("TIDE", 10), ("GATE", 3), ("MOON", 1)] {
        let order = Order {
            symbol: symbol.to_owned(),
            quantity,
        };
        // A request has one outcome: the worker's reply, the worker's refusal,
        // or what went wrong on the way, each with a stable code.
        match client.request(ROUTE, json(&order)).await {
            Ok(reply) => {
                let Confirmation {
                    customer,
                    total_cents,
                } = serde_json::from_slice(&reply)?;
                let (whole, cents) = (total_cents / 100, total_cents % 100);
                println!("{quantity:>3} {symbol}  placed for {customer}: {whole}.{cents:02}");
            }
            Err(error) => println!("{quantity:>3} {symbol}  refused: {error}"),
        }
    }
    Ok(())
}

fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("plain data").into()
}

fn on_free_ports() -> DevOptions {
    let free = Some(0);
    DevOptions {
        client_port: free,
        grpc_port: free,
        admin_port: free,
        ..DevOptions::default()
    }
}
