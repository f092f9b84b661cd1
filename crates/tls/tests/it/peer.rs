//! A client, and certificates of an authority that only this test has.

use std::{
    fs,
    io::{Read, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, ConfigBuilder, RootCertStore,
    client::WantsClientCert,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tls::{CertificateFiles, ClientCertificates, Link, LinkError, ServerConfig};

/// Numbers the folders of this process.
static FOLDERS: AtomicU32 = AtomicU32::new(1);

/// An authority, with a folder for files.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

/// A client and the link that it talks to.
pub(crate) struct Pair {
    pub(crate) client: ClientConnection,
    pub(crate) link: Link,
    /// What the link has given.
    pub(crate) plain: Vec<u8>,
    pub(crate) ended: bool,
}

// === impl Authority ===

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidegate-test-tls-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder for tests");
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).expect("signed"),
            folder,
        }
    }

    /// Writes a new certificate for these names into the files called so.
    pub(crate) fn issue(&self, file: &str, names: &[&str]) -> CertificateFiles {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let files = CertificateFiles {
            certificate: self.folder.join(format!("{file}.pem")),
            key: self.folder.join(format!("{file}.key")),
        };
        fs::write(&files.key, key.serialize_pem()).expect("written");
        fs::write(&files.certificate, certificate.pem()).expect("written");
        files
    }

    /// The configuration of a server with these certificates.
    pub(crate) fn server(&self, certificates: Vec<CertificateFiles>) -> ServerConfig {
        ServerConfig {
            certificates,
            client_ca: None,
            client_certificates: ClientCertificates::default(),
            period: Duration::from_millis(10),
        }
    }

    /// The authority's own certificate.
    pub(crate) fn root(&self) -> PathBuf {
        let path = self.folder.join("root.pem");
        fs::write(&path, self.issuer.pem()).expect("written");
        path
    }

    /// What a client is that trusts the authority.
    pub(crate) fn client(&self) -> ClientConfig {
        self.trusting().with_no_client_auth()
    }

    /// The same, with a certificate of another authority.
    pub(crate) fn client_with_certificate(&self, other: &Self) -> ClientConfig {
        let files = other.issue("client", &["client.example"]);
        let certificate = CertificateDer::from_pem_file(files.certificate).expect("PEM");
        let key = PrivateKeyDer::from_pem_file(files.key).expect("PEM");
        let client = self.trusting();
        let client = client.with_client_auth_cert(vec![certificate], key);
        client.expect("they go together")
    }

    fn trusting(&self) -> ConfigBuilder<ClientConfig, WantsClientCert> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a root");
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(roots)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        // Left behind, it harms nobody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

// === impl Pair ===

impl Pair {
    pub(crate) fn new(server: &tls::Server, client: &Arc<ClientConfig>, name: &str) -> Self {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        Self {
            client: ClientConnection::new(client.clone(), name).expect("a client"),
            link: Link::new(server.tls()).expect("a link"),
            plain: Vec::new(),
            ended: false,
        }
    }

    /// Carries what waits, in pieces of this size, until nothing does.
    pub(crate) fn pump(&mut self, piece: usize) -> Result<(), LinkError> {
        loop {
            let mut wire = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut wire).expect("to memory");
            }
            if wire.is_empty() {
                return Ok(());
            }
            for piece in wire.chunks(piece) {
                let out = self.receive(piece)?;
                self.give(&out);
            }
        }
    }

    /// Hands ciphertext to the link; gives what it answers.
    pub(crate) fn receive(&mut self, piece: &[u8]) -> Result<Vec<u8>, LinkError> {
        let mut input = vec![0; self.link.unfinished()];
        input.extend_from_slice(piece);
        let mut out = Vec::new();
        let progress = self.link.receive(&mut input, &mut self.plain, &mut out)?;
        self.ended |= progress.ended;
        Ok(out)
    }

    /// Hands ciphertext to the client.
    pub(crate) fn give(&mut self, mut out: &[u8]) {
        while !out.is_empty() {
            self.client.read_tls(&mut out).expect("from memory");
            self.client.process_new_packets().expect("valid records");
        }
    }

    /// What the client says, and gets back.
    pub(crate) fn say(&mut self, text: &[u8]) {
        self.client.writer().write_all(text).expect("it buffers");
    }

    pub(crate) fn heard(&mut self) -> Vec<u8> {
        let mut heard = Vec::new();
        // The end of what is there is no end of the stream.
        let _ = self.client.reader().read_to_end(&mut heard);
        heard
    }
}
