//! TLS of clients: whatever comes, nothing panics, at any point there may be something
//! to send, and what a good client says is what comes out.
//!
//! The first byte says how the input is used: as ciphertext from the first byte on, or
//! as what a client says after its handshake, which may then be changed on its way. The
//! second one says in which pieces it comes.

use std::{
    io::{Read, Write},
    sync::{Arc, OnceLock},
};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
};
use tls::Link;

/// Both sides; made once.
fn sides() -> &'static (Arc<ServerConfig>, Arc<ClientConfig>) {
    static SIDES: OnceLock<(Arc<ServerConfig>, Arc<ClientConfig>)> = OnceLock::new();
    SIDES.get_or_init(|| {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("signed").der().clone();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("they go together");
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("a root");
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        (Arc::new(server), Arc::new(client))
    })
}

/// Hands over input in pieces; what came out, unless it failed.
fn feed(link: &mut Link, wire: &[u8], piece: usize, out: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    for piece in wire.chunks(piece) {
        let mut input = vec![0; link.unfinished()];
        input.extend_from_slice(piece);
        if link.receive(&mut input, &mut plain, out).is_err() {
            assert!(link.send(b"too late", &mut Vec::new()).is_err());
            link.close(&mut Vec::new());
            return None;
        }
        if !link.is_handshaking() {
            link.send(b"x", out).expect("established");
        }
    }
    Some(plain)
}

pub(crate) fn check(data: &[u8]) {
    let [mode, piece, data @ ..] = data else {
        return;
    };
    let (server, client) = sides();
    let piece = usize::from(*piece) + 1;
    let mut link = Link::new(server.clone()).expect("a valid configuration");
    if mode & 1 == 0 {
        feed(&mut link, data, piece, &mut Vec::new());
        return;
    }
    let name = ServerName::try_from("a.example").expect("a name");
    let mut client = ClientConnection::new(client.clone(), name).expect("a client");
    client.set_buffer_limit(None);
    let mut said = Vec::new();
    while client.is_handshaking() || client.wants_write() {
        exchange(&mut link, &mut client, piece, &mut said);
    }
    client.writer().write_all(data).expect("it buffers");
    let mut wire = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut wire).expect("to memory");
    }
    let changed = mode & 2 != 0 && !wire.is_empty();
    if changed {
        let at = usize::from(*mode) * 31 % wire.len();
        wire[at] ^= 1 << (mode >> 5);
    }
    let plain = feed(&mut link, &wire, piece, &mut Vec::new());
    if !changed {
        assert_eq!(plain.as_deref(), Some(data));
    }
}

/// Carries what the client has to say, and the answer.
fn exchange(link: &mut Link, client: &mut ClientConnection, piece: usize, said: &mut Vec<u8>) {
    let (mut wire, mut out) = (Vec::new(), Vec::new());
    client.write_tls(&mut wire).expect("to memory");
    let plain = feed(link, &wire, piece, &mut out).expect("a good client");
    said.extend(plain);
    let mut out = &out[..];
    while !out.is_empty() {
        client.read_tls(&mut out).expect("from memory");
        client.process_new_packets().expect("valid records");
        // What it hears is not of interest, and must not fill it up.
        let _ = client.reader().read_to_end(&mut Vec::new());
    }
}
