//! A chat room in terminals. Start `cargo run -- dev`, then in two others:
//!
//!     cargo run --example chat -- alice
//!     cargo run --example chat -- bob
//!
//! What you type goes to everybody in the room; Ctrl-C or Ctrl-D leaves it.

use std::{io, thread};

use anyhow::{Context, Result};
use client::{Client, SubscriptionEvent};
use control::client::AuthServiceClient;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use wire::control::IssueTokenRequest;

/// Where `tidegate dev` serves backends, and where clients. `TIDEGATE_GRPC` and
/// `TIDEGATE_URL` name others, as they do for the command line.
const GRPC_URL: &str = "http://127.0.0.1:7410";
const CLIENT_URL: &str = "ws://127.0.0.1:7400/v1/ws";

/// Namespace `chat` of the development node: everybody may publish and
/// subscribe.
const ROOM: &str = "chat.lobby";

#[tokio::main]
async fn main() -> Result<()> {
    let name = std::env::args().nth(1);
    let name = name.unwrap_or_else(|| "somebody".to_owned());
    // Around everything: Ctrl-C works also while something is awaited inside.
    tokio::select! {
        outcome = chat(&name) => outcome,
        pressed = tokio::signal::ctrl_c() => Ok(pressed?),
    }
}

async fn chat(name: &str) -> Result<()> {
    let builder =
        Client::builder(&address("TIDEGATE_URL", CLIENT_URL)).token(token_for(name).await?);
    // From here on the client keeps the connection: if it breaks, the client
    // connects again and subscribes again.
    let client = builder.connect().await.context(HELP)?;
    let mut room = client.subscribe(ROOM).await?;
    println!("You are in {ROOM}. Say something.");

    let mut typed = typed_lines()?;
    loop {
        tokio::select! {
            event = room.next() => match event {
                Some(event) => show(&event),
                None => break,
            },
            line = typed.recv() => match line {
                Some(line) => client.publish(ROOM, format!("{name}: {line}")).await.map(drop)?,
                None => break,
            },
        }
    }
    client.close().await;
    Ok(())
}

/// A subscription brings publications, and word of everything that keeps them
/// from coming.
fn show(event: &SubscriptionEvent) {
    match event {
        SubscriptionEvent::Publication(message) => {
            println!("{}", String::from_utf8_lossy(&message.payload));
        }
        other => println!("({other:?})"),
    }
}

/// Clients get their tokens from a backend of yours that knows them. It asks
/// the control plane, as this does.
async fn token_for(name: &str) -> Result<String> {
    let channel = control::client::connect(&address("TIDEGATE_GRPC", GRPC_URL))
        .await
        .context(HELP)?;
    let request = IssueTokenRequest {
        user: name.to_owned(),
        ..IssueTokenRequest::default()
    };
    Ok(AuthServiceClient::new(channel)
        .issue_token(request)
        .await?
        .into_inner()
        .token)
}

/// Lines from the terminal. Reading it blocks, so a thread of its own does.
fn typed_lines() -> Result<mpsc::Receiver<String>> {
    let (tx, rx) = mpsc::channel(16);
    thread::Builder::new()
        .name("terminal".to_owned())
        .spawn(move || {
            for line in io::stdin().lines().map_while(Result::ok) {
                if tx.blocking_send(line).is_err() {
                    break;
                }
            }
        })?;
    Ok(rx)
}

fn address(variable: &str, default: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| default.to_owned())
}

/// What to do when nobody answers.
const HELP: &str = "no server here: start one with `cargo run -- dev`";
