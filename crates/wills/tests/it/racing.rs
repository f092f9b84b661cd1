//! Disarming against firing, with several control planes and a bus that fails.

use std::{sync::Arc, time::Duration};

use bus::BusError;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::sleep;
use wills::{Armory, WillError};
use wire::{
    SessionId,
    control::{
        WillEvent,
        WillEventKind::{Failed, Fired},
        WillOutcome,
    },
};

use crate::{
    faulty::FaultyBus,
    stage::{GRACE, Orders, Stage, will},
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

/// What goes wrong in a course, beside the bus.
#[derive(Clone, Copy)]
struct Faults {
    /// Control planes die and others start.
    deaths: bool,
    /// Workers know repetitions by their key.
    redelivers: bool,
}

async fn course(seed: u64, faults: Faults) {
    let mut random = fastrand::Rng::with_seed(seed);
    let stage = Arc::new(Stage::set().await);
    let mut chance = random.fork();
    let fails = if faults.redelivers {
        chance.u32(..50)
    } else {
        0
    };
    let chance = Mutex::new(chance);
    // An answer that is lost on the way is asked for again.
    let orders = stage.workers(move || match chance.lock().u32(..100) < fails {
        true => Some(Err(BusError::HandlerGone)),
        false => Some(Ok(Bytes::new())),
    });
    let bus = Arc::new(FaultyBus::over(stage.bus.clone(), seed));
    let mut keepers: Vec<_> = (0..3).map(|_| stage.keeper_on(bus.clone())).collect();
    sleep(Duration::from_secs(15)).await;
    for session in 0..SESSIONS {
        stage.connect(session, 1);
        let mut new = will(session);
        new.redelivers = faults.redelivers;
        stage.armory.arm(new).await.expect("armed");
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
    for _ in 0..if faults.deaths { 12 } else { 0 } {
        sleep(GRACE.mul_f64(0.3 * random.f64())).await;
        let dying = random.usize(..keepers.len());
        keepers[dying].abort();
        keepers[dying] = stage.keeper_on(bus.clone());
    }
    sleep(Duration::from_secs(120)).await;
    bus.fail(0);
    let mut told = Vec::new();
    for client in clients {
        told.push(client.await.expect("it ends"));
    }
    sleep(Duration::from_secs(240)).await;
    for (session, told) in (0..SESSIONS).zip(told) {
        check(seed, session, faults, told, &stage, &orders);
    }
}

/// What the client was told, what workers did and what the log says agree.
fn check(seed: u64, session: u32, faults: Faults, told: Told, stage: &Stage, orders: &Orders) {
    let executed = orders.of(session);
    let events = stage.events_of(session);
    let ends = |event: &&WillEvent| matches!(event.kind(), Fired | Failed);
    let ends: Vec<_> = events.iter().filter(ends).map(WillEvent::outcome).collect();
    let case = format!("seed {seed}, {session}: {told:?}, {executed} times, {ends:?}");
    match (told, faults.redelivers) {
        (Told::TakenBack, _) => assert!(executed == 0 && ends.is_empty(), "{case}"),
        (Told::Fired, true) => assert!(executed >= 1, "{case}"),
        // Who dies with a claim in his hand may have asked, or not.
        (Told::Fired, false) if ends == [WillOutcome::Unknown] => {
            assert!(executed <= 1 && faults.deaths, "{case}");
        }
        (Told::Fired, false) => assert_eq!(executed, 1, "{case}"),
    }
    let expected = usize::from(told == Told::Fired);
    assert_eq!(ends.len(), expected, "{case}");
}

async fn courses(seeds: std::ops::Range<u64>, deaths: bool, redelivers: bool) {
    for seed in seeds {
        course(seed, Faults { deaths, redelivers }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_will_is_never_both_taken_back_and_executed() {
    courses(0..20, false, false).await;
}

#[tokio::test(start_paused = true)]
async fn nor_is_it_executed_twice_when_control_planes_die() {
    courses(20..50, true, false).await;
}

#[tokio::test(start_paused = true)]
async fn where_workers_know_repetitions_what_is_fired_is_executed_for_certain() {
    courses(50..70, true, true).await;
}
