//! The kit against our own SDK, and against clients that get something wrong.

mod driver;
mod mistaken;

use std::net::SocketAddr;

use conformance::{Client, Fault, Situation};
use futures_util::{StreamExt, stream};
use tokio::{io, select};

/// Lines under way in a direction, in bytes.
const PIPE: usize = 64 * 1024;

/// Situations played at once.
const JOBS: usize = 16;

fn anywhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// Plays one with the Rust SDK.
async fn played(situation: &Situation) -> Result<(), Fault> {
    let (tasks, to_read) = io::duplex(PIPE);
    let (to_write, reports) = io::duplex(PIPE);
    let script = situation.play(Client::over(tasks, reports), anywhere());
    select! {
        outcome = script => outcome,
        ended = driver::drive(to_read, to_write) => panic!("the driver ended: {ended:?}"),
    }
}

#[tokio::test]
async fn the_rust_sdk_passes_every_situation() {
    let all = conformance::all();
    let played = stream::iter(&all).map(|one| async move { (one.name(), played(one).await) });
    let wrong: Vec<_> = played
        .buffer_unordered(JOBS)
        .filter_map(async |(name, outcome)| Some(format!("{name}: {}", outcome.err()?)))
        .collect()
        .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
