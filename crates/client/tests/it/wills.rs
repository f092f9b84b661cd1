//! Wills: armed, taken back, and armed again for another session.

use std::time::Duration;

use client::ErrorCode;
use wire::{
    CloseCause,
    client::{Limits, Welcome, client_event, server_event::Event},
};

use crate::scripted::{Connection, Gateway, accepted, connected, refusal};

const GRACE: Duration = Duration::from_secs(5);

/// The next event, which arms a will with this payload; its id.
async fn armed(connection: &mut Connection, payload: &str) -> u32 {
    match connection.expect().await {
        client_event::Event::ArmWill(will) => {
            assert_eq!((&*will.route, will.grace_ms), ("orders.cancel", 5_000));
            assert_eq!(will.payload, payload.as_bytes());
            will.id
        }
        other => panic!("not an ArmWill: {other:?}"),
    }
}

async fn disarmed(connection: &mut Connection) -> u32 {
    match connection.expect().await {
        client_event::Event::DisarmWill(disarm) => disarm.id,
        other => panic!("not a DisarmWill: {other:?}"),
    }
}

/// The client's next connection, welcomed to this session.
async fn welcomed(gateway: &mut Gateway, session: &str) -> Connection {
    let mut connection = gateway.accept().await;
    let hello = connection.expect().await;
    assert!(matches!(hello, client_event::Event::Hello(_)));
    let welcome = Welcome {
        session_id: session.to_owned(),
        ..Welcome::default()
    };
    connection.send([Event::Welcome(welcome)]).await;
    connection
}

#[tokio::test(start_paused = true)]
async fn a_will_is_armed_again_for_another_session_only() {
    let (mut gateway, mut connection, client) = connected(Limits::default()).await;
    let (arming, ()) = tokio::join!(client.arm_will("orders.cancel", "all", GRACE), async {
        let id = armed(&mut connection, "all").await;
        connection.send([accepted(id, 0)]).await;
    });
    arming.expect("accepted");
    connection.close(CloseCause::IdleTimeout, 0).await;
    // The scripted gateway's first session is "s".
    let mut same = welcomed(&mut gateway, "s").await;
    assert!(same.is_quiet().await, "the cluster has it");
    same.close(CloseCause::IdleTimeout, 0).await;
    let mut other = welcomed(&mut gateway, "t").await;
    let id = armed(&mut other, "all").await;
    other.send([accepted(id, 0)]).await;
    let (disarming, ()) = tokio::join!(client.disarm_will(), async {
        let id = disarmed(&mut other).await;
        other.send([accepted(id, 0)]).await;
    });
    disarming.expect("accepted");
    other.close(CloseCause::IdleTimeout, 0).await;
    let mut third = welcomed(&mut gateway, "u").await;
    assert!(third.is_quiet().await, "it was taken back");
}

#[tokio::test(start_paused = true)]
async fn an_order_that_was_not_answered_is_given_again() {
    let (mut gateway, mut connection, client) = connected(Limits::default()).await;
    let (arming, ()) = tokio::join!(client.arm_will("orders.cancel", "all", GRACE), async {
        armed(&mut connection, "all").await;
        connection.close(CloseCause::IdleTimeout, 0).await;
        let mut next = welcomed(&mut gateway, "s").await;
        let id = armed(&mut next, "all").await;
        next.send([accepted(id, 0)]).await;
    });
    arming.expect("accepted");
}

#[tokio::test(start_paused = true)]
async fn taking_back_waits_for_the_end_of_a_firing() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let (disarming, ()) = tokio::join!(client.disarm_will(), async {
        for code in [ErrorCode::InProgress, ErrorCode::WillFired] {
            let id = disarmed(&mut connection).await;
            connection.send([refusal(id, code)]).await;
        }
    });
    let error = disarming.expect_err("too late");
    assert_eq!(error.code(), Some(ErrorCode::WillFired));
}
