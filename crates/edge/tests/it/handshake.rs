//! From TCP connect to Welcome: who gets in, who does not, and how they learn.

use std::time::Duration;

use testkit::{Dial, HttpAnswer, RawClient, Tokens, eventually, hello, ping, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::interval,
};
use wire::{Subprotocol, websocket::OpCode};

use crate::gateway::Gateway;

/// Short enough to wait for.
const SOON: Duration = Duration::from_millis(300);

async fn assert_refused(dial: Dial, status: u16, code: &str) -> HttpAnswer {
    let answer = dial.refused().await;
    assert_eq!((answer.status, answer.code()), (status, code.to_owned()));
    answer
}

/// Awaits the end of a socket that the gateway has nothing more to say to.
async fn assert_dropped(mut stream: TcpStream) {
    let mut answer = Vec::new();
    // A reset is an end too.
    let _ = within("the socket's end", stream.read_to_end(&mut answer)).await;
    assert!(
        !answer.starts_with(b"HTTP/1.1 101"),
        "{:?}",
        String::from_utf8_lossy(&answer)
    );
}

/// Sends `bytes` for ever, one every few milliseconds, until the gateway has
/// enough.
async fn drip(stream: &mut TcpStream, bytes: &[u8]) {
    let mut ticks = interval(Duration::from_millis(10));
    let dripping = async {
        for byte in bytes.iter().cycle() {
            ticks.tick().await;
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    };
    within("the end of a slow handshake", dripping).await;
}

#[tokio::test]
async fn requests_that_are_no_upgrade_to_our_websocket_are_refused_by_name() {
    let gateway = Gateway::start(|_| {}).await;
    let dial = || gateway.dial();
    assert_refused(dial().offering("mqtt, soap"), 400, "unknown_subprotocol").await;
    assert_refused(dial().target("/nowhere"), 404, "not_found").await;
    // Only for conformance suites.
    assert_refused(dial().target("/v1/echo"), 404, "not_found").await;
    assert_refused(dial().method("POST"), 405, "method_not_allowed").await;
    let plain = dial().without("Upgrade").header("Connection", "close");
    let answer = assert_refused(plain, 426, "not_a_websocket_request").await;
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    let old = dial().header("Sec-WebSocket-Version", "8");
    let answer = assert_refused(old, 426, "unsupported_websocket_version").await;
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    for key in ["", "short==", "not sixteen bytes in base64"] {
        let dial = dial().header("Sec-WebSocket-Key", key);
        assert_refused(dial, 400, "invalid_websocket_key").await;
    }
    assert_refused(
        dial().without("Sec-WebSocket-Key"),
        400,
        "invalid_websocket_key",
    )
    .await;
    gateway.finish().await;
}

#[tokio::test]
async fn browsers_from_elsewhere_are_refused() {
    let gateway = Gateway::start(|config| {
        config.allowed_origins = vec!["https://app.example".to_owned()];
    })
    .await;
    let from = |origin| gateway.dial().header("Origin", origin);
    assert_refused(from("https://evil.example"), 403, "origin_not_allowed").await;
    assert_refused(from("null"), 403, "origin_not_allowed").await;
    for origin in ["https://app.example", "http://gateway"] {
        from(origin).connect().await;
    }
    gateway.finish().await;
}

#[tokio::test]
async fn who_offers_no_subprotocol_gets_the_default_if_there_is_one() {
    let gateway =
        Gateway::start(|config| config.default_subprotocol = Some(Subprotocol::Protobuf)).await;
    let mut client = gateway.dial().offering_nothing().connect().await;
    client.hello(&gateway.tokens.token("alice")).await;
    gateway.finish().await;

    let gateway = Gateway::start(|config| config.default_subprotocol = None).await;
    assert_refused(
        gateway.dial().offering_nothing(),
        400,
        "unknown_subprotocol",
    )
    .await;
    gateway.finish().await;
}

#[tokio::test]
async fn the_first_known_subprotocol_is_taken() {
    let gateway = Gateway::start(|_| {}).await;
    let offer = "mqtt, tidegate.v1.json, tidegate.v1.protobuf";
    let mut client = gateway.dial().offering(offer).connect().await;
    assert_eq!(client.subprotocol(), Subprotocol::Json);
    client.hello(&gateway.tokens.token("alice")).await;
    gateway.finish().await;
}

#[tokio::test]
async fn what_is_no_http_is_dropped() {
    let gateway = Gateway::start(|_| {}).await;
    let endless_head = format!("GET /v1/ws HTTP/1.1\r\nX: {}", "x".repeat(64 << 10));
    for garbage in ["\0\u{1}\u{2}\r\n\r\n", "hello?\r\n\r\n", &endless_head] {
        let mut stream = gateway.dial().open().await;
        // The gateway may hang up in the middle.
        let _ = stream.write_all(garbage.as_bytes()).await;
        assert_dropped(stream).await;
    }
    gateway.finish().await;
}

#[tokio::test]
async fn token_in_the_upgrade_request_stands_for_hello() {
    let gateway = Gateway::start(|_| {}).await;
    let token = gateway.tokens.token("alice");
    for dial in [
        gateway.dial().bearer(&token),
        gateway.dial().query_token(&token),
        gateway.dial().target("/v1/ws?app=7").query_token(&token),
    ] {
        let mut client = dial.connect().await;
        assert_eq!(client.welcome().await.user, "alice");
        client.send(ping(7)).await;
        assert_eq!(client.pong().await.nonce, 7);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn one_hello_without_a_token_may_follow_the_token_of_the_upgrade() {
    let gateway = Gateway::start(|_| {}).await;
    let token = gateway.tokens.token("alice");
    let mut client = gateway.dial().bearer(&token).connect().await;
    let first = client.welcome().await;
    let second = client.hello("").await;
    assert_eq!(first.connection_id, second.connection_id);
    assert_eq!(first.session_id, second.session_id);
    client.send(hello("")).await;
    let close = client.expect_close().await;
    assert_eq!((close.code, close.cause()), (4005, "protocol_violation"));
    gateway.finish().await;
}

#[tokio::test]
async fn bad_tokens_close_with_invalid_token() {
    let gateway = Gateway::start(|_| {}).await;
    let bad = [
        gateway.tokens.expired("alice"),
        Tokens::new().token("alice"),
        "not.a.token".to_owned(),
        "x".repeat(9_000),
    ];
    for token in &bad {
        let mut clients = vec![gateway.dial().connect().await];
        clients[0].send(hello(token)).await;
        clients.push(gateway.dial().bearer(token).connect().await);
        clients.push(gateway.dial().query_token(token).connect().await);
        for mut client in clients {
            let close = client.expect_close().await;
            assert_eq!((close.code, close.cause()), (4002, "invalid_token"));
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn what_comes_right_behind_the_request_is_not_lost() {
    let gateway = Gateway::start(|_| {}).await;
    let token = gateway.tokens.token("alice");
    // Ping{nonce: 1}, behind a token that is verified by then.
    let mut early = Vec::new();
    let message = [0x0a, 0x04, 0x4a, 0x02, 0x08, 0x01];
    wire::websocket::client_frame(OpCode::Binary, [1, 2, 3, 4], &message, &mut early);
    let mut client = gateway.dial().bearer(&token).connect_with(&early).await;
    client.welcome().await;
    assert_eq!(client.pong().await.nonce, 1);
    gateway.finish().await;
}

#[tokio::test]
async fn sockets_that_never_finish_their_request_are_dropped_at_the_deadline() {
    let gateway = Gateway::start(|config| config.handshake_timeout = SOON).await;
    let silent = gateway.dial().open().await;
    let mut slow = gateway.dial().open().await;
    let mut half = gateway.dial().open().await;
    let request = gateway.dial().text();
    let head = request.trim_end().as_bytes();
    half.write_all(head).await.expect("room");
    drip(&mut slow, &head[..head.len() / 2]).await;
    for stream in [silent, slow, half] {
        assert_dropped(stream).await;
    }
    gateway.finish().await;
}

#[tokio::test]
async fn clients_that_never_say_hello_are_closed_with_authentication_timeout() {
    let gateway = Gateway::start(|config| config.handshake_timeout = SOON).await;
    let silent = gateway.dial().connect().await;
    let mut begun = gateway.dial().connect().await;
    // The start of a frame, and no end.
    begun.send_bytes(&[0x82, 0xfe, 0x01]).await;
    let mut pinging = gateway.dial().connect().await;
    pinging.send_frame(OpCode::Ping, b"not a hello").await;
    for mut client in [silent, begun, pinging] {
        let close = client.expect_close().await;
        assert_eq!(
            (close.code, close.cause()),
            (4001, "authentication_timeout")
        );
    }
    gateway.finish().await;
}

#[tokio::test]
async fn hello_a_byte_at_a_time_is_closed_with_authentication_timeout() {
    let gateway = Gateway::start(|config| config.handshake_timeout = SOON).await;
    let mut client = gateway.dial().connect().await;
    client
        .send_bytes(&[0x82, 0xfe, 0xff, 0xff, 0, 0, 0, 0])
        .await;
    let mut ticks = interval(Duration::from_millis(10));
    let closing = async {
        // Until the gateway's Closing comes; what is sent is never a message.
        loop {
            tokio::select! {
                close = client.next_frame() => break close,
                _ = ticks.tick() => {}
            }
            let _ = client.try_send_bytes(&[0]).await;
        }
    };
    let frame = within("Closing", closing).await;
    assert_eq!(frame.opcode, OpCode::Binary);
    assert_eq!(client.expect_close().await.code, 4001);
    gateway.finish().await;
}

#[tokio::test]
async fn beyond_the_cap_clients_are_told_to_come_back_until_one_leaves() {
    let gateway = Gateway::start(|config| config.max_connections = 2).await;
    let first = gateway.client("first").await;
    let _second = gateway.client("second").await;
    let answer = assert_refused(gateway.dial(), 503, "too_many_connections").await;
    assert_eq!(answer.header("retry-after"), Some("6"));
    first.leave().await;
    let mut third: Option<RawClient> = None;
    eventually("there is a place", async || {
        third = gateway.dial().try_connect().await.ok();
        third.is_some()
    })
    .await;
    let mut third = third.expect("just connected");
    third.hello(&gateway.tokens.token("third")).await;
    third.leave().await;
    eventually("there is a place again", async || {
        gateway.dial().try_connect().await.is_ok()
    })
    .await;
    gateway.drain().await;
}

#[tokio::test]
async fn silent_sockets_hold_up_others_no_longer_than_their_deadline() {
    let gateway = Gateway::start(|config| {
        config.handshake_timeout = SOON;
        config.max_handshakes = 1;
    })
    .await;
    let silent = gateway.dial().open().await;
    gateway.serves().await;
    assert_dropped(silent).await;
    gateway.finish().await;
}

#[tokio::test]
async fn five_hundred_silent_sockets_are_dropped_and_nobody_else_suffers() {
    let gateway = Gateway::start(|config| {
        config.handshake_timeout = Duration::from_secs(3);
        config.max_connections = 510;
    })
    .await;
    let mut silent = Vec::new();
    for index in 0..500 {
        // Half of them get as far as the upgrade.
        silent.push(gateway.dial().open().await);
        if index % 2 == 0 {
            let stream = silent.last_mut().expect("just pushed");
            let request = gateway.dial().text();
            stream.write_all(request.as_bytes()).await.expect("room");
        }
    }
    gateway.serves().await;
    for mut stream in silent {
        let mut all = Vec::new();
        let end = within("the end", stream.read_to_end(&mut all)).await;
        assert!(end.is_ok() || !all.is_empty(), "{end:?}");
    }
    // Every place was given back.
    let mut clients = Vec::new();
    eventually("all places are free", async || {
        while clients.len() < 500 {
            match gateway.dial().try_connect().await {
                Ok(client) => clients.push(client),
                Err(_) => return false,
            }
        }
        true
    })
    .await;
    drop(clients);
    gateway.drain().await;
}
