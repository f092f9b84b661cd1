//! One nats-server with JetStream, on ports and in a folder of its own.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::raw::RawNats;
use crate::wait::{DEADLINE, eventually};

/// Numbers the servers of this process, for their folders.
static SERVERS: AtomicU32 = AtomicU32::new(1);

/// Attempts to find ports that nobody else takes meanwhile.
const ATTEMPTS: u32 = 5;

/// Until the next attempt to have a port back.
const PORT_TAKEN: std::time::Duration = std::time::Duration::from_millis(500);

/// A server; killed, and its folder removed, when dropped.
#[derive(Debug)]
pub struct NatsServer {
    name: String,
    port: u16,
    monitoring: u16,
    folder: PathBuf,
    // A lock, so that a server that others use can be killed and restarted.
    child: Mutex<Option<Child>>,
}

/// Where a server of a cluster finds the others.
pub(super) struct Routes {
    /// Its own port for them.
    pub(super) port: u16,
    /// Their ports, its own included.
    pub(super) ports: Vec<u16>,
}

// === impl NatsServer ===

impl NatsServer {
    /// Starts one and waits until its JetStream answers.
    ///
    /// # Panics
    /// If there is no nats-server on this machine, or it does not start.
    pub async fn start() -> Self {
        for _ in 0..ATTEMPTS {
            let server = Self::new("n0", free_port(), None, "");
            if server.comes_up().await {
                server.jetstream_answers().await;
                return server;
            }
        }
        panic!("nats-server did not start in {ATTEMPTS} attempts");
    }

    /// The same, with lines of its own in the configuration, such as
    /// `max_payload: 1000`. Whoever needs credentials now asks for JetStream
    /// itself.
    pub async fn with_config(more: &str) -> Self {
        for _ in 0..ATTEMPTS {
            let server = Self::new("n0", free_port(), None, more);
            if server.comes_up().await {
                return server;
            }
        }
        panic!("nats-server did not start in {ATTEMPTS} attempts");
    }

    /// Starts one that may be part of a cluster; does not wait.
    pub(super) fn new(name: &str, port: u16, routes: Option<Routes>, more: &str) -> Self {
        let number = SERVERS.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!(
            "tidegate-test-nats-{}-{number}",
            std::process::id()
        ));
        fs::create_dir_all(&folder).expect("a folder for tests");
        let monitoring = free_port();
        let config = config(name, [port, monitoring], &folder, routes.as_ref());
        fs::write(folder.join("nats.conf"), config + more).expect("a file for tests");
        let server = Self {
            name: name.to_owned(),
            port,
            monitoring,
            folder,
            child: Mutex::new(None),
        };
        server.spawn();
        server
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The same, as host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What the server calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Kills it (`SIGKILL`) and waits for its end. Its store stays.
    pub async fn kill(&self) {
        self.end();
    }

    /// Starts it again, after [`NatsServer::kill`], on the same port and store,
    /// and waits until it takes connections.
    pub async fn restart(&self) {
        for _ in 0..ATTEMPTS {
            self.end();
            self.spawn();
            if self.comes_up().await {
                return;
            }
            // Somebody's connection has got its port for a moment.
            tokio::time::sleep(PORT_TAKEN).await;
        }
        panic!("nats-server did not come back");
    }

    /// Makes it stand still (`SIGSTOP`): it keeps its connections and says nothing.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after [`NatsServer::pause`].
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Has it ask its clients to leave (`SIGUSR2`).
    pub fn lame_duck(&self) {
        self.signal(Signal::USR2);
    }

    /// How many clients are connected to it.
    ///
    /// # Panics
    /// If it does not run.
    pub async fn clients(&self) -> u64 {
        let answer = self.ask_monitoring("/varz").await.expect("is there");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        body["connections"].as_u64().expect("a number")
    }

    /// Whether it runs, takes part in its cluster and has everything that it must
    /// have of streams and tables.
    pub async fn is_healthy(&self) -> bool {
        let asking = tokio::time::timeout(DEADLINE, self.ask_monitoring("/healthz"));
        let answer = asking.await.ok().and_then(Result::ok);
        answer.is_some_and(|answer| answer.split(' ').nth(1) == Some("200"))
    }

