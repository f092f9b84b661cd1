//! Connections are sent elsewhere, one by one.

use std::time::Duration;

use edge::{DrainPlan, DrainStage};
use testkit::{eventually, within};
use tokio::net::TcpStream;
use wire::{
    client::server_event::Event,
    gateway::{Drain, Draining, GatewayStatus, Status, command::Command, command_reply::Reply},
};

use super::{AMPLE, drained, gateway, mover, reached};
use crate::gateway::Gateway;

async fn status(gateway: &Gateway) -> GatewayStatus {
    match gateway.command(Command::Status(Status {})).await {
        Reply::GatewayStatus(status) => status,
        other => panic!("expected a status, got {other:?}"),
    }
}

#[tokio::test]
async fn every_client_is_asked_once_and_the_drain_ends_when_the_last_has_gone() {
    let gateway = gateway(AMPLE, |config| config.shards = 3).await;
    let mut clients = Vec::new();
    for user in 0..20 {
        clients.push(mover(&gateway, &format!("user-{user}")).await.0);
    }
    gateway.drain.begin();
    for client in &mut clients {
        let migrate = client.migrate().await;
        assert!(!migrate.session_ticket.is_empty());
        assert!((1..=3_600_000).contains(&migrate.deadline_ms));
        assert!((1..=1000).contains(&migrate.spread_ms));
    }
    assert_eq!(gateway.drain.stage(), DrainStage::Moving);
    // Nothing but the answer comes after the first Migrate, however long one
    // stays: every shard has had its turn by the time that the last is gone.
    let mut last = clients.pop().expect("there are some");
    for client in clients {
        client.leave().await;
    }
    eventually("the others are gone", async || {
        status(&gateway).await.connections == 1
    })
    .await;
    last.send(testkit::ping(7)).await;
    assert_eq!(last.pong().await.nonce, 7);
    last.leave().await;
    drained(gateway).await;
}

#[tokio::test]
async fn the_ticket_of_migrate_takes_the_session_elsewhere() {
    let old = gateway(AMPLE, |_| {}).await;
    let new = Gateway::start_with(old.tokens.clone(), |config| {
        config.tickets = crate::tickets::shared_keys();
    })
    .await;
    let (mut client, welcome) = mover(&old, "alice").await;
    old.drain.begin();
    let migrate = client.migrate().await;
    let mut moved = new.dial().connect().await;
    let token = new.tokens.token("alice");
    moved
        .send(testkit::hello_again(&token, migrate.session_ticket))
        .await;
    assert_eq!(moved.welcome().await.session_id, welcome.session_id);
    client.leave().await;
    drained(old).await;
    new.drain().await;
}

#[tokio::test]
async fn clients_that_do_not_follow_migrate_are_closed_in_their_slot() {
    let gateway = gateway(AMPLE, |config| config.shards = 2).await;
    let mut clients = Vec::new();
    for user in 0..6 {
        clients.push(gateway.client(&format!("user-{user}")).await);
    }
    clients.push(gateway.json_client("json").await);
    gateway.drain.begin();
    for client in &mut clients {
        let close = client.expect_close().await;
        assert_eq!((close.code, close.cause()), (4200, "draining"));
        let closing = close.closing.expect("checked");
        assert!(closing.resumable);
        assert_eq!(closing.retry_after_ms, 0);
    }
    drained(gateway).await;
}

#[tokio::test]
async fn who_does_not_go_is_closed_at_the_deadline_and_told_when_to_return() {
    let plan = DrainPlan {
        window: Duration::from_millis(500),
        ..AMPLE
    };
    let gateway = gateway(plan, |config| config.shards = 2).await;
    let mut clients = Vec::new();
    for user in 0..10 {
        clients.push(mover(&gateway, &format!("user-{user}")).await.0);
    }
    gateway.drain.begin();
    let mut returns = Vec::new();
    for client in &mut clients {
        let close = client.expect_close().await;
        assert_eq!((close.code, close.cause()), (4200, "draining"));
        let closing = close.closing.expect("checked");
        assert!(closing.resumable);
        returns.push(closing.retry_after_ms);
    }
    // A thousand a second.
    returns.sort_unstable();
    assert_eq!(returns, (1..=10).collect::<Vec<_>>());
    drained(gateway).await;
}

