//! One connection, whatever way its bytes come.

use std::sync::Arc;

use rustls::HandshakeKind;
use tls::{MAX_RECORD_BYTES, Server};

use crate::peer::{Authority, Pair};

fn server(authority: &Authority) -> Server {
    let files = authority.issue("one", &["game.example"]);
    Server::new(authority.server(vec![files])).expect("valid files")
}

#[test]
fn bytes_may_come_in_any_pieces_and_nothing_is_kept_of_whole_records() {
    let authority = Authority::new();
    let (server, client) = (server(&authority), Arc::new(authority.client()));
    for piece in [1, 2, 7, 100, usize::MAX] {
        let mut pair = Pair::new(&server, &client, "game.example");
        pair.say(b"hello");
        pair.pump(piece).expect("a good client");
        assert!(!pair.link.is_handshaking());
        assert_eq!(pair.link.version(), Some("TLSv1_3"));
        assert_eq!(pair.plain, b"hello");
        assert_eq!(pair.link.unfinished(), 0);
        let mut out = Vec::new();
        pair.link.send(b"welcome", &mut out).expect("established");
        pair.give(&out);
        assert_eq!(pair.heard(), b"welcome");
    }
}

#[test]
fn large_data_goes_both_ways_in_many_records() {
    let authority = Authority::new();
    let (server, client) = (server(&authority), Arc::new(authority.client()));
    let mut pair = Pair::new(&server, &client, "game.example");
    pair.client.set_buffer_limit(None);
    let data: Vec<u8> = (0..200_000u32).map(|number| number as u8).collect();
    pair.say(&data);
    // No piece is as large as a record.
    pair.pump(1_000).expect("a good client");
    assert!(pair.plain == data);
    let mut out = Vec::new();
    pair.link.send(&data, &mut out).expect("established");
    assert!(out.len() > data.len() && out.len() < data.len() + MAX_RECORD_BYTES);
    let mut heard = Vec::new();
    for piece in out.chunks(10_000) {
        pair.give(piece);
        heard.extend(pair.heard());
    }
    assert!(heard == data);
}

#[test]
fn each_side_can_say_that_it_sends_no_more() {
    let authority = Authority::new();
    let (server, client) = (server(&authority), Arc::new(authority.client()));
    let mut pair = Pair::new(&server, &client, "game.example");
    pair.pump(usize::MAX).expect("a good client");
    pair.say(b"bye");
    pair.client.send_close_notify();
    pair.pump(3).expect("a good client");
    assert_eq!(pair.plain, b"bye");
    assert!(pair.ended);
    // It can still be told something.
    let mut out = Vec::new();
    pair.link.send(b"so long", &mut out).expect("half open");
    pair.link.close(&mut out);
    pair.link.close(&mut out);
    pair.give(&out);
    assert_eq!(pair.heard(), b"so long");
    assert!(pair.link.send(b"more", &mut out).is_err());
}

#[test]
fn what_was_tampered_with_ends_the_connection() {
    let authority = Authority::new();
    let (server, client) = (server(&authority), Arc::new(authority.client()));
    let mut pair = Pair::new(&server, &client, "game.example");
    pair.pump(usize::MAX).expect("a good client");
    pair.say(b"pay 1");
    let mut wire = Vec::new();
    pair.client.write_tls(&mut wire).expect("to memory");
    *wire.last_mut().expect("a record") ^= 1;
    assert!(pair.receive(&wire).is_err());
    assert_eq!(pair.plain, b"");
    assert!(
        pair.receive(b"\x17\x03\x03\x00\x01x").is_err(),
        "it stays so"
    );
}

#[test]
fn what_is_no_tls_is_refused_at_once() {
    let authority = Authority::new();
    let (server, client) = (server(&authority), Arc::new(authority.client()));
    for nonsense in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0x16, 3, 1, 0xff, 0xff, 1, 2],
        &[0; 64],
    ] {
        let mut pair = Pair::new(&server, &client, "game.example");
        assert!(pair.receive(nonsense).is_err(), "{nonsense:?}");
    }
}

#[test]
fn the_second_connection_resumes_and_keys_may_be_changed_meanwhile() {
    let authority = Authority::new();
    let (server, client) = (server(&authority), Arc::new(authority.client()));
    let mut first = Pair::new(&server, &client, "game.example");
    first.pump(usize::MAX).expect("a good client");
    assert!(!first.link.is_resumed());
    first.client.refresh_traffic_keys().expect("established");
    first.say(b"with other keys");
    first.pump(5).expect("a good client");
    assert_eq!(first.plain, b"with other keys");
    let mut second = Pair::new(&server, &client, "game.example");
    second.pump(usize::MAX).expect("a good client");
    assert!(second.link.is_resumed());
    assert_eq!(second.client.handshake_kind(), Some(HandshakeKind::Resumed));
}
