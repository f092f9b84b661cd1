//! What `tidegate cluster` says: JSON lines for scripts, text for people.

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
};

use anyhow::Result;
use serde_json::{Value, json};

/// Says what happens. Cheap to copy: output goes through the process's stdout.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announcer {
    json: bool,
}

/// What runs, once all of it does.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) client_url: String,
    pub(super) grpc_url: String,
    pub(super) nats_urls: Vec<String>,
    pub(super) folder: PathBuf,
    pub(super) gateways: usize,
    pub(super) controls: usize,
    pub(super) nats: usize,
}

// === impl Announcer ===

impl Announcer {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// A nats-server takes connections.
    pub(super) fn nats(&mut self, name: &str, address: SocketAddr, pid: u32) -> Result<()> {
        let url = format!("nats://{address}");
        let text = format!("  {name:<10} {url}  (pid {pid})");
        let line =
            json!({"event": "started", "role": "nats", "name": name, "url": url, "pid": pid});
        self.say(&text, &line)
    }

    /// A gateway or control plane serves.
    pub(super) fn child(&self, role: &str, name: &str, announced: &Value) {
        let url = announced["client_url"]
            .as_str()
            .or_else(|| announced["grpc_url"].as_str())
            .unwrap_or_default();
        let pid = &announced["pid"];
        let text = format!("  {name:<10} {url}  (pid {pid})");
        let mut line = json!({"event": "started", "role": role, "name": name});
        if let (Some(line), Some(announced)) = (line.as_object_mut(), announced.as_object()) {
            line.extend(announced.clone());
        }
        // Whoever read it has gone, which is no reason to stop the cluster.
        let _ = self.say(&text, &line);
    }

    /// A gateway or control plane ended by itself; it will be started again.
    pub(super) fn ended(&self, role: &str, name: &str, how: &str) {
        let text = format!("  {name:<10} ended ({how}), starting again");
        let line = json!({"event": "ended", "role": role, "name": name, "how": how});
        // As above.
        let _ = self.say(&text, &line);
    }

    /// Everything runs.
    pub(super) fn ready(&self, plan: &Plan) -> Result<()> {
        let Plan {
            client_url,
            grpc_url,
            nats_urls,
            folder,
            gateways,
            controls,
            nats,
        } = plan;
        let admin = grpc_url.trim_start_matches("http://");
        let text = format!(
            "
Tidegate is running: {gateways} gateways, {controls} control planes, {nats} nats-servers of its own

  clients   {client_url}  (through a balancer)
  gRPC      {grpc_url}  (likewise)
  NATS      {}
  logs      {}

Try in another terminal
  tidegate subscribe demo.hello --url {client_url} --grpc {grpc_url}
  tidegate publish demo.hello 'Hello, tide!' --grpc {grpc_url}
  tidegate gateways --grpc {grpc_url}
  grpcurl -plaintext {admin} list

A process that ends is started again; `kill -9` one and see. Ctrl-C stops all of it.",
            nats_urls.join(","),
            folder.display()
        );
        let line = json!({
            "event": "ready", "client_url": client_url, "grpc_url": grpc_url,
            "nats_urls": nats_urls, "folder": folder,
        });
        self.say(&text, &line)
    }

    fn say(&self, text: &str, line: &Value) -> Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "{text}")?;
        }
        out.flush()?;
        Ok(())
    }
}