    async fn ask_monitoring(&self, path: &str) -> std::io::Result<String> {
        let address = format!("127.0.0.1:{}", self.monitoring);
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// Waits until JetStream answers, which in a cluster takes an election.
    pub(super) async fn jetstream_answers(&self) {
        eventually("JetStream answers", async || {
            let Some(mut client) = RawNats::try_connect(&self.address()).await else {
                return false;
            };
            let answer = client.ask("$JS.API.INFO", b"").await;
            answer.is_some_and(|answer| !answer.payload.windows(7).any(|part| part == b"\"error\""))
        })
        .await;
    }

    /// Waits until it takes connections; false if it ended instead.
    pub(super) async fn comes_up(&self) -> bool {
        let mut ended = false;
        eventually("nats-server takes connections", async || {
            ended = self.has_ended();
            ended || self.greets().await
        })
        .await;
        !ended
    }

    /// Whether this very server is behind the port.
    async fn greets(&self) -> bool {
        let greeting = RawNats::greeting(&self.address()).await;
        greeting.is_some_and(|info| info["server_name"] == *self.name)
    }

    fn has_ended(&self) -> bool {
        let mut child = self.child.lock().expect("not poisoned");
        let status = child.as_mut().map(Child::try_wait);
        !matches!(status, Some(Ok(None)))
    }

    fn spawn(&self) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join("nats.log"))
            .expect("a log file");
        let child = Command::new(binary())
            .arg("--config")
            .arg(self.folder.join("nats.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("nats-server runs");
        *self.child.lock().expect("not poisoned") = Some(child);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.lock().expect("not poisoned");
        let child = child.as_ref().expect("a server that runs");
        let id = i32::try_from(child.id()).expect("a process id");
        let id = Pid::from_raw(id).expect("not zero");
        kill_process(id, signal).expect("our own process");
    }

    fn end(&self) {
        let child = self.child.lock().expect("not poisoned").take();
        if let Some(mut child) = child {
            child.kill().expect("our own process");
            child.wait().expect("our own process");
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            eprintln!("{}: log in {}", self.name, self.folder.display());
        } else if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{} stays: {error}", self.folder.display());
        }
    }
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

fn config(
    name: &str,
    [port, monitoring]: [u16; 2],
    folder: &Path,
    routes: Option<&Routes>,
) -> String {
    let store = folder.join("store");
    let mut config = format!(
        "server_name: {name}\nlisten: \"127.0.0.1:{port}\"\n\
         http: \"127.0.0.1:{monitoring}\"\n\
         jetstream {{ store_dir: {store:?}, max_memory_store: 256MB, max_file_store: 2GB }}\n\
         lame_duck_duration: \"300s\"\nlame_duck_grace_period: \"1s\"\n"
    );
    if let Some(routes) = routes {
        let urls: Vec<_> = routes
            .ports
            .iter()
            .map(|port| format!("\"nats://127.0.0.1:{port}\""))
            .collect();
        config += &format!(
            "cluster {{ name: tests, no_advertise: true, listen: \"127.0.0.1:{}\", routes: [{}] }}\n",
            routes.port,
            urls.join(", ")
        );
    }
    config
}

/// The nats-server to run: as `TIDEGATE_NATS_SERVER` says, else the one that
/// `cargo xtask test` installs, else the one in `PATH`.
fn binary() -> PathBuf {
    if let Some(told) = env::var_os("TIDEGATE_NATS_SERVER") {
        return told.into();
    }
    let own = env::current_exe().expect("a running program");
    let installed = own
        .ancestors()
        .map(|folder| folder.join("tools/venv/bin/nats-server"));
    let path = env::var_os("PATH").unwrap_or_default();
    let in_path = env::split_paths(&path).map(|folder| folder.join("nats-server"));
    installed
        .chain(in_path)
        .find(|candidate| candidate.is_file())
        .expect("run cargo xtask test: it gets nats-server")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How long a paused server is watched for signs of life.
    const SILENCE: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_server_keeps_its_port_over_a_restart_and_is_silent_while_paused() {
        let server = NatsServer::start().await;
        let url = server.url();
        server.kill().await;
        assert!(!server.greets().await);
        server.restart().await;
        assert_eq!(server.url(), url);
        server.pause();
        // The signal may take a moment to arrive.
        crate::eventually("it is silent", async || {
            let greets = tokio::time::timeout(SILENCE, server.greets()).await;
            greets.is_err()
        })
        .await;
        server.resume();
        assert!(server.comes_up().await);
    }
}
