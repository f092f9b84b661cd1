//! What they cost a gateway. Prints; to be run in release.

use std::{net::SocketAddr, time::Instant};

use futures_util::{StreamExt, stream};
use testkit::{Cluster, Plain, Process, RawClient, hello, subscribe, within};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use super::Poller;
use crate::cluster::{cluster, grpc, publish, setting};

/// Connections that are made together.
const TOGETHER: usize = 16;

/// Bytes of a publication.
const PAYLOAD: usize = 128;

/// A gateway and how much is put to it.
struct Bench<'a> {
    cluster: &'a Cluster,
    control: Channel,
    clients: usize,
    publications: usize,
}

impl Bench<'_> {
    fn gateway(&self) -> &Process {
        self.cluster.process("gw1")
    }

    fn address(&self) -> SocketAddr {
        self.gateway().address("client_url")
    }

    fn token(&self, number: usize) -> String {
        self.cluster.tokens.token(&format!("user{number}"))
    }

    /// Clients that are made so, and the memory that each costs.
    async fn open<F: Future>(&self, name: &str, one: impl Fn(usize) -> F) -> Vec<F::Output> {
        let before = self.gateway().memory();
        let opening = stream::iter(0..self.clients).map(one);
        let clients: Vec<_> = opening.buffer_unordered(TOGETHER).collect().await;
        let kib = self.gateway().memory().saturating_sub(before) as f64;
        println!(
            "{name}: {:.0} bytes of the gateway's memory for each of {} idle connections",
            kib * 1024.0 / self.clients as f64,
            self.clients
        );
        clients
    }

    async fn publish(&self, channel: &str) {
        for number in 0..self.publications {
            let payload = vec![b'0' + (number % 10) as u8; PAYLOAD];
            publish(&self.control, channel, payload)
                .await
                .expect("published");
        }
    }

    /// What it takes until all have read everything.
    async fn deliver(&self, name: &str, delivering: impl Future<Output = ()>) {
        let (began, cpu) = (Instant::now(), self.gateway().cpu());
        delivering.await;
        let deliveries = (self.clients * self.publications) as f64;
        let rate = deliveries / began.elapsed().as_secs_f64();
        let each = (self.gateway().cpu() - cpu).as_secs_f64() * 1e6 / deliveries;
        println!(
            "{name}: {each:.1} us of CPU for each delivery of {PAYLOAD} bytes to {} clients, one at a time; {rate:.0} a second",
            self.clients
        );
    }

    async fn by_websocket(&self) {
        let mut clients = self
            .open("websocket", |number| async move {
                let token = self.token(number);
                let mut client = RawClient::greeted(self.address(), &token).await;
                client.send(subscribe(1, "live.ws")).await;
                client.subscribed().await;
                client
            })
            .await;
        let delivering = async {
            self.publish("live.ws").await;
            for client in &mut clients {
                for _ in 0..self.publications {
                    client.publication().await;
                }
            }
        };
        self.deliver("websocket", delivering).await;
    }

    async fn by_events(&self) {
        let mut streams = self
            .open("sse", |number| async move {
                let token = self.token(number);
                let target = format!("/v1/sse?access_token={token}&channel=live.sse");
                let opening = Plain::new(self.address(), "GET", &target).events();
                let mut stream = opening.await.expect("it is served");
                stream.expect("subscribed").await;
                stream
            })
            .await;
        let delivering = async {
            self.publish("live.sse").await;
            for stream in &mut streams {
                for _ in 0..self.publications {
                    stream.expect("publication").await;
                }
            }
        };
        self.deliver("sse", delivering).await;
    }

    async fn by_polls(&self) {
        let pollers = self
            .open("long polling, between polls", |number| async move {
                let first = vec![hello(&self.token(number)), subscribe(1, "live.poll")];
                let mut poller = Poller::default();
                let opening = Plain::post(self.address(), "/v1/poll", first).answer();
                poller.take(&opening.await);
                while !poller.subscribed {
                    poller.once(self.address()).await;
                }
                poller
            })
            .await;
        let (address, publications) = (self.address(), self.publications);
        let delivering = async {
            let mut polling = JoinSet::new();
            for mut poller in pollers {
                polling.spawn(async move {
                    while poller.texts.len() < publications {
                        poller.once(address).await;
                    }
                });
            }
            self.publish("live.poll").await;
            while let Some(polled) = within("all have polled", polling.join_next()).await {
                polled.expect("no client failed");
            }
        };
        self.deliver("long polling", delivering).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fallbacks_cost_is_measured_beside_websocket() {
    // A process for each: what one of them leaves in the allocator would hide the next.
    for kind in ["websocket", "sse", "long polling"] {
        let cluster = cluster(1, &["gw1"], &["control1"]).await;
        let bench = Bench {
            cluster: &cluster,
            control: grpc(&cluster, "control1").await,
            clients: setting("TIDEGATE_TEST_CLIENTS", 10),
            publications: setting("TIDEGATE_TEST_PUBLICATIONS", 20),
        };
        match kind {
            "websocket" => bench.by_websocket().await,
            "sse" => bench.by_events().await,
            _ => bench.by_polls().await,
        }
    }
}

impl Poller {
    async fn once(&mut self, address: SocketAddr) {
        let polling = Plain::post(address, "/v1/poll", Vec::new())
            .header("Tidegate-Handle", &self.handle)
            .header("Tidegate-Cursor", &self.cursor.to_string())
            .answer();
        self.take(&polling.await);
    }

    fn take(&mut self, answer: &testkit::HttpAnswer) {
        assert_eq!(answer.status, 200, "{answer:?}");
        self.hold(&serde_json::from_str(&answer.body).expect("JSON"));
    }
}
