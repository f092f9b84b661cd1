//! What control planes do for gateways that died.

use std::time::Duration;

use registry::{GATEWAY_LOST, Reaper};

use crate::stage::Stage;

#[tokio::test(start_paused = true)]
async fn a_dead_gateways_connections_are_told_once_however_many_bury_it() {
    let stage = Stage::set().await;
    let (dead, lives) = (stage.gateway("dead"), stage.gateway("lives"));
    for slot in 0..1_000 {
        let mut record = dead.record(slot, &format!("user{slot}"));
        record.entry.labels.insert("tier".into(), "gold".into());
        dead.registrar.opened(record, None);
    }
    lives.registrar.opened(lives.record(1, "ann"), None);
    stage
        .until("all are told", async || stage.told().len() == 1_001)
        .await;
    for _ in 0..2 {
        stage
            .scope
            .spawn_cancellable("reaper", Reaper::new(stage.bus.clone()).run());
    }
    dead.die();
    stage
        .until("it is buried", async || {
            stage.count("tg_gateways").await == 1
        })
        .await;
    assert_eq!(stage.count("tg_registry").await, 1);
    assert_eq!(stage.count("tg_labels").await, 0);
    for (connection, told) in stage.told() {
        let expected: &[&str] = match connection.starts_with("dead") {
            true => &["opened", GATEWAY_LOST],
            false => &["opened"],
        };
        assert_eq!(told, expected, "{connection}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_control_plane_leaves_half_done_the_next_finishes() {
    let stage = Stage::set().await;
    let dead = stage.gateway("dead");
    for slot in 0..200 {
        dead.registrar.opened(dead.record(slot, "ann"), None);
    }
    stage
        .until("all are told", async || stage.told().len() == 200)
        .await;
    dead.die();
    let first = stage
        .scope
        .spawn_cancellable("reaper", Reaper::new(stage.bus.clone()).run());
    stage
        .until("it has begun", async || {
            stage.count("tg_registry").await < 200
        })
        .await;
    first.abort();
    stage
        .scope
        .spawn_cancellable("reaper", Reaper::new(stage.bus.clone()).run());
    stage
        .until("it is buried", async || {
            stage.count("tg_gateways").await == 0
        })
        .await;
    assert_eq!(stage.count("tg_registry").await, 0);
    assert!(
        stage
            .told()
            .values()
            .all(|told| told == &["opened", GATEWAY_LOST])
    );
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_answers_is_not_buried_however_still_its_entry_stands() {
    let stage = Stage::set().await;
    let gateway = stage.gateway("gw1");
    gateway.registrar.opened(gateway.record(1, "ann"), None);
    stage
        .until("it is told", async || stage.told().len() == 1)
        .await;
    stage
        .until("it beats", async || stage.count("tg_gateways").await == 1)
        .await;
    gateway.fall_silent();
    stage
        .scope
        .spawn_cancellable("reaper", Reaper::new(stage.bus.clone()).run());
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(stage.count("tg_gateways").await, 1);
    assert_eq!(stage.count("tg_registry").await, 1);
}
