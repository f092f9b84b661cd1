//! The client under test, as a program that reads tasks and writes reports.

use std::{ffi::OsString, fmt, io, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Lines},
    process::{Child, Command},
};

use crate::{
    contract::{Report, Task},
    fault::{Fault, Outcome, wrong},
};

/// See the module. A program that was started is killed with it.
pub struct Client {
    tasks: Box<dyn AsyncWrite + Send + Unpin>,
    reports: Lines<BufReader<Box<dyn AsyncRead + Send + Unpin>>>,
    _child: Option<Child>,
}

// === impl Client ===

impl Client {
    /// Starts a program. What it writes to stderr goes where ours goes.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn start(program: &[OsString]) -> Result<Self, Fault> {
        let none = || io::Error::new(io::ErrorKind::InvalidInput, "none is named");
        let (name, arguments) = program
            .split_first()
            .ok_or_else(|| Fault::Program(none()))?;
        let mut child = Command::new(name)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(Fault::Program)?;
        let tasks = child.stdin.take().expect("it was asked for");
        let reports = child.stdout.take().expect("it was asked for");
        Ok(Self {
            _child: Some(child),
            ..Self::over(tasks, reports)
        })
    }

    /// One that reads its tasks from `tasks` and writes to `reports`.
    pub fn over(
        tasks: impl AsyncWrite + Send + Unpin + 'static,
        reports: impl AsyncRead + Send + Unpin + 'static,
    ) -> Self {
        let reports: Box<dyn AsyncRead + Send + Unpin> = Box::new(reports);
        Self {
            tasks: Box::new(tasks),
            reports: BufReader::new(reports).lines(),
            _child: None,
        }
    }

    pub(crate) async fn tell(&mut self, task: &Task) -> Outcome {
        let mut line = serde_json::to_vec(task).expect("tasks are plain");
        line.push(b'\n');
        self.tasks.write_all(&line).await.map_err(Fault::Program)?;
        self.tasks.flush().await.map_err(Fault::Program)
    }

    /// The next report. Can be dropped at any time without loss.
    pub(crate) async fn report(&mut self) -> Outcome<Report> {
        match self.reports.next_line().await.map_err(Fault::Program)? {
            Some(line) => match serde_json::from_str(&line) {
                Ok(report) => Ok(report),
                Err(error) => wrong(format!("its program wrote no report: {line:?}: {error}")),
            },
            None => wrong("its program has ended"),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
