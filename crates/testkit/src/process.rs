//! A real Tidegate process: started, asked, stopped, killed, paused.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

use crate::wait::DEADLINE;

/// A running process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    announced: Value,
    log: PathBuf,
}

/// An answer of the admin port.
#[derive(Debug)]
pub struct AdminAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

// === impl Process ===

impl Process {
    /// Starts `command`, which announces itself by a line of JSON, and waits for
    /// that. What it writes to stderr goes to `log`.
    pub async fn start(name: &str, command: Command, log: &Path) -> Self {
        let started = Self::try_start(name, command, log).await;
        started.unwrap_or_else(|problem| {
            let log = fs::read_to_string(log).unwrap_or_default();
            panic!("{problem}; its log: {log}")
        })
    }

    /// The same, for processes that may not be able to start just now.
    ///
    /// # Errors
    /// What it did instead of announcing itself within [`DEADLINE`]; it is killed.
    pub async fn try_start(name: &str, mut command: Command, log: &Path) -> Result<Self, String> {
        let file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .expect("a log file");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .expect("the binary runs");
        let out = child.stdout.take().expect("piped");
        let mut line = String::new();
        let mut reader = BufReader::new(out);
        let read = timeout(DEADLINE, reader.read_line(&mut line)).await;
        read.map_err(|_| format!("{name} said nothing within {DEADLINE:?}"))?
            .expect("readable");
        let announced = serde_json::from_str(&line)
            .map_err(|error| format!("{name} said {line:?} ({error})"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            announced,
            log: log.to_path_buf(),
        })
    }

    /// A text of its announcement.
    pub fn announced(&self, key: &str) -> &str {
        self.announced[key]
            .as_str()
            .unwrap_or_else(|| panic!("{} announced no {key}: {}", self.name, self.announced))
    }

    /// Where an URL of its announcement points to.
    pub fn address(&self, key: &str) -> SocketAddr {
        let url = self.announced(key);
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or(rest);
        authority.parse().expect("an address")
    }

    /// SIGKILL, and waits for the end.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it was running");
    }

    /// SIGTERM; wait for the end with [`Process::ended`].
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits for the end, for as long as it takes.
    pub async fn ended(mut self) -> ExitStatus {
        self.child.wait().await.expect("a child of ours")
    }

    /// SIGSTOP: it stands still, and its sockets stay.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks its admin port; `None` if nobody answers.
    pub async fn admin(&self, path: &str) -> Option<AdminAnswer> {
        get(self.address("admin_url"), path).await.ok()
    }

    /// The sum of a metric over all label sets that hold each of `labels`
    /// (`name="value"`); zero if there is none.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let answer = self.admin("/metrics").await.expect("metrics are served");
        let samples = answer.body.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (metric, set) = series.split_once('{').unwrap_or((series, ""));
            let wanted = metric == name && labels.iter().all(|label| set.contains(label));
            wanted.then(|| value.parse::<f64>().ok()).flatten()
        });
        samples.sum()
    }

    /// The most memory that it has held so far, in KiB; zero where `/proc` is
    /// missing.
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// The memory that it holds, in KiB; zero where `/proc` is missing.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The CPU time that it has used so far; zero where `/proc` is missing.
    pub fn cpu(&self) -> Duration {
        /// The clock ticks of `/proc` on every Linux of today.
        const TICK: Duration = Duration::from_millis(10);
        let path = format!("/proc/{}/stat", self.child.id().unwrap_or_default());
        let stat = fs::read_to_string(path).unwrap_or_default();
        // Behind the name, which may hold anything: user and system time.
        let behind = stat.rsplit(") ").next().unwrap_or_default();
        let fields = behind.split(' ').skip(11).take(2);
        let ticks: u32 = fields.filter_map(|field| field.parse::<u32>().ok()).sum();
        TICK * ticks
    }

    /// A number of `/proc/<pid>/status`.
    fn status(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id().unwrap_or_default());
        let status = fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        number
            .and_then(|number| number.parse().ok())
            .unwrap_or_default()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Where it logs to.
    pub fn log_path(&self) -> PathBuf {
        self.log.clone()
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(Pid::from_raw).expect("it is running");
        kill_process(pid, signal).expect("a child of ours");
    }
}

async fn get(address: SocketAddr, path: &str) -> std::io::Result<AdminAnswer> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok(AdminAnswer {
        status: status.unwrap_or_default(),
        body: body.to_owned(),
    })
}
