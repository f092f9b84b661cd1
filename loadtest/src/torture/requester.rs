//! A client that gives commands and repeats each, with the same key, until it has
//! a definite answer.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use client::{Client, Error, RequestOptions};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{
    commands::{Answer, Command, Route, Said, unix_us},
    run::Shared,
    subscriber,
};

/// What one attempt may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// After so long without a definite answer a command is given up.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Between attempts.
const AGAIN: Duration = Duration::from_millis(200);

/// Gives a command every `period` until told to stop.
pub(super) async fn run(
    shared: Arc<Shared>,
    number: usize,
    period: Duration,
) -> Result<Vec<Command>> {
    let client = subscriber::connect(&shared, number).await?;
    let mut stop = shared.publishers_stop.subscribe();
    let mut clock = interval(period);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut commands = Vec::new();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            _ = clock.tick() => {}
        }
        let mut command = Command {
            key: format!("{number}-{}", commands.len()),
            answers: Vec::new(),
        };
        give(&shared, &client, &mut command).await;
        commands.push(command);
    }
    client.close().await;
    Ok(commands)
}

async fn give(shared: &Shared, client: &Client, command: &mut Command) {
    let give_up = shared.now() + GIVE_UP;
    // Some are repeated though they were answered: the answer must be the same.
    let mut repeats = u32::from(fastrand::u8(..10) == 0);
    while shared.now() < give_up {
        let options = RequestOptions {
            deadline: Some(DEADLINE),
            idempotency_key: command.key.clone(),
            ..RequestOptions::default()
        };
        let answer = client.request_with(Route::Exact.name(), command.key.clone(), options);
        let said = match answer.await {
            Ok(token) => Said::Done(String::from_utf8_lossy(&token).into_owned()),
            Err(error) => of_error(&error),
        };
        let is_done = matches!(said, Said::Done(_));
        command.answers.push(Answer {
            at: unix_us(),
            said,
        });
        match (is_done, repeats) {
            (true, 0) => return,
            (true, _) => repeats -= 1,
            (false, _) => sleep(AGAIN).await,
        }
    }
}

fn of_error(error: &Error) -> Said {
    let Some(code) = error.code() else {
        return Said::Uncertain(error.to_string());
    };
    let name = code.as_str_name().to_owned();
    match error.not_executed() {
        true => Said::NotExecuted(name),
        false => Said::Uncertain(name),
    }
}
