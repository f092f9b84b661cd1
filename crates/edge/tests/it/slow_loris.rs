//! Sockets that are slow at any stage: they keep nobody out, and they end.

use std::{net::Ipv4Addr, time::Duration};

use testkit::{DEADLINE, Dial, RawClient, eventually, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::interval,
};
use wire::{CloseCause, websocket::OpCode};

use crate::gateway::Gateway;

/// Sockets of one gateway in these tests, and those that may be unfinished.
const CONNECTIONS: usize = 40;
const UNFINISHED: usize = 10;

/// Nobody is late here; whoever goes has been shed.
async fn patient() -> Gateway {
    Gateway::start(|config| {
        config.handshake_timeout = 10 * DEADLINE;
        config.max_connections = CONNECTIONS;
        config.unfinished_percent = 25;
        config.reserved_descriptors = 8;
        config.max_handshakes = 1;
        config.admission.handshakes_per_address = 1;
    })
    .await
}

fn from(gateway: &Gateway, attacker: usize) -> Dial {
    let last = u8::try_from(attacker + 1).expect("a few");
    gateway.dial().from(Ipv4Addr::new(127, 1, 0, last))
}

/// One socket of a kind of attacker, as far as that kind goes.
async fn attack(dial: &Dial, stage: &str) -> TcpStream {
    let mut stream = dial.open().await;
    let request = dial.text();
    let half = &request.as_bytes()[..request.len() / 2];
    match stage {
        "says nothing" => {}
        "half a request" => stream.write_all(half).await.expect("room"),
        "no Hello" => stream.write_all(request.as_bytes()).await.expect("room"),
        "half a Hello" => {
            let bytes = [request.as_bytes(), &[0x82, 0xfe, 0x01]].concat();
            stream.write_all(&bytes).await.expect("room");
        }
        other => panic!("unknown {other}"),
    }
    stream
}

/// Whether the gateway has ended this socket. What it sent is let go.
async fn has_ended(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 1024];
    loop {
        let read = tokio::select! {
            biased;
            read = stream.read(&mut answer) => read,
            () = std::future::ready(()) => return false,
        };
        if matches!(read, Ok(0) | Err(_)) {
            return true;
        }
    }
}

#[tokio::test]
async fn at_every_stage_slow_sockets_make_room_for_those_who_talk() {
    for stage in ["says nothing", "half a request", "no Hello", "half a Hello"] {
        let gateway = patient().await;
        let mut slow = Vec::new();
        for attacker in 0..2 * UNFINISHED {
            slow.push(attack(&from(&gateway, attacker), stage).await);
        }
        gateway.serves().await;
        eventually("all but the newest are dropped", async || {
            let mut left = 0;
            for stream in &mut slow {
                left += usize::from(!has_ended(stream).await);
            }
            assert!(left >= UNFINISHED - 1, "{stage}: {left} are left");
            left <= UNFINISHED
        })
        .await;
        drop(slow);
        gateway.finish().await;
    }
}

#[tokio::test]
async fn who_has_many_slow_sockets_pays_before_who_has_one() {
    let gateway = patient().await;
    // Older than all of the others.
    let mut lone = attack(&from(&gateway, 0), "half a request").await;
    for _ in 0..3 * UNFINISHED {
        attack_and_forget(&gateway).await;
    }
    gateway.serves().await;
    // It is still heard.
    let request = gateway.dial().text();
    let rest = &request.as_bytes()[request.len() / 2..];
    lone.write_all(rest).await.expect("room");
    let mut status = [0; 12];
    let read = lone.read_exact(&mut status);
    within("an answer", read).await.expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 101");
    gateway.drain().await;
}

/// Leaves its socket open.
async fn attack_and_forget(gateway: &Gateway) {
    let stream = attack(&from(gateway, 7), "half a request").await;
    let stream = stream.into_std().expect("a socket");
    // Open until the process ends; a test has a few of them.
    std::mem::forget(stream);
}

#[tokio::test]
async fn a_message_that_drips_in_ends_the_connection() {
    let gateway = Gateway::start(|config| config.heartbeat = Duration::from_millis(500)).await;
    for begun in [
        // A frame of 64 KiB less one, and one that is not the last of its message.
        &[0x82, 0xfe, 0xff, 0xff, 0, 0, 0, 0][..],
        &[0x02, 0x80, 0, 0, 0, 0],
    ] {
        let mut client = gateway.client("slow").await;
        client.send_bytes(begun).await;
        let is_open_frame = begun[1] == 0xfe;
        let close = drip(&mut client, is_open_frame).await;
        assert_eq!(close.code, CloseCause::MessageTimeout.code());
    }
    gateway.finish().await;
}

/// Sends a little again and again, so that the link is never silent: bytes of the
/// frame, or pings between the fragments.
async fn drip(client: &mut RawClient, into_frame: bool) -> testkit::Close {
    let mut ticks = interval(Duration::from_millis(20));
    let dripping = async {
        loop {
            tokio::select! {
                frame = client.next_frame() => {
                    // Closing; pings are not answered.
                    if frame.opcode == OpCode::Binary {
                        return;
                    }
                }
                _ = ticks.tick() => {}
            }
            let bytes: &[u8] = match into_frame {
                true => &[0],
                false => &[0x89, 0x80, 0, 0, 0, 0],
            };
            // The gateway may have hung up.
            let _ = client.try_send_bytes(bytes).await;
        }
    };
    within("Closing", dripping).await;
    client.expect_close().await
}

#[tokio::test]
async fn who_sends_many_messages_slowly_is_left_alone() {
    let gateway = Gateway::start(|config| config.heartbeat = Duration::from_millis(500)).await;
    let mut client = gateway.client("busy").await;
    // Each in two pieces, the second with the beginning of the next, so that one is
    // unfinished at nearly any time.
    let mut frame = Vec::new();
    let ping = [0x0a, 0x04, 0x4a, 0x02, 0x08, 0x01];
    wire::websocket::client_frame(OpCode::Binary, [1, 2, 3, 4], &ping, &mut frame);
    let (head, tail) = frame.split_at(5);
    let rest = [tail, head].concat();
    let mut ticks = interval(Duration::from_millis(100));
    client.send_bytes(head).await;
    let pongs = async {
        for _ in 0..30 {
            ticks.tick().await;
            client.send_bytes(&rest).await;
            assert_eq!(client.pong().await.nonce, 1);
        }
    };
    within("30 pongs", pongs).await;
    gateway.finish().await;
}
