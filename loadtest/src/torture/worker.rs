//! A worker as a process of its own, so that it can be killed in the middle. It
//! executes a command by making a file named like its key, with the reply in it:
//! effect and key are one step, so whoever is asked again finds what was done.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use bus::{Bus, BusState, NatsBus, NatsOptions};
use bytes::Bytes;
use clap::Parser;
use tokio::{runtime, time::sleep};
use worker::{Request, Worker, WorkerError};

use super::commands::{Execution, unix_us};

/// Longest time to think, before and after the effect.
const THINK_MS: u64 = 40;

/// Now and then it takes so much longer: the caller has given up by then.
const LONG_MS: u64 = 6_000;

#[derive(Clone, Debug, Parser)]
pub(crate) struct WorkerArgs {
    /// nats-servers, with commas between.
    #[arg(long, value_delimiter = ',')]
    nats: Vec<String>,
    /// Where the effects are.
    #[arg(long)]
    folder: PathBuf,
}

// === impl WorkerArgs ===

impl WorkerArgs {
    /// Serves until it is killed.
    pub(crate) fn run(&self) -> Result<()> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(self.serve())
    }

    async fn serve(&self) -> Result<()> {
        let options = NatsOptions {
            servers: self.nats.clone(),
            name: "torture worker".to_owned(),
            ..NatsOptions::local("")
        };
        let bus = NatsBus::connect(options).await?;
        let running = bus.clone();
        let mut state = bus.state();
        let folder: Arc<Path> = self.folder.as_path().into();
        let work = async move {
            state.wait_for(|state| *state == BusState::Up).await?;
            let exact = move |request| exact(request, folder.clone());
            let bus: Arc<dyn Bus> = bus;
            let worker = Worker::new("pay").on("exact", exact).start(&bus)?;
            println!("{{\"role\":\"worker\"}}");
            worker.until(std::future::pending()).await;
            anyhow::Ok(())
        };
        tokio::select! {
            () = async move { running.run().await } => Ok(()),
            worked = work => worked,
        }
    }
}

async fn exact(request: Request, folder: Arc<Path>) -> Result<Bytes, WorkerError> {
    let key = request.idempotency_key();
    let key = key.ok_or_else(|| WorkerError::new("no-key", "commands have keys"))?;
    think().await;
    // A will's key is not known to who left it: its payload tells.
    let token = match key.starts_with("will-") {
        true => String::from_utf8_lossy(request.payload()).into_owned(),
        false => format!("{:016x}", fastrand::u64(..)),
    };
    let token = execute(&folder, key, token)
        .map_err(|error| WorkerError::new("store", &format!("{error:#}")))?;
    think().await;
    Ok(token.into())
}

/// Once, whoever else tries; gives the token of the execution that counts.
fn execute(folder: &Path, key: &str, token: String) -> Result<String> {
    let path = folder.join(key);
    let draft = folder.join(format!(".{key}-{}", fastrand::u64(..)));
    let execution = Execution {
        at: unix_us(),
        token,
    };
    fs::write(&draft, execution.text())?;
    // A link is made whole or not at all, and by one of us only.
    let linked = fs::hard_link(&draft, &path);
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(execution.token),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let text = fs::read_to_string(&path)?;
            let first = Execution::of_text(&text).context("an execution's file")?;
            Ok(first.token)
        }
        Err(error) => Err(error.into()),
    }
}

async fn think() {
    let most = if fastrand::u8(..) == 0 {
        LONG_MS
    } else {
        THINK_MS
    };
    sleep(Duration::from_millis(fastrand::u64(..most))).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::commands::executions;

    #[test]
    fn a_command_is_executed_once_however_often_it_is_asked_for() {
        let folder = std::env::temp_dir().join(format!("torture-worker-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for tests");
        let first = execute(&folder, "k-1", "a".to_owned()).expect("executed");
        let again = execute(&folder, "k-1", "b".to_owned());
        assert_eq!(again.expect("found"), first);
        execute(&folder, "k-2", "c".to_owned()).expect("executed");
        let done = executions(&folder).expect("readable");
        assert_eq!(done["k-1"].len(), 1);
        assert_eq!(done["k-1"][0].token, first);
        assert_eq!(done.len(), 2);
        fs::remove_dir_all(&folder).expect("its own folder");
    }
}
