//! One child process: started, made again when it ends by itself, and ended in
//! order with the cluster.

use std::{io, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use lifecycle::Scope;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

/// How long a process may take to say that it serves.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Between the end of a process and its successor.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// Makes the command of a process, anew for each start.
pub(super) type Recipe = Box<dyn Fn() -> Command + Send + Sync>;

/// What happens to a process.
#[derive(Debug)]
pub(super) enum News {
    /// It serves; what it announced.
    Started(Value),
    /// It ended by itself; how.
    Ended(String),
}

/// Starts the process, waits until it serves, then keeps it alive until the
/// scope is cancelled; then it gets SIGTERM and `patience`.
///
/// # Errors
/// If the first start fails; later ones are tried again for ever.
pub(super) async fn supervise(
    name: String,
    recipe: Recipe,
    patience: Duration,
    scope: &Scope,
    mut tell: impl FnMut(&str, News) + Send + 'static,
) -> Result<()> {
    let (child, announced) = start(&recipe).await.with_context(|| name.clone())?;
    tell(&name, News::Started(announced));
    let stop = scope.clone();
    scope.spawn(format!("child-{name}"), async move {
        let mut running = Some(child);
        loop {
            let ended = match &mut running {
                Some(child) => tokio::select! {
                    ended = child.wait() => describe(ended),
                    () = stop.cancelled() => break,
                },
                None => "could not be started".to_owned(),
            };
            tell(&name, News::Ended(ended));
            tokio::select! {
                () = sleep(RESTART_DELAY) => {}
                () = stop.cancelled() => return,
            }
            running = match start(&recipe).await {
                Ok((child, announced)) => {
                    tell(&name, News::Started(announced));
                    Some(child)
                }
                Err(error) => {
                    tracing::error!(name, error = format!("{error:#}"), "not started");
                    None
                }
            };
        }
        if let Some(child) = running {
            end(&name, child, patience).await;
        }
    });
    Ok(())
}

/// Starts a process and reads the line of JSON by which it says that it serves.
async fn start(recipe: &Recipe) -> Result<(Child, Value)> {
    let mut child = recipe()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("starting it")?;
    let out = child.stdout.take().expect("asked for above");
    let mut line = String::new();
    let mut reader = BufReader::new(out);
    timeout(START_LIMIT, reader.read_line(&mut line))
        .await
        .context("it did not say in time that it serves")?
        .context("reading what it says")?;
    if line.is_empty() {
        let status = child.wait().await;
        bail!("it ended at once: {}", describe(status));
    }
    let announced = serde_json::from_str(&line).context("its first line is not JSON")?;
    Ok((child, announced))
}

/// Asks the process to end, and makes it after `patience`.
async fn end(name: &str, mut child: Child, patience: Duration) {
    let asked = Instant::now();
    terminate(&child);
    if timeout(patience, child.wait()).await.is_err() {
        tracing::warn!(name, after = ?asked.elapsed(), "killed: it did not end in time");
        // It may have ended meanwhile, which is as good.
        let _ = child.kill().await;
    }
}

/// Sends SIGTERM, if the process still runs.
fn terminate(child: &Child) {
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // Gone already: nothing to ask.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

fn describe(ended: io::Result<std::process::ExitStatus>) -> String {
    match ended {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}
