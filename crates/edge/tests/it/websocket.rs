//! RFC 6455 as a gateway keeps it: what breaks it is answered with the code it
//! earns, what does not is served.

use std::time::Duration;

use testkit::{RawClient, eventually, ping};
use wire::websocket::{OpCode, client_frame};

use crate::gateway::Gateway;

const MASK: [u8; 4] = [5, 6, 7, 8];

/// A masked frame with the first byte as given.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    client_frame(OpCode::Binary, MASK, payload, &mut frame);
    frame[0] = first;
    frame
}

/// A Ping event with this nonce, as a protobuf message.
fn ping_message(nonce: u8) -> [u8; 6] {
    [0x0a, 0x04, 0x4a, 0x02, 0x08, nonce]
}

async fn assert_closed(client: &mut RawClient, what: &str, code: u16, cause: &str) {
    let close = client.expect_close().await;
    assert_eq!((close.code, close.cause()), (code, cause), "{what}");
}

#[tokio::test]
async fn broken_rules_close_with_the_code_they_earn() {
    let gateway = Gateway::start(|_| {}).await;
    let violation = (1002, "websocket_violation");
    let too_large = (1009, "message_too_large");
    let utf8 = (1007, "invalid_utf8");
    let many = [frame(0x02, b"x"), frame(0x00, b"x").repeat(16)].concat();
    let growing = [frame(0x02, &[0; 60_000]), frame(0x80, &[0; 6_000])].concat();
    let cases: [(&str, Vec<u8>, (u16, &str)); 17] = [
        ("unmasked", vec![0x82, 0x01, 0x00], violation),
        ("reserved bit", frame(0xc2, b"x"), violation),
        ("reserved opcode", frame(0x83, b"x"), violation),
        ("fragmented ping", frame(0x09, b"x"), violation),
        ("long ping", frame(0x89, &[0; 126]), violation),
        ("nothing to continue", frame(0x80, b"x"), violation),
        (
            "a message within another",
            [frame(0x02, b"x"), frame(0x82, b"x")].concat(),
            violation,
        ),
        (
            "length with a sign",
            vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0],
            violation,
        ),
        (
            "overlong length",
            vec![0x82, 0xfe, 0x00, 0x01, 0, 0, 0, 0],
            violation,
        ),
        (
            "close code that may not be sent",
            frame(0x88, &[0x03, 0xed]),
            violation,
        ),
        ("close with half a code", frame(0x88, &[0x03]), violation),
        (
            "close reason that is no text",
            frame(0x88, b"\x03\xe8\xff"),
            utf8,
        ),
        ("text that is no UTF-8", frame(0x81, b"\xff\xfe"), utf8),
        ("too large", frame(0x82, &[0; 65_537]), too_large),
        (
            "far too large, by its header alone",
            vec![0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4],
            too_large,
        ),
        ("too large together", growing, too_large),
        ("too many fragments", many, too_large),
    ];
    for (what, bytes, (code, cause)) in cases {
        let mut client = gateway.client("mallory").await;
        client.send_bytes(&bytes).await;
        assert_closed(&mut client, what, code, cause).await;
        // Before Hello the same holds.
        let mut client = gateway.dial().connect().await;
        client.send_bytes(&bytes).await;
        assert_closed(&mut client, what, code, cause).await;
    }
    gateway.finish().await;
}

#[tokio::test]
async fn messages_of_the_other_type_close_with_wrong_message_type() {
    let gateway = Gateway::start(|_| {}).await;
    let mut binary = gateway.client("alice").await;
    binary.send_frame(OpCode::Text, b"{}").await;
    assert_closed(&mut binary, "text", 1003, "wrong_message_type").await;
    let mut text = gateway.json_client("alice").await;
    text.send_frame(OpCode::Binary, b"{}").await;
    assert_closed(&mut text, "binary", 1003, "wrong_message_type").await;
    gateway.finish().await;
}

#[tokio::test]
async fn pings_are_answered_with_their_payload() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("alice").await;
    for payload in [&b""[..], b"are you there?", &[0xff; 125]] {
        client.send_frame(OpCode::Ping, payload).await;
        let pong = client.next_frame().await;
        assert_eq!((pong.opcode, &*pong.payload), (OpCode::Pong, payload));
    }
    gateway.finish().await;
}

