//! Several nats-servers that are one cluster.

use std::sync::Arc;

use bus::{Bus, BusState, NatsBus, NatsOptions};
use serde_json::{Value, json};

use super::{
    raw::RawNats,
    server::{NatsServer, Routes, free_port},
};
use crate::wait::{eventually, within};

/// Attempts to find ports that nobody else takes meanwhile.
const ATTEMPTS: u32 = 5;

/// Servers with JetStream in one cluster; killed when dropped.
#[derive(Debug)]
pub struct NatsCluster {
    servers: Vec<NatsServer>,
}

// === impl NatsCluster ===

impl NatsCluster {
    /// Starts so many servers and waits until JetStream has a leader. One
    /// server is no cluster and needs none.
    pub async fn start(count: usize) -> Self {
        if count == 1 {
            return Self::of(NatsServer::start().await);
        }
        for _ in 0..ATTEMPTS {
            let cluster = Self::begin(count);
            let mut all_up = true;
            for server in &cluster.servers {
                all_up &= server.comes_up().await;
            }
            if all_up {
                cluster.settle(count).await;
                return cluster;
            }
        }
        panic!("a cluster of nats-servers did not start in {ATTEMPTS} attempts");
    }

    /// One server, as it is.
    pub fn of(server: NatsServer) -> Self {
        let servers = vec![server];
        Self { servers }
    }

    fn begin(count: usize) -> Self {
        let ports: Vec<_> = (0..count).map(|_| free_port()).collect();
        let servers = ports.iter().enumerate().map(|(index, port)| {
            let routes = Routes {
                port: *port,
                ports: ports.clone(),
            };
            NatsServer::new(&format!("n{index}"), free_port(), Some(routes), "")
        });
        Self {
            servers: servers.collect(),
        }
    }

    /// Waits until JetStream takes streams with as many copies as may be.
    async fn settle(&self, count: usize) {
        for server in &self.servers {
            server.jetstream_answers().await;
        }
        let copies = count.min(3);
        let config = json!({
            "name": "SETTLED", "subjects": ["settled"], "storage": "memory", "num_replicas": copies,
        });
        eventually("JetStream has all its servers", async || {
            let made = self.api("STREAM.CREATE.SETTLED", &config).await;
            made.is_some_and(|answer| answer["error"].is_null())
        })
        .await;
        let gone = self.api("STREAM.DELETE.SETTLED", &json!({})).await;
        assert!(gone.is_some(), "JetStream answers");
    }

    /// Where clients connect.
    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(NatsServer::url).collect()
    }

    /// A bus over all of the servers, which runs until the test's end.
    pub async fn bus(&self) -> Arc<dyn Bus> {
        let options = NatsOptions {
            servers: self.urls(),
            replicas: self.servers.len().min(3),
            ..NatsOptions::local(&self.servers[0].url())
        };
        let bus = NatsBus::connect(options).await.expect("NATS is there");
        let running = Arc::clone(&bus);
        #[expect(
            clippy::disallowed_methods,
            reason = "a test's runtime ends with it, and takes the task along"
        )]
        drop(tokio::spawn(async move { running.run().await }));
        let mut state = bus.state();
        let up = state.wait_for(|state| *state == BusState::Up);
        within("the bus is up", up).await.expect("it runs");
        bus
    }

    /// One of the servers.
    pub fn server(&self, index: usize) -> &NatsServer {
        &self.servers[index]
    }

    /// See [`NatsServer::kill`].
    pub async fn kill(&self, index: usize) {
        self.servers[index].kill().await;
    }

    /// See [`NatsServer::restart`].
    pub async fn restart(&self, index: usize) {
        self.servers[index].restart().await;
    }

    /// See [`NatsServer::pause`].
    pub fn pause(&self, index: usize) {
        self.servers[index].pause();
    }

    /// See [`NatsServer::resume`].
    pub fn resume(&self, index: usize) {
        self.servers[index].resume();
    }

    /// The server that leads a stream; waits for an election.
    pub async fn leader_of(&self, stream: &str) -> usize {
        let mut leader = None;
        eventually("the stream has a leader", async || {
            let info = self.api(&format!("STREAM.INFO.{stream}"), &json!({})).await;
            leader = info.and_then(|info| self.named(&info["cluster"]["leader"]));
            leader.is_some()
        })
        .await;
        leader.expect("it was waited for")
    }

    fn named(&self, name: &Value) -> Option<usize> {
        // A server that is in no cluster leads everything.
        if self.servers.len() == 1 {
            return Some(0);
        }
        self.servers
            .iter()
            .position(|server| *name == *server.name())
    }

    /// Asks JetStream by the first server that answers.
    async fn api(&self, subject: &str, request: &Value) -> Option<Value> {
        let (subject, request) = (format!("$JS.API.{subject}"), request.to_string());
        for server in &self.servers {
            let Some(mut client) = RawNats::try_connect(&server.address()).await else {
                continue;
            };
            if let Some(answer) = client.ask(&subject, request.as_bytes()).await {
                return serde_json::from_slice(&answer.payload).ok();
            }
        }
        None
    }
}
