//! The drain that moves clients: paced, with a ticket, and with an end.

use std::time::Duration;

use edge::{DrainPlan, DrainStage};
use testkit::{DEADLINE, RawClient, hello_again, request, within};
use wire::{
    client::server_event::Event,
    gateway::{Drain, command::Command, command_reply::Reply},
};

use crate::gateway::Gateway;

/// Clients move as fast as they can, and have all the time they need.
const PLAN: DrainPlan = DrainPlan {
    settle: Duration::ZERO,
    rate: 1_000,
    window: DEADLINE,
};

async fn gateway(plan: DrainPlan) -> Gateway {
    Gateway::start(|config| {
        config.drain = plan;
        config.shards = 2;
    })
    .await
}

/// A welcomed client that follows Migrate.
async fn mover(gateway: &Gateway, user: &str) -> RawClient {
    let mut client = gateway.dial().connect().await;
    client
        .send(hello_again(&gateway.tokens.token(user), ""))
        .await;
    assert!(matches!(client.next_event().await, Event::Welcome(_)));
    client
}

#[tokio::test]
async fn every_client_is_asked_once_and_the_drain_ends_when_the_last_has_gone() {
    let gateway = gateway(PLAN).await;
    let mut clients = Vec::new();
    for number in 0..50 {
        clients.push(mover(&gateway, &format!("user-{number}")).await);
    }
    gateway.drain.begin();
    for client in &mut clients {
        let Event::Migrate(migrate) = client.next_event().await else {
            panic!("not asked to move");
        };
        assert!(!migrate.session_ticket.is_empty());
        assert!(migrate.deadline_ms > 0);
    }
    assert_eq!(gateway.drain.stage(), DrainStage::Moving);
    for mut client in clients {
        // A second Migrate would come before the answer to our close.
        client.send_close(1000, "").await;
        assert_eq!(client.expect_close().await.code, 1000);
    }
    within("the end", gateway.drain.ended()).await;
    gateway.drain().await;
}

#[tokio::test]
async fn clients_that_can_not_move_are_closed_in_their_slot_after_their_answers() {
    let gateway = gateway(PLAN).await;
    let (taken, held) = tokio::sync::oneshot::channel();
    let taken = parking_lot::Mutex::new(Some(taken));
    gateway.serve("hold", move |request| {
        let taken = taken.lock().take().expect("one request");
        assert!(taken.send(request.responder).is_ok());
    });
    let mut idle = gateway.client("idle").await;
    let mut busy = gateway.client("busy").await;
    busy.send(request(1, "hold", "")).await;
    let responder = within("the request", held).await.expect("it comes");
    gateway.drain.begin();
    let close = idle.expect_close().await;
    assert_eq!((close.code, close.cause()), (4200, "draining"));
    assert_eq!(close.closing.map(|closing| closing.retry_after_ms), Some(0));
    responder.reply(Ok("done".into()));
    assert!(matches!(busy.next_event().await, Event::Response(_)));
    assert_eq!(busy.expect_close().await.cause(), "draining");
    within("the end", gateway.drain.ended()).await;
    gateway.drain().await;
}

#[tokio::test]
async fn who_has_not_moved_when_the_window_ends_is_closed_and_told_when_to_come_back() {
    let plan = DrainPlan {
        rate: 10,
        window: Duration::from_millis(300),
        ..PLAN
    };
    let gateway = gateway(plan).await;
    let mut clients = Vec::new();
    for number in 0..40 {
        clients.push(mover(&gateway, &format!("user-{number}")).await);
    }
    gateway.drain.begin();
    let (mut asked, mut waits) = (0, Vec::new());
    for client in &mut clients {
        loop {
            match client.next_event().await {
                Event::Migrate(_) => asked += 1,
                Event::Closing(closing) => break waits.push(closing.retry_after_ms),
                other => panic!("unexpected {other:?}"),
            }
        }
    }
    // 10 a second for 0.3 s: the ceiling holds, whatever is left.
    assert!(asked <= 4, "{asked} were asked");
    // 40 at 10 a second: within four seconds, and not all at once.
    assert!(waits.iter().all(|wait| *wait <= 4_000), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait > 1_000), "{waits:?}");
    gateway.drain().await;
}

#[tokio::test]
async fn new_connections_are_refused_while_clients_move() {
    let gateway = gateway(PLAN).await;
    let mut stays = mover(&gateway, "stays").await;
    gateway.drain.begin();
    assert!(matches!(stays.next_event().await, Event::Migrate(_)));
    let refused = gateway.dial().refused().await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "draining"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("retry-after-ms"), None, "no place in a line");
    gateway.cancel();
    assert_eq!(stays.expect_close().await.cause(), "draining");
    gateway.drain().await;
}

#[tokio::test]
async fn the_control_plane_can_begin_it_and_again_changes_nothing() {
    let gateway = gateway(PLAN).await;
    let mut client = mover(&gateway, "ann").await;
    for _ in 0..2 {
        let reply = gateway.command(Command::Drain(Drain {})).await;
        let Reply::Draining(draining) = reply else {
            panic!("unexpected {reply:?}");
        };
        assert_eq!(draining.connections, 1);
    }
    within("it begins", gateway.drain.begun()).await;
    assert!(matches!(client.next_event().await, Event::Migrate(_)));
    client.leave().await;
    within("the end", gateway.drain.ended()).await;
    gateway.drain().await;
}
