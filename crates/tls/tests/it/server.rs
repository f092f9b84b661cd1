//! Certificates: by name, and when they change.

use std::{fs, sync::Arc};

use rustls::{ClientConfig, client::Resumption, pki_types::CertificateDer};
use tls::{ClientCertificates, Server, ServerError};

use crate::peer::{Authority, Pair};

fn certificate(server: &Server, client: &Arc<ClientConfig>, name: &str) -> CertificateDer<'static> {
    // One that is resumed shows none.
    let mut anew = ClientConfig::clone(client);
    anew.resumption = Resumption::disabled();
    let mut pair = Pair::new(server, &Arc::new(anew), name);
    pair.pump(usize::MAX).expect("a good client");
    let shown = pair.client.peer_certificates().expect("it showed one");
    shown[0].clone().into_owned()
}

#[test]
fn a_client_gets_the_certificate_of_the_name_that_it_asks_for() {
    let authority = Authority::new();
    let client = Arc::new(authority.client());
    let files = vec![
        authority.issue("one", &["one.example"]),
        authority.issue("two", &["two.example", "*.two.example"]),
    ];
    let server = Server::new(authority.server(files)).expect("valid files");
    let one = certificate(&server, &client, "one.example");
    let two = certificate(&server, &client, "TWO.example");
    assert_ne!(one, two);
    assert_eq!(certificate(&server, &client, "eu.two.example"), two);
}

#[test]
fn certificates_change_with_their_files_and_broken_files_change_nothing() {
    let authority = Authority::new();
    let client = Arc::new(authority.client());
    let files = authority.issue("one", &["one.example"]);
    let server = Server::new(authority.server(vec![files.clone()])).expect("valid files");
    let first = certificate(&server, &client, "one.example");
    let mut old = Pair::new(&server, &client, "one.example");
    old.pump(usize::MAX).expect("a good client");
    authority.issue("one", &["one.example"]);
    assert!(server.reload().expect("valid files"));
    assert!(!server.reload().expect("valid files"), "they are the same");
    let second = certificate(&server, &client, "one.example");
    assert_ne!(second, first);
    fs::write(&files.certificate, "nonsense").expect("written");
    assert!(server.reload().is_err());
    assert_eq!(certificate(&server, &client, "one.example"), second);
    old.say(b"still here");
    old.pump(usize::MAX).expect("a good client");
    assert_eq!(old.plain, b"still here");
}

#[test]
fn clients_without_a_certificate_are_refused_where_one_is_required() {
    let authority = Authority::new();
    let client = Arc::new(authority.client());
    let files = authority.issue("one", &["one.example"]);
    let mut config = authority.server(vec![files]);
    config.client_ca = Some(authority.root());
    config.client_certificates = ClientCertificates::Optional;
    let optional = Server::new(config.clone()).expect("valid files");
    certificate(&optional, &client, "one.example");
    config.client_certificates = ClientCertificates::Required;
    let required = Server::new(config).expect("valid files");
    let mut pair = Pair::new(&required, &client, "one.example");
    assert!(pair.pump(usize::MAX).is_err());

    let known = Arc::new(authority.client_with_certificate(&authority));
    let mut pair = Pair::new(&required, &known, "one.example");
    pair.pump(usize::MAX).expect("a good client");
    let stranger = Arc::new(authority.client_with_certificate(&Authority::new()));
    for server in [&required, &optional] {
        let mut pair = Pair::new(server, &stranger, "one.example");
        assert!(pair.pump(usize::MAX).is_err());
    }
}

#[test]
fn files_that_do_not_go_together_are_refused() {
    let authority = Authority::new();
    let mut files = authority.issue("one", &["one.example"]);
    files.key = authority.issue("two", &["two.example"]).key;
    let refused = Server::new(authority.server(vec![files.clone()]));
    assert!(matches!(refused, Err(ServerError::Certificate { .. })));
    files.key = "/nowhere".into();
    let refused = Server::new(authority.server(vec![files]));
    assert!(matches!(refused, Err(ServerError::File { .. })));
    let refused = Server::new(authority.server(Vec::new()));
    assert!(matches!(refused, Err(ServerError::NoCertificate)));
}
