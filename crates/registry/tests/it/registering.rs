//! What a gateway writes and tells.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bus::{BusExt, Expect, Remove, Subject, Table};
use wire::UserId;

use crate::stage::Stage;

#[tokio::test(start_paused = true)]
async fn a_connection_is_found_by_user_session_and_label_until_it_ends() {
    let stage = Stage::set().await;
    let gateway = stage.gateway("gw1");
    let mut record = gateway.record(1, "ann@example.com");
    record.entry.labels.insert("tier".into(), "gold".into());
    let (user, session) = (record.user.clone(), record.session);
    let found = Arc::new(AtomicBool::new(false));
    let written = found.clone();
    let hook = Box::new(move || written.store(true, Ordering::Relaxed));
    gateway.registrar.opened(record.clone(), Some(hook));
    stage
        .until("it is told", async || !stage.told().is_empty())
        .await;

    assert!(
        found.load(Ordering::Relaxed),
        "the entry comes before the event"
    );
    let reader = &stage.reader;
    assert_eq!(reader.of_user(&user).await, Ok(vec![record.entry.clone()]));
    assert_eq!(
        reader.of_session(session).await,
        Ok(vec![record.entry.clone()])
    );
    let other = UserId::new("ann").expect("valid");
    assert_eq!(reader.of_user(&other).await, Ok(Vec::new()));
    stage
        .until("the label is known", async || {
            reader.of_label("tier", "gold").await == Ok(vec![gateway.id.clone()])
        })
        .await;

    gateway.registrar.closed(record.clone(), "closed_by_peer");
    stage
        .until("it is gone", async || stage.count("tg_registry").await == 0)
        .await;
    stage
        .until("its label too", async || {
            stage.count("tg_labels").await == 0
        })
        .await;
    assert_eq!(
        stage.told()[&record.id.to_string()],
        ["opened", "closed_by_peer"]
    );
}

#[tokio::test]
async fn what_ends_before_it_is_written_never_is_and_both_are_told() {
    let stage = Stage::set().await;
    let gateway = stage.gateway("gw1");
    // Nothing runs between the two calls on this thread.
    let record = gateway.record(1, "ann");
    gateway.registrar.opened(record.clone(), None);
    gateway.registrar.closed(record.clone(), "connection_lost");
    stage
        .until("both are told", async || {
            let told = stage.told();
            told.get(&record.id.to_string())
                .is_some_and(|words| words.len() == 2)
        })
        .await;
    assert_eq!(
        stage.told()[&record.id.to_string()],
        ["opened", "connection_lost"]
    );
    assert_eq!(stage.count("tg_registry").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_finishes_leaves_nothing() {
    let stage = Stage::set().await;
    let gateway = stage.gateway("gw1");
    let record = gateway.record(1, "ann");
    gateway.registrar.opened(record.clone(), None);
    stage
        .until("it beats", async || stage.count("tg_gateways").await == 1)
        .await;
    gateway.registrar.closed(record, "draining");
    gateway.registrar.finish(Duration::from_secs(5)).await;
    assert_eq!(stage.count("tg_gateways").await, 0);
    assert_eq!(stage.count("tg_registry").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_was_buried_by_mistake_calls_for_everything() {
    let stage = Stage::set().await;
    let id = wire::GatewayId::new("gw1").expect("valid");
    let registrar = Arc::new(registry::Registrar::new(stage.bus.clone(), id, "test", 0));
    let (runs, called) = (registrar.clone(), Arc::new(AtomicBool::new(false)));
    let announced = called.clone();
    let working = async move { runs.run(|| announced.store(true, Ordering::Relaxed)).await };
    stage.scope.spawn_cancellable("registrar", working);
    stage
        .until("it beats", async || stage.count("tg_gateways").await == 1)
        .await;
    let remove = Remove {
        table: Table("tg_gateways"),
        key: Subject::new("gw1").expect("valid"),
        expect: Expect::Anything,
    };
    stage.bus.erase(remove).await.expect("removed");
    stage
        .until("it is back", async || called.load(Ordering::Relaxed))
        .await;
    assert_eq!(stage.count("tg_gateways").await, 1);
}
