//! Clients by TLS, and certificates and keys that change under them.

mod costs;

use std::{fs, io, path::Path};

use client::{Client, State};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use testkit::{Cluster, Layout, eventually, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{CONFIG, grpc, next, publish, setting};

/// An authority whose certificates a gateway shows.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let this = Self {
            issuer: CertifiedIssuer::self_signed(params, key).expect("signed"),
            folder: tempfile::tempdir().expect("a folder for tests"),
        };
        this.issue();
        this
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A new certificate in the place of the old one.
    fn issue(&self) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        fs::write(self.path().join("key.pem"), key.serialize_pem()).expect("written");
        fs::write(self.path().join("cert.pem"), certificate.pem()).expect("written");
    }

    fn config(&self) -> String {
        let file = |name| self.path().join(name);
        format!(
            "{CONFIG}\n[gateway.tls]\nreload = \"100ms\"\n[[gateway.tls.certificate]]\n\
             certificate_file = {:?}\nkey_file = {:?}\n",
            file("cert.pem"),
            file("key.pem")
        )
    }

    async fn cluster(&self) -> Cluster {
        Cluster::start(Layout {
            binary: env!("CARGO_BIN_EXE_tidegate"),
            nats: 1,
            gateways: &["gw1"],
            controls: &["control1"],
            config: &self.config(),
        })
        .await
    }

    async fn connect(&self, cluster: &Cluster, user: &str) -> Result<Client, client::Error> {
        let builder = Client::builder(&cluster.client_url("gw1"))
            .token(cluster.tokens.token(user))
            .root_certificates(self.issuer.pem());
        within("it connects or not", builder.connect()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_connect_by_tls_and_not_without() {
    let authority = Authority::new();
    let cluster = authority.cluster().await;
    let url = cluster.client_url("gw1");
    assert!(url.starts_with("wss://127.0.0.1:"), "{url}");
    let client = authority.connect(&cluster, "alice").await.expect("trusted");
    let mut subscription = within("subscribed", client.subscribe("log.a"))
        .await
        .expect("subscribes");
    // In several records, and messages that are no record's end.
    let large = vec![7; 60_000];
    client
        .publish("log.a", large.clone())
        .await
        .expect("published");
    assert!(next(&mut subscription).await == large);
    client.close().await;

    let stranger = Authority::new().connect(&cluster, "alice").await;
    assert!(matches!(stranger, Err(client::Error::Connect(_))));
    let address = url.trim_start_matches("wss://").split('/').next();
    let mut plain = TcpStream::connect(address.expect("host and port"))
        .await
        .expect("it listens");
    let request = b"GET /v1/ws HTTP/1.1\r\nhost: a\r\n\r\n";
    plain.write_all(request).await.expect("it reads");
    let mut answer = Vec::new();
    let end = within("it is refused", plain.read_to_end(&mut answer)).await;
    let is_reset = |error: io::Error| error.kind() == io::ErrorKind::ConnectionReset;
    assert!(end.is_ok() || end.is_err_and(is_reset));
    // An alert of TLS, and no HTTP.
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_change_under_load_and_no_connection_notices() {
    let authority = Authority::new();
    let cluster = authority.cluster().await;
    let clients = setting("TIDEGATE_TEST_CLIENTS", 30);
    let mut listening = Vec::new();
    for number in 0..clients {
        let user = format!("user{number}");
        let client = authority.connect(&cluster, &user).await.expect("trusted");
        let subscription = client.subscribe("log.a").await.expect("subscribes");
        listening.push((client, subscription));
    }
    let control = grpc(&cluster, "control1").await;
    let gateway = cluster.process("gw1");
    let reloads = "tidegate_tls_reloads_total";
    let mut published = 0;
    for rotation in 1..=3 {
        authority.issue();
        eventually("the gateway has the new certificate", async || {
            for _ in 0..20 {
                publish(&control, "log.a", published.to_string())
                    .await
                    .expect("published");
                published += 1;
            }
            gateway.metric(reloads, &["result=\"changed\""]).await >= f64::from(rotation)
        })
        .await;
        let user = format!("after{rotation}");
        let client = authority.connect(&cluster, &user).await.expect("trusted");
        client.close().await;
    }
    for (client, subscription) in &mut listening {
        for number in 0..published {
            assert_eq!(next(subscription).await, number.to_string());
        }
        assert!(matches!(*client.state().borrow(), State::Connected { .. }));
    }
    // One for each, and one for each change.
    let opened = "tidegate_edge_connections_opened_total";
    let expected = clients as f64 + 3.0;
    eventually("all connections are counted", async || {
        gateway.metric(opened, &[]).await >= expected
    })
    .await;
    assert_eq!(gateway.metric(opened, &[]).await, expected);
    println!(
        "{clients} clients by TLS, 3 changes of the certificate, {published} publications: none lost, no connection closed"
    );
}