#[tokio::test]
async fn without_a_window_nobody_is_asked_and_all_return_at_the_rate() {
    let plan = DrainPlan {
        rate: 1,
        window: Duration::ZERO,
        ..AMPLE
    };
    let gateway = gateway(plan, |config| config.shards = 2).await;
    let mut clients = Vec::new();
    for user in 0..3 {
        clients.push(mover(&gateway, &format!("user-{user}")).await.0);
    }
    gateway.drain.begin();
    let mut returns = Vec::new();
    for client in &mut clients {
        match client.next_event().await {
            Event::Closing(closing) => returns.push(closing.retry_after_ms),
            other => panic!("unexpected {other:?}"),
        }
        client.expect_close().await;
    }
    returns.sort_unstable();
    assert_eq!(returns, [1000, 2000, 3000]);
    drained(gateway).await;
}

#[tokio::test]
async fn what_is_no_client_of_ours_is_closed_in_its_slot() {
    let gateway = gateway(AMPLE, |config| config.echo = true).await;
    let mut echo = gateway.dial().target("/v1/echo").connect().await;
    echo.send_bytes(&[0x89, 0x80, 1, 2, 3, 4]).await;
    echo.next_frame().await;
    gateway.drain.begin();
    assert_eq!(echo.expect_close().await.code, 4200);
    drained(gateway).await;
}

#[tokio::test]
async fn while_it_settles_clients_are_served_and_it_is_not_ready() {
    let plan = DrainPlan {
        settle: Duration::from_secs(3600),
        ..AMPLE
    };
    let gateway = gateway(plan, |_| {}).await;
    let (mut early, _) = mover(&gateway, "early").await;
    gateway.drain.begin();
    assert_eq!(gateway.drain.stage(), DrainStage::Settling);
    gateway.serves().await;
    assert!(status(&gateway).await.draining);
    // A fast stop cuts the rest short.
    gateway.cancel();
    assert_eq!(early.expect_close().await.cause(), "draining");
    drained(gateway).await;
}

#[tokio::test]
async fn new_connections_are_refused_until_the_port_is_closed() {
    let gateway = gateway(AMPLE, |_| {}).await;
    let address = gateway.address;
    let (mut client, _) = mover(&gateway, "alice").await;
    // Accepted before, asks after.
    let waiting = gateway.dial().open().await;
    gateway.drain.begin();
    client.migrate().await;
    let answer = gateway.dial().refused().await;
    assert_eq!((answer.status, &*answer.code()), (503, "draining"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    drop(waiting);
    client.leave().await;
    within("the drain's end", gateway.drain.ended()).await;
    eventually("the port is closed", async || {
        within("an answer", TcpStream::connect(address))
            .await
            .is_err()
    })
    .await;
    drained(gateway).await;
}

#[tokio::test]
async fn the_control_plane_begins_it_too_and_repeating_changes_nothing() {
    let gateway = gateway(AMPLE, |_| {}).await;
    let (mut client, _) = mover(&gateway, "alice").await;
    let drain = || gateway.command(Command::Drain(Drain {}));
    let told = Reply::Draining(Draining { connections: 1 });
    assert_eq!(drain().await, told);
    within("the begin", gateway.drain.begun()).await;
    client.migrate().await;
    assert_eq!(drain().await, told);
    gateway.drain.begin();
    reached(&gateway, DrainStage::Moving).await;
    // Publications go on until the client leaves, and no second Migrate comes.
    client.subscribe(1, "room.1").await;
    gateway.publish("room.1", "still here").await;
    match client.next_event().await {
        Event::Publication(publication) => assert_eq!(publication.payload, "still here"),
        other => panic!("unexpected {other:?}"),
    }
    client.leave().await;
    drained(gateway).await;
}

#[tokio::test]
async fn a_gateway_without_connections_drains() {
    let gateway = gateway(AMPLE, |config| config.shards = 3).await;
    gateway.drain.begin();
    drained(gateway).await;
}

#[tokio::test]
async fn deaf_clients_do_not_hold_up_the_end() {
    let plan = DrainPlan {
        window: Duration::from_millis(50),
        ..AMPLE
    };
    let short = |config: &mut edge::EdgeConfig| config.close_timeout = Duration::from_millis(50);
    let gateway = gateway(plan, short).await;
    let (deaf, _) = mover(&gateway, "deaf").await;
    gateway.drain.begin();
    drained(gateway).await;
    drop(deaf);
}
