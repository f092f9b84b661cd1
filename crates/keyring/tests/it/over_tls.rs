//! Sets at https addresses: only of whom the certificates to trust speak for.

use std::{fs, net::SocketAddr, path::PathBuf, process, sync::Arc, time::Duration};

use keyring::{Keyring, Origin, Settings, VerifyError};
use lifecycle::Scope;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::issuer::{Running, key, set, settings, source, verifier};

/// Somebody who signs certificates, and the file that says so.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("random");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("signs");
        let name = format!("tidegate-keyring-{}-{name}.pem", process::id());
        let file = std::env::temp_dir().join(name);
        fs::write(&file, issuer.pem()).expect("can be written");
        Self { issuer, file }
    }

    fn acceptor(&self) -> TlsAcceptor {
        let key = KeyPair::generate().expect("random");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("a valid name");
        let certificate = params.signed_by(&key, &self.issuer).expect("signs");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.into())
            .expect("they belong together");
        TlsAcceptor::from(Arc::new(config))
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

async fn serve(acceptor: TlsAcceptor, body: String, scope: &Scope) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    scope.spawn_cancellable("issuer", async move {
        loop {
            let (stream, _) = listener.accept().await.expect("accepts");
            // Whoever does not trust us ends here.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read_buf(&mut request).await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => break,
                }
            }
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

#[tokio::test]
async fn the_issuer_must_be_who_its_certificate_says() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let known = key("known");
    let scope = Scope::root();
    let address = serve(ours.acceptor(), set(&[&known]), &scope).await;
    let keyring = |host: &str, authority: &Authority| {
        let (verifier, issuer) = verifier();
        let url = format!("https://{host}:{}/keys", address.port());
        let settings = Settings {
            ca_file: Some(authority.file.clone()),
            ..settings(Duration::ZERO)
        };
        let source = source(issuer, Origin::Url(url));
        Running::new(Keyring::new(verifier, &[source], &settings).expect("valid settings"))
    };
    assert!(
        keyring("localhost", &ours)
            .verify(&known.token())
            .await
            .is_ok()
    );
    for keyring in [keyring("localhost", &other), keyring("127.0.0.1", &ours)] {
        let verdict = keyring.verify(&known.token()).await;
        assert_eq!(verdict, Err(VerifyError::Unavailable));
    }
    scope.cancel();
}
