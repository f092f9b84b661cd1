//! Clusters of real processes on real nats-servers.

mod dashboards;
mod deaths;
mod drains;
mod encrypted;
mod explained;
mod faults;
mod fencing;
mod following;
mod half_open;
mod mailboxes;
mod market;
mod measuring;
mod outages;
mod plain;
mod presence;
mod prometheus;
mod repeating;
mod returning;
mod revoking;
mod rolling;
mod rotating;
mod slow;
mod storm;
mod throttled;
mod together;
mod traces;
mod wills;

use std::{fmt, time::Duration};

use bytes::Bytes;
use client::{Client, Subscription};
use control::client::{ConnectionServiceClient, PublishServiceClient, SendServiceClient};
use testkit::{Cluster, Layout, within};
use tonic::transport::Channel;
use wire::control::{NewPublication, PublishRequest};

/// Namespaces with and without a log, and a route.
const CONFIG: &str = r#"
[gateway]
drain = { settle = "200ms", rate = 400, window = "15s" }
idempotency = { late = "1s" }

[[namespace]]
name = "live"
metrics = true
publish = "anyone"
subscribe = "anyone"

[[namespace]]
name = "room"
fanout = "namespace"
presence = true
signals = true
publish = "anyone"
subscribe = "anyone"

[[namespace]]
name = "log"
history = { messages = 1000, age = "10m" }
publish = "anyone"
subscribe = "anyone"

[[route]]
name = "shop.buy"
deadline = "5s"

[[route]]
name = "shop.buy_exactly"
redelivery = "worker_deduplicates"
"#;

/// A cluster with the usual configuration.
async fn cluster(nats: usize, gateways: &[&str], controls: &[&str]) -> Cluster {
    Cluster::start(Layout {
        binary: env!("CARGO_BIN_EXE_tidegate"),
        nats,
        gateways,
        controls,
        config: CONFIG,
    })
    .await
}

/// A connected client of one gateway.
async fn connect(cluster: &Cluster, gateway: &str, user: &str) -> Client {
    let builder = Client::builder(&cluster.client_url(gateway)).token(cluster.tokens.token(user));
    within("the client connects", builder.connect())
        .await
        .expect("connects")
}

async fn subscribe(client: &Client, channel: &str) -> Subscription {
    within("subscribed", client.subscribe(channel))
        .await
        .expect("subscribes")
}

/// The next publication's payload.
async fn next(subscription: &mut Subscription) -> Bytes {
    within("a publication", subscription.next_publication())
        .await
        .expect("still subscribed")
        .payload
}

async fn grpc(cluster: &Cluster, control: &str) -> Channel {
    control::client::connect(&cluster.grpc_url(control))
        .await
        .expect("the control plane listens")
}

/// Publishes by a control plane.
async fn publish(
    channel: &Channel,
    to: &str,
    payload: impl Into<Bytes>,
) -> Result<u64, tonic::Status> {
    let mut request = tonic::Request::new(PublishRequest {
        publication: Some(publication(to, payload)),
    });
    request.set_timeout(Duration::from_secs(10));
    let mut publisher = PublishServiceClient::new(channel.clone());
    Ok(publisher.publish(request).await?.into_inner().offset)
}

fn publication(to: &str, payload: impl Into<Bytes>) -> NewPublication {
    NewPublication {
        channel: to.to_owned(),
        payload: payload.into(),
        ..NewPublication::default()
    }
}

fn sending(channel: &Channel) -> SendServiceClient<Channel> {
    SendServiceClient::new(channel.clone())
}

fn connections(channel: &Channel) -> ConnectionServiceClient<Channel> {
    ConnectionServiceClient::new(channel.clone())
}

/// Clients of tests under load; `TIDEGATE_TEST_CLIENTS` for more.
fn clients() -> usize {
    setting("TIDEGATE_TEST_CLIENTS", 120)
}

/// A size of a test that an environment variable may change.
fn setting(name: &str, usual: usize) -> usize {
    let told = std::env::var(name).ok();
    told.and_then(|value| value.parse().ok()).unwrap_or(usual)
}

/// Sorted milliseconds, to be shown.
struct Spread(Vec<f64>);

impl Spread {
    fn of(mut milliseconds: Vec<f64>) -> Self {
        milliseconds.sort_by(f64::total_cmp);
        Self(milliseconds)
    }

    /// The value that this share of all does not exceed; zero if there is none.
    fn at(&self, share: f64) -> f64 {
        let index = (self.0.len().saturating_sub(1) as f64 * share) as usize;
        self.0.get(index).copied().unwrap_or_default()
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |share| self.at(share);
        let (p50, p90, p99, max) = (at(0.5), at(0.9), at(0.99), at(1.0));
        write!(f, "p50 {p50:.1} p90 {p90:.1} p99 {p99:.1} max {max:.1} ms")
    }
}

/// For what takes long by design: a drain.
async fn within_a_minute<F: Future>(what: &str, future: F) -> F::Output {
    let limit = Duration::from_secs(60);
    match tokio::time::timeout(limit, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {limit:?} in vain for {what}"),
    }
}
