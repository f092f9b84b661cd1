//! What a gateway does for its clients.

use std::time::Duration;

use bus::{BusExt, Pattern, Table};
use bytes::Bytes;
use prost::Message;
use tokio::time::sleep;
use wills::WillError;
use wire::{
    control::{
        WillEventKind::{Armed, Cancelled, Fired, Lost, Refreshed},
        WillState,
    },
    gateway::{Will, will::State},
};

use crate::stage::{GRACE, Stage, will};

#[tokio::test(start_paused = true)]
async fn the_same_again_is_the_same_will_and_another_takes_its_place() {
    let stage = Stage::set().await;
    stage.arm(1).await;
    let first = wills::list(&*stage.bus, None).await.expect("there");
    stage.arm(1).await;
    let again = wills::list(&*stage.bus, None).await.expect("there");
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].will_id, first[0].will_id);
    let mut other = will(1);
    other.payload = Bytes::from_static(b"something else");
    stage.armory.arm(other).await.expect("armed");
    let replaced = wills::list(&*stage.bus, None).await.expect("there");
    assert_eq!(replaced.len(), 1);
    assert_ne!(replaced[0].will_id, first[0].will_id);
    assert_eq!(stage.told(1), [Armed, Refreshed, Cancelled, Armed]);
}

#[tokio::test(start_paused = true)]
async fn a_will_that_was_taken_back_is_not_fired() {
    let stage = Stage::set().await;
    let orders = stage.workers(|| Some(Ok(Bytes::new())));
    stage.keeper();
    stage.connect(1, 1);
    stage.arm(1).await;
    stage.disarm(1).await.expect("taken back");
    stage.close(1, 1, "closed_by_peer");
    sleep(20 * GRACE).await;
    assert_eq!(orders.of(1), 0);
    assert_eq!(stage.told(1), [Armed, Cancelled]);
    stage.disarm(1).await.expect("there is none");
}

#[tokio::test(start_paused = true)]
async fn who_takes_back_what_was_fired_is_told_so_until_another_is_armed() {
    let stage = Stage::set().await;
    let orders = stage.workers(|| Some(Ok(Bytes::new())));
    stage.keeper();
    stage.connect(1, 1);
    stage.arm(1).await;
    stage.close(1, 1, "connection_lost");
    stage
        .until("it is fired", || stage.told(1).len() == 3)
        .await;
    sleep(GRACE).await;
    assert_eq!(orders.of(1), 1);
    for _ in 0..2 {
        assert_eq!(stage.disarm(1).await, Err(WillError::Fired));
    }
    stage.connect(1, 2);
    stage.arm(1).await;
    stage.disarm(1).await.expect("taken back");
    assert_eq!(stage.told(1), [Armed, Lost, Fired, Armed, Cancelled]);
}

#[tokio::test(start_paused = true)]
async fn wills_are_listed_by_user() {
    let stage = Stage::set().await;
    for session in [1, 2, 3] {
        stage.arm(session).await;
    }
    let all = wills::list(&*stage.bus, None).await.expect("there");
    assert_eq!(all.len(), 3);
    assert_eq!(all[0].state(), WillState::Armed);
    let user = will(2).user;
    let own = wills::list(&*stage.bus, Some(&user)).await.expect("there");
    assert_eq!(own.len(), 1);
    assert_eq!(own[0].user, user.as_str());
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_back_is_kept_as_such_where_a_crash_could_bring_it_back() {
    let stage = Stage::set().await;
    stage.connect(1, 1);
    stage.arm(1).await;
    let kept = async || {
        let all = Pattern::new(">").expect("valid");
        let entries = stage.bus.look_up(Table("tg_wills"), vec![all]).await;
        let entries = entries.expect("it is there");
        let wills = entries.iter().map(|entry| Will::decode(&*entry.value));
        wills.collect::<Result<Vec<_>, _>>().expect("wills")
    };
    for _ in 0..2 {
        stage.disarm(1).await.expect("taken back");
        let wills = kept().await;
        assert_eq!(wills.len(), 1);
        assert!(matches!(wills[0].state, Some(State::Cancelled(_))));
        assert!(wills[0].payload.is_empty());
    }
    let listed = wills::list(&*stage.bus, None).await.expect("it is there");
    assert!(listed.is_empty());
    stage.arm(1).await;
    assert_eq!(kept().await[0].state, None);
}

#[tokio::test(start_paused = true)]
async fn what_is_armed_for_long_outlives_the_age_of_its_table() {
    let stage = Stage::set().await;
    stage.keeper();
    stage.connect(1, 1);
    stage.arm(1).await;
    sleep(Duration::from_secs(3 * 24 * 60 * 60)).await;
    let listed = wills::list(&*stage.bus, None).await.expect("it is there");
    assert_eq!(listed.len(), 1);
}
