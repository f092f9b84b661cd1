//! Defects that were found, or looked for, in a review, and must not come back.

use std::time::Duration;

use bus::Incoming;
use hub::OutboxLimits;
use testkit::{DEADLINE, RawClient, eventually, ping, request, within};
use tokio::io::AsyncReadExt;
use wire::{
    client::ErrorCode,
    gateway::{
        CountConnections, Deliver, Level, Target, command::Command, command_reply::Reply, target,
    },
    websocket::OpCode,
};

use crate::gateway::Gateway;

fn tight(items: usize, bytes: usize) -> OutboxLimits {
    OutboxLimits { bytes, items }
}

async fn count(gateway: &Gateway) -> u64 {
    let count = Command::CountConnections(CountConnections { target: None });
    match gateway.command(count).await {
        Reply::ConnectionCount(count) => count.connections,
        other => panic!("unexpected {other:?}"),
    }
}

async fn deliver(gateway: &Gateway, user: &str, bytes: usize, await_written: bool) -> Level {
    let deliver = Deliver {
        target: Some(Target {
            target: Some(target::Target::User(user.to_owned())),
        }),
        payload: vec![0; bytes].into(),
        await_level: if await_written {
            Level::Written.into()
        } else {
            Level::Enqueued.into()
        },
        ..Deliver::default()
    };
    match gateway.command(Command::Deliver(deliver)).await {
        Reply::Delivered(delivered) => delivered.receipts[0].level(),
        other => panic!("unexpected {other:?}"),
    }
}

async fn assert_served(client: &mut RawClient) {
    client.send(ping(77)).await;
    assert_eq!(client.pong().await.nonce, 77);
}

/// While a window is full the socket is left alone. Once the connection is being
/// closed, what waits there must be taken all the same: the peer's own end stands
/// behind it.
#[tokio::test]
async fn a_peer_that_flooded_behind_a_full_window_can_still_close_in_order() {
    let gateway = Gateway::start(|config| config.close_timeout = 3 * DEADLINE).await;
    gateway.serve("hold", std::mem::forget);
    let mut client = gateway.client("alice").await;
    let batch: Vec<_> = (1..=4).map(|id| request(id, "hold", "")).collect();
    client.send_events(&batch).await;
    // Its shard has read them when it answers this.
    assert_eq!(count(&gateway).await, 1);
    let mut ping = Vec::new();
    wire::websocket::client_frame(OpCode::Ping, [1, 2, 3, 4], b"", &mut ping);
    // More than both kernels' buffers take.
    let flood = ping.repeat(8 << 20);
    let drain = async {
        // Meanwhile the flood has come to a halt.
        for _ in 0..50 {
            assert_eq!(count(&gateway).await, 1);
        }
        gateway.cancel();
    };
    let (sent, ()) = tokio::join!(client.try_send_bytes(&flood), drain);
    sent.expect("the gateway takes it all");
    assert_eq!(client.expect_close().await.cause(), "draining");
    gateway.drain().await;
}

#[tokio::test]
async fn a_client_that_reads_may_ask_for_more_in_one_message_than_its_outbox_holds() {
    let gateway = Gateway::start(|config| config.outbox = tight(64, 1 << 20)).await;
    let mut client = gateway.client("alice").await;
    let batch: Vec<_> = (0..1_500).map(ping).collect();
    client.send_events(&batch).await;
    for nonce in 0..1_500 {
        assert_eq!(client.pong().await.nonce, nonce);
    }
    let mut frame = Vec::new();
    wire::websocket::client_frame(OpCode::Ping, [1, 2, 3, 4], b"", &mut frame);
    client.send_bytes(&frame.repeat(1_500)).await;
    for _ in 0..1_500 {
        assert_eq!(client.next_frame().await.opcode, OpCode::Pong);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn answers_that_come_together_do_not_overflow_a_client_that_reads() {
    let gateway = Gateway::start(|config| config.outbox = tight(1_000, 100 << 10)).await;
    gateway.serve("echo", |request: Incoming| {
        let answer = vec![0; 50 << 10].into();
        request.responder.reply(Ok(answer));
    });
    let mut client = gateway.client("alice").await;
    let batch: Vec<_> = (1..=4).map(|id| request(id, "echo", "")).collect();
    client.send_events(&batch).await;
    for id in 1..=4 {
        assert_eq!(client.response().await.id, id);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn what_no_outbox_can_hold_is_refused_and_costs_nobody_the_connection() {
    let gateway = Gateway::start(|config| config.outbox = tight(1_000, 32 << 10)).await;
    gateway.serve("echo", |request: Incoming| {
        let answer = vec![0; 64 << 10].into();
        request.responder.reply(Ok(answer));
    });
    let mut client = gateway.client("alice").await;
    for await_written in [false, true] {
        let level = deliver(&gateway, "alice", 64 << 10, await_written).await;
        assert_eq!(level, Level::Refused);
    }
    client.send(request(1, "echo", "")).await;
    let (id, failure) = client.failed_response().await;
    assert_eq!((id, failure.code()), (1, ErrorCode::WorkerError));
    assert_served(&mut client).await;
    gateway.finish().await;
}

#[tokio::test]
async fn receipts_of_a_full_outbox_say_refused() {
    let gateway = Gateway::start(|config| {
        config.send_buffer_bytes = 4_096;
        config.outbox = tight(1_000, 64 << 10);
        config.close_timeout = 3 * DEADLINE;
    })
    .await;
    let mut client = gateway.dial().receive_buffer(4_096).connect().await;
    client.hello(&gateway.tokens.token("slow")).await;
    let mut level = Level::Enqueued;
    for _ in 0..10_000 {
        level = deliver(&gateway, "slow", 10_000, false).await;
        if level != Level::Enqueued {
            break;
        }
    }
    assert_eq!(level, Level::Refused);
    let close = client.expect_close().await;
    assert_eq!(close.cause(), "slow_consumer");
    gateway.finish().await;
}

#[tokio::test]
async fn sockets_beyond_the_cap_take_few_descriptors() {
    let gateway = Gateway::start(|config| {
        config.max_connections = 1;
        config.reserved_descriptors = 8;
        config.handshake_timeout = Duration::from_secs(600);
    })
    .await;
    let mut client = gateway.client("alice").await;
    let mut silent = [gateway.dial().open().await, gateway.dial().open().await];
    let mut third = gateway.dial().open().await;
    // The first two wait for their refusal, which they would have to ask for.
    let end = within("the end", third.read(&mut [0])).await;
    assert!(!matches!(end, Ok(1..)), "{end:?}");
    for stream in &mut silent {
        let nothing = stream.try_read(&mut [0]).expect_err("it is kept");
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    }
    drop(silent);
    eventually("others are refused by name again", async || {
        let mut stream = gateway.dial().open().await;
        let request = gateway.dial().text();
        let asked = tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await;
        let mut answer = [0; 12];
        asked.is_ok()
            && within("an answer", stream.read_exact(&mut answer))
                .await
                .is_ok()
            && answer == *b"HTTP/1.1 503"
    })
    .await;
    assert_served(&mut client).await;
    client.leave().await;
    gateway.drain().await;
}
