//! What a gateway does for its clients.

use bytes::Bytes;
use tokio::time::sleep;
use wills::WillError;
use wire::control::{
    WillEventKind::{Armed, Cancelled, Fired, Lost, Refreshed},
    WillState,
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
