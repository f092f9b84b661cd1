//! A `tidegate dev` process to try clients against; ends with its owner.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{process, workspace::Workspace};

/// For a debug build on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// More than the drain of a gateway takes whose clients have gone.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// A running gateway.
#[derive(Debug)]
pub(crate) struct DevGateway {
    child: Child,
    /// The line of JSON with its addresses and a token.
    pub(crate) announcement: String,
}

impl DevGateway {
    /// Builds and starts one on free ports, with its log in `log`.
    pub(crate) fn start(
        workspace: &Workspace,
        log: &Path,
        options: &[&str],
        limits: &[(&str, &str)],
    ) -> Result<Self> {
        process::run(workspace.cargo().args([
            "build",
            "--quiet",
            "--package",
            "tidegate",
            "--bin",
            "tidegate",
        ]))?;
        let mut command = workspace.command(workspace.target.join("debug/tidegate"));
        command.args([
            "dev",
            "--client-port",
            "0",
            "--grpc-port",
            "0",
            "--admin-port",
            "0",
            "--json",
        ]);
        command.args(options).envs(limits.iter().copied());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log)?);
        let mut child = command.spawn().context("cannot start tidegate")?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let mut gateway = Self {
            child,
            announcement: String::new(),
        };
        gateway.announcement = first_line(stdout)
            .with_context(|| format!("tidegate did not start: see {}", log.display()))?;
        Ok(gateway)
    }

    /// Sends SIGTERM; fails unless it ends by itself and in order.
    pub(crate) fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status =
            process::wait(&mut self.child, STOP_LIMIT).context("tidegate after SIGTERM")?;
        ensure!(
            status.success(),
            "tidegate ended with {status} after SIGTERM"
        );
        Ok(())
    }
}

impl Drop for DevGateway {
    fn drop(&mut self) {
        // Nothing to do about a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the first line; the rest is read and thrown away, so that the
/// writer never blocks.
fn first_line(stdout: ChildStdout) -> Result<String> {
    let (tx, rx) = mpsc::sync_channel(1);
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Full after the first line.
            let _ = tx.try_send(line);
        }
    });
    rx.recv_timeout(START_LIMIT).context("no line of JSON came")
}
