//! The processes under test: starting them, pinning, and what the kernel says
//! of their CPU time and memory.

use std::fs::read_to_string;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde::{Deserialize, Serialize};

use crate::args::CommonArgs;

/// How long a server may take until it serves.
const START: Duration = Duration::from_secs(30);
/// How long a server may take to end before it is killed.
const END: Duration = Duration::from_secs(5);

/// What a server prints when it is ready.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Endpoints {
    pub(crate) client_url: String,
    #[serde(default)]
    pub(crate) grpc_url: Option<String>,
    #[serde(default)]
    pub(crate) token: String,
    #[serde(default)]
    pub(crate) pid: Option<u32>,
}

/// A running server; one that was started here ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) endpoints: Endpoints,
    child: Option<Child>,
}

/// Memory of a process, bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) rss: u64,
    pub(crate) pss: u64,
}

/// CPU seconds of server and clients since some moment.
#[derive(Clone, Debug)]
pub(crate) struct CpuMeter {
    server: Option<u32>,
    clients: Vec<u32>,
    start: (f64, f64),
}

// === impl Server ===

impl Server {
    /// The gateway to be measured: a running one, or one started for this run.
    pub(crate) fn gateway(args: &CommonArgs) -> Result<Self> {
        let mut server = match &args.url {
            Some(url) => Self {
                endpoints: Endpoints {
                    client_url: url.clone(),
                    grpc_url: args.grpc.clone(),
                    token: String::new(),
                    pid: args.server_pid,
                },
                child: None,
            },
            None => {
                let mut command = Command::new(gateway_program(args)?);
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
                // All clients are one user, and come as fast as they can.
                command.env("TIDEGATE_GATEWAY__ADMISSION__RATE", "0");
                command.env("TIDEGATE_GATEWAY__ADMISSION__FLAPPING__FORGIVEN", "0");
                command.env("TIDEGATE_GATEWAY__UPSTREAM__MESSAGES_PER_SECOND", "0");
                command.env("TIDEGATE_GATEWAY__UPSTREAM__BYTES_PER_SECOND", "0");
                command.args(&args.server_arg);
                Self::start(command, args.pin)?
            }
        };
        if let Some(token) = &args.token {
            server.endpoints.token.clone_from(token);
        }
        Ok(server)
    }

    /// The bare baseline.
    pub(crate) fn baseline(args: &CommonArgs) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["baseline", "--batch", &args.batch.to_string()]);
        Self::start(command, args.pin)
    }

    fn start(mut command: Command, pinned: bool) -> Result<Self> {
        if pinned {
            pin(0)?;
        }
        // It inherits the affinity, so that its threads have it from the start.
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        if pinned {
            pin(1)?;
        }
        let mut child =
            spawned.with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let pid = child.id();
        let stdout = child
            .stdout
            .take()
            .context("the server's standard output")?;
        let mut server = Self {
            endpoints: Endpoints {
                client_url: String::new(),
                grpc_url: None,
                token: String::new(),
                pid: None,
            },
            child: Some(child),
        };
        let (tx, rx) = sync_channel(1);
        // Reads on until the server ends, so that the pipe never fills.
        thread::Builder::new()
            .name("server output".to_owned())
            .spawn(move || {
                for line in BufReader::new(stdout)
                    .lines()
                    .map_while(std::io::Result::ok)
                {
                    if let Ok(endpoints) = serde_json::from_str::<Endpoints>(&line) {
                        let _ = tx.try_send(endpoints);
                    }
                }
            })?;
        let Ok(endpoints) = rx.recv_timeout(START) else {
            bail!(
                "{} did not say that it is ready",
                command.get_program().display()
            )
        };
        server.endpoints = Endpoints {
            pid: Some(pid),
            ..endpoints
        };
        Ok(server)
    }

    pub(crate) fn memory(&self) -> Memory {
        self.endpoints.pid.map(memory).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        if let Ok(Some(_)) = child.try_wait() {
            return;
        }
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            // Gone already is fine.
            let _ = kill_process(pid, Signal::TERM);
        }
        let patience = std::time::Instant::now();
        while patience.elapsed() < END {
            match child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(5)),
                _ => return,
            }
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn gateway_program(args: &CommonArgs) -> Result<PathBuf> {
    if let Some(path) = &args.server_bin {
        return Ok(path.clone());
    }
    let beside = std::env::current_exe()?.with_file_name("tidegate");
    if beside.exists() {
        return Ok(beside);
    }
    bail!(
        "there is no {}: build it, name one with --server-bin, or measure with --against baseline",
        beside.display()
    )
}

fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).with_context(|| format!("cannot pin to CPU {cpu}"))
}

// === impl CpuMeter ===

impl CpuMeter {
    /// Measures from now on.
    pub(crate) fn start(server: &Server, clients: Vec<u32>) -> Self {
        let mut meter = Self {
            server: server.endpoints.pid,
            clients,
            start: (0.0, 0.0),
        };
        meter.start = meter.read();
        meter
    }

    /// CPU seconds used since, by the server and by the clients.
    pub(crate) fn used(&self) -> (f64, f64) {
        let (server, clients) = self.read();
        (server - self.start.0, clients - self.start.1)
    }

    fn read(&self) -> (f64, f64) {
        let server = self.server.map_or(0.0, cpu_seconds);
        (server, self.clients.iter().copied().map(cpu_seconds).sum())
    }
}

/// CPU seconds of a process, all its threads, in ticks of 10 ms.
fn cpu_seconds(pid: u32) -> f64 {
    let text = read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything; the fields after it do not.
    let fields: Vec<&str> = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let field = |index: usize| {
        fields
            .get(index)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (field(11) + field(12)) / rustix::param::clock_ticks_per_second() as f64
}

/// Memory of a process; zero if it is not ours to see.
pub(crate) fn memory(pid: u32) -> Memory {
    let text = read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let field = |key: &str| {
        let kibibytes = text.lines().find_map(|line| {
            line.strip_prefix(key)?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        });
        kibibytes.unwrap_or(0_u64) * 1024
    };
    Memory {
        rss: field("Rss:"),
        pss: field("Pss:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_has_memory_and_cpu_time() {
        let own = std::process::id();
        assert!(memory(own).rss > memory(own).pss / 2);
        assert!(memory(own).pss > 0);
        assert!(cpu_seconds(own) >= 0.0);
        assert_eq!(memory(u32::MAX).rss, 0);
    }

    #[test]
    fn ready_line_is_read_with_or_without_extras() {
        let line = r#"{"client_url":"ws://127.0.0.1:1/v1/ws","grpc_url":"http://127.0.0.1:2","admin_url":"x","token":"t","pid":7}"#;
        let endpoints: Endpoints = serde_json::from_str(line).unwrap();
        assert_eq!((endpoints.token.as_str(), endpoints.pid), ("t", Some(7)));
        assert!(serde_json::from_str::<Endpoints>(r#"{"client_url":"ws://127.0.0.1:1/"}"#).is_ok());
    }
}
