//! A gateway that is cancelled without a drain.

use std::time::Duration;

use testkit::{DEADLINE, eventually, request, within};
use tokio::net::TcpStream;
use wire::websocket::OpCode;

use crate::gateway::Gateway;

#[tokio::test]
async fn draining_tells_every_client_to_go_elsewhere_at_once() {
    // Only clients that answer end it in time.
    let gateway = Gateway::start(|config| {
        config.shards = 3;
        config.close_timeout = 3 * DEADLINE;
    })
    .await;
    gateway.serve("hold", std::mem::forget);
    let mut clients = Vec::new();
    for user in 0..12 {
        let mut client = gateway.client(&format!("user-{user}")).await;
        client.subscribe(1, "room.1").await;
        client.send(request(2, "hold", "")).await;
        clients.push(client);
    }
    clients.push(gateway.json_client("json").await);
    gateway.cancel();
    for client in &mut clients {
        let close = client.expect_close().await;
        assert_eq!((close.code, close.cause()), (4200, "draining"));
        assert_eq!(close.closing.map(|closing| closing.retry_after_ms), Some(0));
    }
    gateway.drain().await;
}

#[tokio::test]
async fn clients_that_do_not_answer_are_dropped_after_the_close_timeout() {
    let gateway = Gateway::start(|config| config.close_timeout = Duration::from_millis(100)).await;
    let mut deaf = gateway.client("deaf").await;
    let mut rude = gateway.client("rude").await;
    gateway.cancel();
    // Goes on as if nothing had happened.
    while rude.try_send_bytes(&[0x89, 0x80, 1, 2, 3, 4]).await.is_ok() {
        tokio::task::yield_now().await;
    }
    gateway.drain().await;
    // It was told all the same.
    assert_eq!(deaf.next_frame().await.opcode, OpCode::Binary);
    let close = deaf.next_frame().await;
    assert_eq!((close.opcode, close.close().0), (OpCode::Close, 4200));
    deaf.expect_end().await;
}

#[tokio::test]
async fn handshakes_under_way_do_not_hold_up_a_drain() {
    let gateway = Gateway::start(|_| {}).await;
    let silent = gateway.dial().open().await;
    let greeting = gateway.dial().connect().await;
    gateway.drain().await;
    drop((silent, greeting));
}

#[tokio::test]
async fn nobody_gets_in_once_the_gateway_drains() {
    let gateway = Gateway::start(|_| {}).await;
    let address = gateway.address;
    gateway.serves().await;
    gateway.drain().await;
    eventually("the port is closed", async || {
        within("an answer", TcpStream::connect(address))
            .await
            .is_err()
    })
    .await;
}

#[tokio::test]
async fn an_idle_gateway_drains() {
    Gateway::start(|config| config.shards = 3)
        .await
        .drain()
        .await;
}
