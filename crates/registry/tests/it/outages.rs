//! What is written and told after the bus was away.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bus::{Bus, BusExt, Pattern, Subject, Table};
use parking_lot::Mutex;
use registry::{ConnectionRecord, GATEWAY_LOST, Reaper, Registrar};

use crate::{faulty::FaultyBus, stage::Stage};

/// A gateway behind a bus that can be away, which answers calls for
/// announcements with its live connections.
struct Remote {
    bus: Arc<FaultyBus>,
    registrar: Arc<Registrar>,
    live: Arc<Mutex<Vec<ConnectionRecord>>>,
}

// === impl Remote ===

impl Remote {
    /// Has `count` connections open, all written and told.
    async fn with(stage: &Stage, count: u32) -> Self {
        let bus = Arc::new(FaultyBus::over(stage.bus.clone()));
        let shared: Arc<dyn Bus> = bus.clone();
        let id = wire::GatewayId::new("gw1").expect("valid");
        let registrar = Arc::new(Registrar::new(shared, id, "test", 0));
        let live = Arc::new(Mutex::new(Vec::<ConnectionRecord>::new()));
        let (runs, lives) = (registrar.clone(), live.clone());
        let answers: Weak<Registrar> = Arc::downgrade(&registrar);
        let announce = move || {
            let registrar = answers.upgrade().expect("it runs");
            lives
                .lock()
                .iter()
                .for_each(|record| registrar.renewed(record.clone()));
        };
        let working = async move { runs.run(announce).await };
        stage.scope.spawn_cancellable("registrar", working);
        let remote = Self {
            bus,
            registrar,
            live,
        };
        for slot in 0..count {
            remote.open(stage, slot);
        }
        stage
            .until("all are told", async || {
                stage.told().len() == usize::try_from(count).expect("small")
                    && stage.count("tg_gateways").await == 1
            })
            .await;
        remote
    }

    fn open(&self, stage: &Stage, slot: u32) {
        let record = stage.record("gw1", slot, "ann");
        self.live.lock().push(record.clone());
        self.registrar.opened(record, None);
    }

    fn close(&self, slot: u32) {
        let mut live = self.live.lock();
        let found = live.iter().position(|record| record.id.slot == slot);
        let record = live.swap_remove(found.expect("open"));
        self.registrar.closed(record, "closed_by_peer");
    }
}

#[tokio::test(start_paused = true)]
async fn what_happens_while_the_bus_is_away_is_written_and_told_in_order_afterwards() {
    let stage = Stage::set().await;
    let remote = Remote::with(&stage, 1_000).await;
    remote.bus.go_away();
    for slot in 0..500 {
        remote.close(slot);
        remote.open(&stage, 1_000 + slot);
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(stage.count("tg_registry").await, 1_000, "nothing passes");
    remote.bus.come_back();
    stage
        .until("all is told", async || {
            let told = stage.told();
            told.len() == 1_500 && told.values().map(Vec::len).sum::<usize>() == 2_000
        })
        .await;
    stage
        .until("all is written", async || {
            stage.count("tg_registry").await == 1_000
        })
        .await;
    for told in stage.told().values() {
        assert!(
            told == &["opened"] || told == &["opened", "closed_by_peer"],
            "{told:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn entries_that_the_bus_lost_while_it_was_away_are_written_anew() {
    let stage = Stage::set().await;
    let remote = Remote::with(&stage, 100).await;
    remote.bus.go_away();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let all = vec![Pattern::new(">").expect("valid")];
    for entry in stage
        .bus
        .look_up(Table("tg_registry"), all)
        .await
        .expect("there")
    {
        stage.erase("tg_registry", entry.key).await;
    }
    remote.bus.come_back();
    stage
        .until("all are back", async || {
            stage.count("tg_registry").await == 100
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn after_a_burial_by_mistake_the_second_life_is_told_to_its_end() {
    let stage = Stage::set().await;
    let remote = Remote::with(&stage, 2).await;
    stage
        .scope
        .spawn_cancellable("reaper", Reaper::new(stage.bus.clone()).run());
    remote.bus.go_away();
    stage
        .until("it is buried", async || {
            stage.count("tg_gateways").await == 0
        })
        .await;
    remote.bus.come_back();
    stage
        .until("it is back", async || stage.count("tg_registry").await == 2)
        .await;
    remote.close(0);
    remote.close(1);
    stage
        .until("both are gone", async || {
            stage.count("tg_registry").await == 0
        })
        .await;
    for told in stage.told().values() {
        assert_eq!(told, &["opened", GATEWAY_LOST, "opened", "closed_by_peer"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_gateway_without_an_entry_holds_is_swept() {
    let stage = Stage::set().await;
    let (dead, lives) = (stage.gateway("dead"), stage.gateway("lives"));
    for slot in 0..10 {
        dead.registrar.opened(dead.record(slot, "ann"), None);
        lives.registrar.opened(lives.record(slot, "bob"), None);
    }
    stage
        .until("all are told", async || stage.told().len() == 20)
        .await;
    dead.die();
    let own = Subject::new("dead").expect("valid");
    stage.erase("tg_gateways", own).await;
    stage
        .scope
        .spawn_cancellable("reaper", Reaper::new(stage.bus.clone()).run());
    stage
        .until("they are swept", async || {
            stage.count("tg_registry").await == 10
        })
        .await;
    for (connection, told) in stage.told() {
        let lost = told.contains(&GATEWAY_LOST.to_owned());
        assert_eq!(lost, connection.starts_with("dead"), "{connection}");
    }
}
