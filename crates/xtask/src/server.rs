//! A `tidegate` process that serves, to try clients against; ends with its owner.

use std::{
    fs::File,
    io::{BufRead, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{process, tools, workspace::Workspace};

/// For a debug build on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(120);
/// More than the drain of a gateway takes whose clients have gone.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// What serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Everything in one process; announced by one line.
    Dev,
    /// Processes of their own and nats-servers; announced by a line for each,
    /// and one at the end.
    Cluster,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// The lines of JSON by which it says where it serves.
    pub(crate) announcement: String,
}

// === impl Kind ===

impl Kind {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Dev => &["dev", "--admin-port", "0"],
            Self::Cluster => &["cluster", "--gateways", "2"],
        }
    }

    /// Whether nothing is announced after this line.
    fn is_last(self, line: &str) -> bool {
        self == Self::Dev || line.contains(r#""event":"ready""#)
    }
}

// === impl Server ===

impl Server {
    /// Builds and starts one on free ports, with its log in `log`.
    pub(crate) fn start(
        workspace: &Workspace,
        kind: Kind,
        log: &Path,
        options: &[&str],
        environment: &[(&str, &str)],
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
        command
            .args(kind.arguments())
            .args(["--client-port", "0", "--grpc-port", "0", "--json"])
            .args(options)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log)?);
        if kind == Kind::Cluster {
            command.env(tools::NATS_SERVER, tools::nats_server(workspace)?);
        }
        let mut child = command.spawn().context("cannot start tidegate")?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let mut server = Self {
            child,
            announcement: String::new(),
        };
        server.announcement = announced(stdout, kind)
            .with_context(|| format!("tidegate did not start: see {}", log.display()))?;
        Ok(server)
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

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // In order, if it can: a cluster has processes of its own to end.
            // Nothing to do about one that is gone meanwhile.
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let _ = process::wait(&mut self.child, STOP_LIMIT);
        }
    }
}

/// Waits for the lines that say where it serves; the rest is read and thrown
/// away, so that the writer never blocks.
fn announced(stdout: ChildStdout, kind: Kind) -> Result<String> {
    let (tx, rx) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut lines = BufReader::new(stdout).lines();
        // Nobody waits any more after the deadline.
        let _ = tx.send(until_last(&mut lines, kind));
        lines.map_while(Result::ok).for_each(drop);
    });
    let lines = rx.recv_timeout(START_LIMIT).context("not in time")?;
    lines.context("it ended before it served")
}

/// The lines up to the last announcement; absent: they ended before.
fn until_last(lines: &mut Lines<impl BufRead>, kind: Kind) -> Option<String> {
    let mut announced = Vec::new();
    for line in lines.map_while(Result::ok) {
        let last = kind.is_last(&line);
        announced.push(line);
        if last {
            return Some(announced.join("\n"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "{\"event\":\"started\"}\n{\"event\":\"ready\"}\n{\"event\":\"ended\"}\n";

    #[test]
    fn a_cluster_has_announced_all_of_it_when_it_is_ready() {
        let mut lines = LINES.as_bytes().lines();
        let announced = until_last(&mut lines, Kind::Cluster).expect("it is ready");
        assert_eq!(announced, "{\"event\":\"started\"}\n{\"event\":\"ready\"}");
    }

    #[test]
    fn a_single_process_announces_itself_by_one_line() {
        let announced = until_last(&mut LINES.as_bytes().lines(), Kind::Dev);
        assert_eq!(announced.as_deref(), Some("{\"event\":\"started\"}"));
    }

    #[test]
    fn output_that_ends_early_announces_nothing() {
        let mut lines = "{\"event\":\"started\"}\n".as_bytes().lines();
        assert_eq!(until_last(&mut lines, Kind::Cluster), None);
    }
}