#[tokio::test]
async fn fragments_are_joined_with_control_frames_between() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("alice").await;
    let [start @ .., end] = ping_message(9);
    client.send_bytes(&frame(0x02, &start)).await;
    client.send_frame(OpCode::Ping, b"between").await;
    assert_eq!(client.next_frame().await.payload, "between");
    client.send_bytes(&frame(0x00, b"")).await;
    client.send_bytes(&frame(0x80, &[end])).await;
    assert_eq!(client.pong().await.nonce, 9);
    gateway.finish().await;
}

#[tokio::test]
async fn messages_may_come_in_any_pieces() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("alice").await;
    let three: Vec<u8> = (1..=3)
        .flat_map(|nonce| frame(0x82, &ping_message(nonce)))
        .collect();
    for byte in &three {
        client.send_bytes(&[*byte]).await;
    }
    client.send_bytes(&three).await;
    for nonce in [1, 2, 3, 1, 2, 3] {
        assert_eq!(client.pong().await.nonce, nonce);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn messages_up_to_the_limit_are_taken() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("alice").await;
    let event = testkit::publish(1, "room.1", vec![7; 65_000]);
    client.subscribe(9, "room.1").await;
    client.send(event).await;
    let mut lengths = Vec::new();
    while lengths.is_empty() {
        if let wire::client::server_event::Event::Publication(it) = client.next_event().await {
            lengths.push(it.payload.len());
        }
    }
    assert_eq!(lengths, [65_000]);
    gateway.finish().await;
}

#[tokio::test]
async fn a_client_that_closes_is_answered_and_let_go() {
    let gateway = Gateway::start(|_| {}).await;
    for payload in [
        &b""[..],
        b"\x03\xe8",
        b"\x03\xe9going away",
        b"\x0f\xa0mine",
    ] {
        let mut client = gateway.client("alice").await;
        client.send_frame(OpCode::Close, payload).await;
        // What follows a Close frame is not looked at.
        let _ = client.try_send_bytes(b"\x00garbage").await;
        let answer = client.next_frame().await;
        assert_eq!((answer.opcode, answer.close().0), (OpCode::Close, 1000));
        client.expect_end().await;
    }
    gateway.finish().await;
}

#[tokio::test]
async fn silent_links_are_pinged_and_live_while_they_answer() {
    let gateway = Gateway::start(|config| config.heartbeat = Duration::from_millis(200)).await;
    let mut client = gateway.client("alice").await;
    for _ in 0..4 {
        let ping = client.next_frame().await;
        assert_eq!(ping.opcode, OpCode::Ping);
        client.send_frame(OpCode::Pong, &ping.payload).await;
    }
    client.send(ping(1)).await;
    assert_eq!(client.pong().await.nonce, 1);
    client.leave().await;
    gateway.finish().await;
}

#[tokio::test]
async fn dead_links_are_closed_with_idle_timeout() {
    let gateway = Gateway::start(|config| config.heartbeat = Duration::from_millis(200)).await;
    let mut client = gateway.client("alice").await;
    assert_eq!(client.next_frame().await.opcode, OpCode::Ping);
    // Answers nothing until it is closed.
    let close = client.expect_close().await;
    assert_eq!((close.code, close.cause()), (4100, "idle_timeout"));
    let retry_after_ms = close.closing.map(|closing| closing.retry_after_ms);
    assert!(retry_after_ms > Some(0), "clients may come back");
    gateway.finish().await;
}

#[tokio::test]
async fn an_end_right_behind_input_is_noticed() {
    let gateway = Gateway::start(|config| config.max_connections = 20).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(gateway.client("alice").await);
    }
    for client in &mut clients {
        client.send(ping(1)).await;
        client.half_close().await;
    }
    for client in &mut clients {
        let frame = client.next_frame_or_end().await;
        assert!(frame.is_none_or(|frame| frame.opcode == OpCode::Binary));
    }
    eventually("every place is free", async || {
        gateway.dial().try_connect().await.is_ok()
    })
    .await;
    drop(clients);
    gateway.drain().await;
}
