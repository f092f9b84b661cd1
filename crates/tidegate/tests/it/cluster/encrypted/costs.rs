//! What TLS costs a gateway, beside the same without. Prints; to be run in release.

use std::{sync::Arc, time::Duration};

use client::{Client, Subscription};
use futures_util::{StreamExt, stream};
use testkit::{Cluster, Layout, eventually, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, HandshakeKind, RootCertStore,
        client::Resumption,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use super::Authority;
use crate::cluster::{CONFIG, grpc, publish, setting};

/// Connections that are made together.
const TOGETHER: usize = 16;

/// Bytes of a publication.
const PAYLOAD: usize = 128;

/// A gateway with TLS or without, and who trusts it.
struct Side {
    name: &'static str,
    cluster: Cluster,
    authority: Option<Authority>,
}

impl Side {
    async fn start(authority: Option<Authority>) -> Self {
        let config = match &authority {
            Some(authority) => authority.config(),
            None => CONFIG.to_owned(),
        };
        let cluster = Cluster::start(Layout {
            binary: env!("CARGO_BIN_EXE_tidegate"),
            nats: 1,
            gateways: &["gw1"],
            controls: &["control1"],
            config: &config,
        });
        Self {
            name: if authority.is_some() { "tls" } else { "plain" },
            cluster: cluster.await,
            authority,
        }
    }

    async fn connect(&self, number: usize) -> (Client, Subscription) {
        let user = format!("user{number}");
        let builder = Client::builder(&self.cluster.client_url("gw1"));
        let builder = builder.token(self.cluster.tokens.token(&user));
        let builder = match &self.authority {
            Some(authority) => builder.root_certificates(authority.issuer.pem()),
            None => builder,
        };
        let client = within("connected", builder.connect()).await;
        let client = client.expect("connects");
        let subscription = client.subscribe("live.costs").await.expect("subscribes");
        (client, subscription)
    }

    fn cpu(&self) -> Duration {
        self.cluster.process("gw1").cpu()
    }

    /// Memory of each idle connection, then CPU of each delivery.
    async fn hold(&self, clients: usize, publications: usize) {
        let gateway = self.cluster.process("gw1");
        // What the first ones bring along is nobody's own.
        let _first = self.connect(usize::MAX).await;
        let before = gateway.memory();
        let connecting = stream::iter(0..clients).map(|number| self.connect(number));
        let mut held: Vec<_> = connecting.buffer_unordered(TOGETHER).collect().await;
        let bytes = (gateway.memory() - before) as f64 * 1024.0 / clients as f64;
        println!(
            "{}: {bytes:.0} bytes of the gateway's memory for each of {clients} idle connections",
            self.name
        );
        let control = grpc(&self.cluster, "control1").await;
        let before = self.cpu();
        for number in 0..publications {
            publish(&control, "live.costs", vec![number as u8; PAYLOAD])
                .await
                .expect("published");
        }
        for (_, subscription) in &mut held {
            for _ in 0..publications {
                let next = within("a publication", subscription.next_publication());
                next.await.expect("still subscribed");
            }
        }
        let cpu = (self.cpu() - before).as_secs_f64() * 1e6;
        let each = cpu / (clients * publications) as f64;
        println!(
            "{}: {each:.2} us of CPU for each delivery of {PAYLOAD} bytes to {clients} clients, one at a time",
            self.name
        );
    }
}

fn connector(authority: &Authority, resumes: bool) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.issuer.pem().as_bytes());
    roots.add(root.expect("PEM")).expect("a root");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    if !resumes {
        config.resumption = Resumption::disabled();
    }
    TlsConnector::from(Arc::new(config))
}

/// Shakes hands and leaves.
async fn shake(connector: &TlsConnector, address: std::net::SocketAddr) -> HandshakeKind {
    let stream = TcpStream::connect(address).await.expect("it listens");
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let mut stream = connector.connect(name, stream).await.expect("trusted");
    let kind = stream.get_ref().1.handshake_kind().expect("it is over");
    // The ticket for the next time comes behind the handshake, and the end behind it.
    stream.shutdown().await.expect("it reads");
    let mut nothing = Vec::new();
    // Who says nothing is not said goodbye to: the end may be a bare one.
    drop(within("the end", stream.read_to_end(&mut nothing)).await);
    kind
}

async fn handshakes(side: &Side, count: usize) {
    let authority = side.authority.as_ref().expect("it has TLS");
    let address = side.cluster.process("gw1").address("client_url");
    for (name, resumes) in [("full", false), ("resumed", true)] {
        let connector = connector(authority, resumes);
        // The first one makes the ticket.
        shake(&connector, address).await;
        let before = side.cpu();
        // One after another: a ticket is good for one connection.
        let shaking = stream::iter(0..count).then(|_| shake(&connector, address));
        let kinds: Vec<_> = shaking.collect().await;
        let cpu = (side.cpu() - before).as_secs_f64();
        let resumed = kinds
            .iter()
            .filter(|kind| **kind == HandshakeKind::Resumed)
            .count();
        println!(
            "{name}: {:.0} us of CPU, {:.0} handshakes a second and core ({resumed} of {count} resumed)",
            cpu / count as f64 * 1e6,
            count as f64 / cpu
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tls_costs_is_measured_beside_plain_connections() {
    let clients = setting("TIDEGATE_TEST_CLIENTS", 20);
    let publications = setting("TIDEGATE_TEST_PUBLICATIONS", 20);
    for authority in [None, Some(Authority::new())] {
        let side = Side::start(authority).await;
        if side.authority.is_some() {
            handshakes(&side, setting("TIDEGATE_TEST_HANDSHAKES", 50)).await;
        }
        side.hold(clients, publications).await;
        let gateway = side.cluster.process("gw1");
        eventually("all are counted", async || {
            let connections = gateway.metric("tidegate_edge_connections", &[]).await;
            connections <= 1.0 + clients as f64
        })
        .await;
    }
}
