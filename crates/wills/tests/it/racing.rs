//! Disarming against firing, with several control planes and a bus that fails.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::sleep;
use wills::{Armory, WillError};
use wire::{
    SessionId,
    control::WillEventKind::{Failed, Fired},
};

use crate::{
    faulty::FaultyBus,
    stage::{GRACE, Stage, will},
};

/// Sessions in each course.
const SESSIONS: u32 = 20;

/// What a client knows at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    TakenBack,
    Fired,
}

/// Asks until there is an answer.
async fn disarm(armory: &Armory, session: u32) -> Told {
    let user = will(session).user;
    loop {
        match armory.disarm(&user, SessionId(session.into())).await {
            Ok(()) => return Told::TakenBack,
            Err(WillError::Fired) => return Told::Fired,
            Err(WillError::InProgress | WillError::Bus(_)) => {
                sleep(Duration::from_millis(300)).await;
            }
        }
    }
}

async fn course(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let stage = Arc::new(Stage::set().await);
    let orders = stage.workers(|| Some(Ok(Bytes::new())));
    let bus = Arc::new(FaultyBus::over(stage.bus.clone(), seed));
    for _ in 0..3 {
        stage.keeper_on(bus.clone());
    }
    sleep(Duration::from_secs(15)).await;
    for session in 0..SESSIONS {
        stage.connect(session, 1);
        stage.arm(session).await;
    }
    sleep(Duration::from_secs(1)).await;
    bus.fail(random.u32(..300));
    let mut clients = Vec::new();
    for session in 0..SESSIONS {
        stage.close(session, 1, "connection_lost");
        let armory = Armory::new(bus.clone());
        // Around the time at which it is due.
        let at = GRACE - Duration::from_secs(1) + Duration::from_secs(3).mul_f64(random.f64());
        let client = async move {
            sleep(at).await;
            disarm(&armory, session).await
        };
        clients.push(stage.scope.spawn("client", client));
    }
    sleep(Duration::from_secs(120)).await;
    bus.fail(0);
    for (session, client) in (0..SESSIONS).zip(clients) {
        let told = client.await.expect("it ends");
        let executed = orders.of(session);
        let expected = usize::from(told == Told::Fired);
        assert_eq!(executed, expected, "seed {seed}, {session}: {told:?}");
    }
    sleep(Duration::from_secs(120)).await;
    for session in 0..SESSIONS {
        let told = stage.told(session);
        let ends = told.iter().filter(|kind| matches!(kind, Fired | Failed));
        assert_eq!(
            ends.count(),
            orders.of(session),
            "seed {seed}, {session}: {told:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_will_is_never_both_taken_back_and_executed() {
    for seed in 0..30 {
        course(seed).await;
    }
}
